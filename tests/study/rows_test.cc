#include "study/rows.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/folder.h"

using namespace isochrone;
using study::Row;

namespace {

/// A row like those of the schema; each test changes one thing.
const std::string kRow = R"({
  "id": "one", "family": "paper", "source": "a paper", "locus": "Table 1", "priority": 1,
  "model": { "name": "GPT", "layers": 30, "hidden": 4096, "heads": 32, "kv_heads": 32, "head_dim": 128, "ffn": 16384,
             "mlp": "gelu", "seq": 2048, "vocab": 51200, "tied_embeddings": true },
  "hardware": { "gpu": "a100_sxm_80gb", "gpus": 64, "gpus_per_node": 8, "inter_node_gbit_per_s_per_node": 400,
                "cluster": "somewhere" },
  "parallel": { "tp": 2, "pp": 8, "dp": 4, "cp": 1, "ep": 1, "vpp": 1, "sequence_parallel": false, "microbatch": 1,
                "global_batch": 64, "recompute": "full", "zero": "none", "precision": "fp16", "schedule": "1f1b",
                "attention": "unfused", "framework": "megatron_lm_2021", "overlap_data_parallel": false,
                "optimizer_note": "none" },
  "measured": { "iter_s": 3.5, "memory_gib_reported": 40, "memory_kind": "GB as printed",
                "stage_profile_ms": { "T_F": 18, "T_B": 17, "T_W": 9, "T_comm": 0.5 } },
  "flops_convention": "", "caveats": [], "unstated_in_source": ["vpp"]
})";

std::string With(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::vector<Row> Read(const std::string& text) {
  const tests::Folder folder;
  return study::ReadRows(folder.Write("rows.json", text));
}
Row ReadOne(const std::string& text) { return Read("[" + text + "]").at(0); }

}  // namespace

TEST_CASE("a row becomes the scenario that it measured", "[rows]") {
  const Row row = ReadOne(kRow);
  INFO(row.reason);
  REQUIRE(row.scenario);
  const plan::Scenario& s = *row.scenario;
  CHECK(row.id == "one");
  CHECK(row.family == "paper");
  CHECK(row.priority == 1);
  CHECK(row.step_time->value == 3.5);
  CHECK(row.memory->value == 40 * kGibi);
  CHECK(row.stage->forward.value == Approx(0.018));
  CHECK(row.unstated == std::vector<std::string>{"vpp"});
  CHECK(row.assumed.empty());
  CHECK(row.ignored.empty());
  CHECK(s.model.sequence == 2048);
  CHECK(s.model.dropout == 0.1);
  CHECK(s.cluster.Gpus() == 64);
  CHECK(s.cluster.node.InterNode().value == Approx(50e9));
  CHECK(s.strategy.tensor == 2);
  CHECK(s.strategy.recompute == plan::Recompute::kFull);
  CHECK(s.strategy.attention == plan::AttentionForm::kUnfused);
  CHECK(s.strategy.gradient_dtype == plan::Dtype::kFp16);
  CHECK(s.strategy.framework == "megatron_lm_2021");
  CHECK(s.Microbatches() == 16);
}

TEST_CASE("neither family, id nor cluster name changes a scenario", "[rows]") {
  const Row one = ReadOne(kRow);
  const Row two =
      ReadOne(With(With(With(kRow, "\"paper\"", "\"other\""), "\"one\"", "\"two\""), "somewhere", "Selene"));
  CHECK(one.scenario->cluster.node.InterNode() == two.scenario->cluster.node.InterNode());
  CHECK(one.scenario->cluster.name == two.scenario->cluster.name);
  CHECK(one.assumed == two.assumed);
}

