#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "study/search/sweep.h"
#include "tests/study/search/space_file.h"

namespace isochrone::study {
namespace {

/// Legal configurations of the 3.6B on so many nodes of eight GPUs, with these keys of the strategy and limits.
std::int64_t LegalOn(int nodes, const std::string& keys, const std::string& limits = "") {
  const SpaceFile file;
  return Sweep(file.Read(
                   R"({"model": "models/gpt_3.6b.json", "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": )" +
                   std::to_string(nodes) + R"(}, "batch": {"sequences": 16, "microbatch": 1}, "strategy": {)" + keys +
                   R"(}, "sweep": {"constraints": {"fits": false)" + limits + "}}}"),
               {})
      .legal;
}

std::int64_t LegalIn(const std::string& schedule, const std::string& chunks, const std::string& limits) {
  const SpaceFile file;
  return Sweep(file.Read(
                   R"({"model": "models/gpt_3.6b.json", "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 4},
                             "batch": {"sequences": 48, "microbatch": 1},
                             "strategy": {"tensor": 1, "data": 2, "pipeline": [1, 2, 3, 4, 5, 7, 16], "schedule": ")" +
                   schedule + R"(", "chunks_per_rank": )" + chunks +
                   R"(}, "sweep": {"constraints": {"idle_gpus": true, "fits": false)" + limits + "}}}"),
               {})
      .legal;
}

}  // namespace

TEST_CASE("every tensor degree has the vocabulary that Megatron pads for it", "[search]") {
  const SpaceFile file;
  bool noted = false;
  const auto vocabularies = [&](const std::string& keys) {
    const Space space = file.Read(
        R"({"model": {"base": "models/gpt_3.6b.json", "vocabulary": 50257},
            "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 1}, "batch": {"sequences": 8, "microbatch": 1},
            "strategy": {)" +
        keys + R"(}, "sweep": {"best": 4, "constraints": {"fits": false}}})");
    noted = !space.bases.at(0).notes.empty();
    std::vector<std::int64_t> all;
    for (const Candidate& c : Sweep(space, {}).best) all.push_back(ScenarioAt(space, c.index).model.vocabulary);
    std::sort(all.begin(), all.end());
    return all;
  };
  CHECK(vocabularies(R"("tensor": [1, 2, 4])") == std::vector<std::int64_t>{50304, 50432, 50688});
  CHECK(noted);
  CHECK(vocabularies(R"("tensor": 4)") == std::vector<std::int64_t>{50688});
  CHECK(noted);
  CHECK(vocabularies(R"("tensor": [1, 4], "framework": ["other", "megatron_core"])") ==
        std::vector<std::int64_t>{50257, 50304, 50688});
  CHECK(noted);
  CHECK(vocabularies(R"("tensor": [1, 2, 4], "framework": "other")") == std::vector<std::int64_t>{50257});
  CHECK_FALSE(noted);
}

TEST_CASE("of values that make no difference in a layout only the first is counted", "[search]") {
  const SpaceFile file;
  const auto legal = [&](const std::string& keys) {
    const Space space = file.Read(
        R"({"model": "models/gpt_3.6b.json", "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 1},
            "batch": {"sequences": 8, "microbatch": 1}, "strategy": {)" +
        keys + "}}");
    return Sweep(space, {}).legal;
  };
  CHECK(legal(R"("tensor": 4, "pipeline": 2, "optimizer_sharding": ["none", "zero1", "zero2"])") == 1);  // one replica
  CHECK(legal(R"("tensor": 4, "pipeline": 1, "optimizer_sharding": ["none", "zero1", "zero2"])") == 3);
  CHECK(
      legal(
          R"("tensor": 4, "pipeline": 1, "optimizer_sharding": "zero2", "zero2_reduce_every_microbatch": [false, true])") ==
      1);
  CHECK(legal(R"("tensor": 4, "pipeline": [1, 2], "rank_order": ["data_inner", "pipeline_inner"])") == 2);
  CHECK(
      legal(
          R"("tensor": 4, "pipeline": 2, "account_embedding_in_split": [false, true], "first_stage_layers": [0, 14, 15])") ==
      2);
  CHECK(legal(R"("tensor": 4, "pipeline": 1, "optimizer_sharding": "zero1", "shard_group": [0, 2])") == 1);
  CHECK(legal(R"("tensor": 4, "pipeline": 2, "context_form": ["ring", "all_gather"])") == 1);
  CHECK(legal(R"("tensor": 2, "pipeline": 2, "optimizer_sharding": ["zero2", "zero1"])") == 1);
}