TEST_CASE("what a row leaves open is chosen by a rule and said", "[rows]") {
  std::string open = With(kRow, "\"microbatch\": 1", "\"microbatch\": null");
  open = With(open, "\"recompute\": \"full\"", "\"recompute\": \"unstated\"");
  open = With(open, "\"schedule\": \"1f1b\"", "\"schedule\": \"interleaved_1f1b\"");
  open = With(open, "\"vpp\": 1", "\"vpp\": null");
  open = With(open, "\"zero\": \"none\"", "\"zero\": \"unstated\"");
  open = With(open, "\"megatron_lm_2021\"", "\"megatron_core\"");
  open = With(open, "\"sequence_parallel\": false", "\"sequence_parallel\": null");
  open = With(open, "\"overlap_data_parallel\": false", "\"overlap_data_parallel\": null");
  open = With(open, "\"inter_node_gbit_per_s_per_node\": 400", "\"inter_node_gbit_per_s_per_node\": null");
  open = With(open, "51200", "50257");
  const Row row = ReadOne(open);
  INFO(row.reason);
  REQUIRE(row.scenario);
  CHECK(row.assumed == std::vector<std::string>{"vpp = 3", "recompute = none", "zero = zero1",
                                                "sequence_parallel = true", "overlap_data_parallel = true",
                                                "microbatch = 1", "vocabulary = 50432"});
  CHECK(row.scenario->cluster.node.InterNode().value == Approx(200e9));
  CHECK(row.scenario->strategy.overlap_tensor);
  CHECK_FALSE(row.scenario->strategy.fused_squared_relu);
  CHECK(row.scenario->model.vocabulary == 50432);
}

TEST_CASE("Megatron pads the vocabulary though its ranks divide it; others leave it as the tokenizer has it",
          "[rows]") {
  std::string alone = With(With(kRow, "51200", "50257"), "\"tp\": 2", "\"tp\": 1");
  alone = With(alone, "\"dp\": 4", "\"dp\": 8");
  const Row megatron = ReadOne(alone);
  INFO(megatron.reason);
  REQUIRE(megatron.scenario);
  CHECK(megatron.scenario->model.vocabulary == 50304);
  CHECK(megatron.assumed == std::vector<std::string>{"vocabulary = 50304"});
  const Row fsdp =
      ReadOne(With(With(With(alone, "megatron_lm_2021", "fsdp"), "\"pp\": 8", "\"pp\": 1"), "\"dp\": 8", "\"dp\": 64"));
  INFO(fsdp.reason);
  REQUIRE(fsdp.scenario);
  CHECK(fsdp.scenario->model.vocabulary == 50257);
}

TEST_CASE("a rack counts as one NVLink domain of several servers", "[rows]") {
  const Row row = ReadOne(
      With(With(With(kRow, "a100_sxm_80gb", "gb200"), "\"gpus_per_node\": 8", "\"gpus_per_node\": 72"), "400", "null"));
  INFO(row.reason);
  REQUIRE(row.scenario);
  CHECK(row.scenario->cluster.Gpus() == 64);
  CHECK(plan::LayoutOf(*row.scenario).gpus_per_node == 72);
  CHECK(row.scenario->cluster.node.InterDomain().value == Approx(72 * 50e9));
}

TEST_CASE("release recipes send a token once to each rank on racks and on B300, where experts share an NVLink domain",
          "[rows]") {
  std::string row =
      With(With(kRow, "megatron_lm_2021", "megatron_core"), "\"precision\": \"fp16\"", "\"precision\": \"bf16\"");
  row = With(With(row, "\"attention\": \"unfused\"", "\"attention\": \"flash\""), "\"zero\": \"none\"",
             "\"zero\": \"zero1\"");
  row = With(With(row, "\"tp\": 2", "\"tp\": 1"), "\"dp\": 4", "\"dp\": 8");
  row = With(
      With(row, "\"mlp\": \"gelu\"", "\"mlp\": \"swiglu\", \"moe\": {\"experts\": 64, \"topk\": 4, \"moe_ffn\": 1024}"),
      "\"overlap_data_parallel\": false", "\"overlap_data_parallel\": true");
  const auto once = [&](const std::string& gpu, const std::string& expert) {
    const Row read = ReadOne(With(With(row, "a100_sxm_80gb", gpu), "\"ep\": 1", "\"ep\": " + expert));
    INFO(read.reason);
    REQUIRE(read.scenario);
    return read.scenario->strategy.expert_dispatch == plan::ExpertDispatch::kOncePerRank;
  };
  CHECK(once("b300_sxm", "8"));
  CHECK_FALSE(once("b200_sxm_180gb", "8"));
  CHECK_FALSE(once("h100_sxm_80gb", "8"));
  row = With(row, "\"pp\": 8, \"dp\": 8", "\"pp\": 4, \"dp\": 16");
  CHECK_FALSE(once("b300_sxm", "16"));  // on two servers
}