TEST_CASE("an even pipeline has equal chunks and whole rounds of microbatches", "[search]") {
  // 30 layers, 24 microbatches: of the degrees 1, 2, 3 and 5 divide the layers
  CHECK(LegalIn("1f1b", "1", "") == 7);
  CHECK(LegalIn("1f1b", "1", R"(, "even_pipeline": true)") == 4);
  // three chunks a rank: 2 and 5 (15 chunks), of which 24 is a multiple of 2 alone, and two ranks do not interleave
  CHECK(LegalIn("interleaved_1f1b", "3", R"(, "even_pipeline": true)") == 0);
  // two: 3 and 5, of which 24 is a multiple of 3
  CHECK(LegalIn("interleaved_1f1b", "2", R"(, "even_pipeline": true)") == 1);
}

TEST_CASE("where tensor ranks come first, there is a pipeline only over nodes that they fill", "[search]") {
  const std::string degrees = R"("tensor": [2, 8], "pipeline": [1, 2])";
  CHECK(LegalOn(2, degrees) == 4);
  CHECK(LegalOn(2, degrees, R"(, "tensor_fills_node": true)") == 3);
}

TEST_CASE("Megatron-LM before its own buffers overlaps gradients only without a pipeline", "[search]") {
  const auto legal = [](const std::string& degrees, const std::string& framework) {
    return LegalOn(1, degrees + R"(, "overlap_data": [true, false], "framework": ")" + framework + "\"");
  };
  CHECK(legal(R"("tensor": 2, "pipeline": [1, 2])", "megatron_core") == 4);
  CHECK(legal(R"("tensor": 2, "pipeline": [1, 2])", "megatron_lm_2021") == 3);
  // one replica has nothing to overlap, but torch's buckets take memory
  CHECK(legal(R"("tensor": 8)", "megatron_core") == 1);
  CHECK(legal(R"("tensor": 8)", "megatron_lm_2021") == 2);
}

TEST_CASE("a search names nothing that leaves a GPU no room for what is not a tensor", "[search]") {
  const SpaceFile file;
  const auto fits = [&](const std::string& limits) {
    const SweepResult result = Sweep(
        file.Read(R"({"model": "models/gpt_3.6b.json", "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 1},
                      "batch": {"sequences": 8, "microbatch": 1}, "strategy": {"tensor": [1, 2, 4, 8]},
                      "sweep": {"best": 4, "constraints": {)" +
                  limits + "}}}"),
        {});
    std::vector<double> gib;
    for (const Candidate& c : result.best) gib.push_back(c.estimate.memory / kGibi);
    std::sort(gib.begin(), gib.end());
    return gib;
  };
  const std::vector<double> all = fits("");
  REQUIRE(all.size() == 4);
  const double fullest = all.back();
  CHECK(fits(R"("memory_gib": )" + std::to_string(fullest + 0.001)).size() == 4);  // a limit is taken at its word
  CHECK(fits(R"("memory_gib": )" + std::to_string(fullest - 0.001)).size() == 3);
  const auto with_memory = [&](double capacity_gib) {
    Space space = file.Read(
        R"({"model": "models/gpt_3.6b.json", "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 1},
            "batch": {"sequences": 8, "microbatch": 1}, "strategy": {"tensor": [1, 2, 4, 8]}, "sweep": {"best": 4}})");
    for (plan::Scenario& base : space.bases) base.cluster.node.gpu.memory = Bytes(capacity_gib * kGibi);
    return Sweep(space, {}).best.size();
  };
  CHECK(with_memory(fullest + 2.001) == 4);
  CHECK(with_memory(fullest + 1.999) == 3);
}

}  // namespace isochrone::study