TEST_CASE("where a row's schedule and its chunks disagree, the chunks decide", "[rows]") {
  const auto read = [](const std::string& vpp, const std::string& schedule) {
    std::string row = With(kRow, "\"schedule\": \"1f1b\"", "\"schedule\": \"" + schedule + "\"");
    return ReadOne(With(row, "\"vpp\": 1", "\"vpp\": " + vpp));
  };
  const Row several = read("3", "1f1b"), one = read("1", "interleaved_1f1b");
  REQUIRE(several.scenario);
  REQUIRE(one.scenario);
  CHECK(several.scenario->strategy.schedule == plan::ScheduleKind::kInterleaved1f1b);
  CHECK(several.scenario->strategy.chunks_per_rank == 3);
  CHECK(several.assumed == std::vector<std::string>{"schedule = interleaved_1f1b"});
  CHECK(one.scenario->strategy.schedule == plan::ScheduleKind::k1f1b);
}

TEST_CASE("a GPU may be named by less or more than the catalogue does, where that names one", "[rows]") {
  const auto gpu = [](const std::string& name) {
    const Row row = ReadOne(With(kRow, "a100_sxm_80gb", name));
    return row.scenario ? row.scenario->cluster.node.gpu.name : row.reason.substr(0, row.reason.find(':'));
  };
  CHECK(gpu("h200_sxm_141gb") == "h200_sxm");
  CHECK(gpu("b200_sxm") == "b200_sxm_180gb");
  CHECK(gpu("h800_sxm_80gb") == "h800");
  CHECK(gpu("a100_sxm") == "/0/hardware/gpu = \"a100_sxm\"");  // 40 or 80 GiB
  CHECK(gpu("a100_sxm_80g") == "/0/hardware/gpu = \"a100_sxm_80g\"");
}

TEST_CASE("a node of fewer GPUs than usual has the network that the row says", "[rows]") {
  const Row row =
      ReadOne(With(With(kRow, "a100_sxm_80gb", "v100_sxm2_32gb"), "\"gpus_per_node\": 8", "\"gpus_per_node\": 4"));
  REQUIRE(row.scenario);
  CHECK(row.scenario->cluster.node.gpus == 4);
  CHECK(row.scenario->cluster.nodes == 16);
  CHECK(row.scenario->cluster.node.InterNode().value == Approx(50e9));
}

TEST_CASE("a row that cannot be expressed says why and does not stop the others", "[rows]") {
  const std::string tpu = With(kRow, "a100_sxm_80gb", "tpu_v4");
  const std::string heads = With(kRow, "\"tp\": 2, \"pp\": 8", "\"tp\": 3, \"pp\": 4");
  const std::string schedule = With(kRow, "\"schedule\": \"1f1b\"", "\"schedule\": \"zigzag\"");
  const std::vector<Row> rows = Read("[" + tpu + "," + heads + "," + schedule + ", {\"id\": 3}, 7, " + kRow + "]");
  REQUIRE(rows.size() == 6);
  CHECK(rows[0].reason.starts_with("/0/hardware/gpu = \"tpu_v4\": is not known here"));
  CHECK(rows[1].reason == "one: /strategy/tensor = 3: must divide attention_heads = 32 of the row");
  CHECK(rows[2].reason.starts_with("/2/parallel/schedule = \"zigzag\": is not known here"));
  CHECK_FALSE(rows[3].scenario);
  CHECK(rows[3].reason.find("lacks the key") != std::string::npos);
  CHECK(rows[4].reason.find("must be an object") != std::string::npos);
  CHECK(rows[5].scenario);
}

TEST_CASE("keys beyond the schema set a strategy key of that name, or are listed", "[rows]") {
  const Row row =
      ReadOne(With(kRow, "\"optimizer_note\": \"none\"", R"("offload_optimizer": "host", "colour": "blue")"));
  REQUIRE(row.scenario);
  CHECK(row.scenario->strategy.offload_optimizer == plan::OffloadTarget::kHost);
  CHECK(row.ignored == std::vector<std::string>{"parallel/colour"});
}

TEST_CASE("a file that is no list of rows is wrong input", "[rows]") { CHECK_THROWS_AS(Read(kRow), Error); }
