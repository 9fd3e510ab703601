#include "plan/scenario.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "plan/stages.h"
#include "tests/plan/scenario_files.h"

using namespace isochrone;
using namespace isochrone::plan;
using isochrone::tests::Complaint;
using isochrone::tests::Folder;
using isochrone::tests::Replaced;

namespace {

/// GPT-3 175B on 64 A100s; each test changes one thing.
const std::string kScenario = R"({
  "model": "models/gpt3_175b.json",
  "cluster": { "node": "hardware/dgx_a100_80gb.json", "nodes": 8 },
  "batch": { "sequences": 64, "microbatch": 1 },
  "strategy": { "tensor": 8, "pipeline": 8, "data": 1, "precision": "fp16" }
})";

Scenario Read(const std::string& text) {
  const Folder folder;
  return ReadScenario(folder.Write("s.json", text));
}

std::string Said(const std::string& text) {
  const Folder folder;
  const std::string file = folder.Write("s.json", text);
  return Complaint(folder, [&] { ReadScenario(file); });
}
std::string SaidWith(const std::string& from, const std::string& to) {
  REQUIRE(kScenario.find(from) != std::string::npos);
  return Said(Replaced(kScenario, from, to));
}

bool Holds(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

TEST_CASE("a scenario says model, cluster, batch and strategy, and echoes the defaults it took", "[scenario]") {
  const Scenario s = Read(kScenario);
  CHECK(s.model.name == "gpt3_175b");
  CHECK(s.model.file == "scenarios/models/gpt3_175b.json");
  CHECK(s.cluster.Gpus() == 64);
  CHECK(s.cluster.node.gpu.fp16.value == 312e12);
  CHECK(s.cluster.node.link_bandwidth.value == 300e9);
  CHECK(s.cluster.node.InterNode().value == 200e9);
  CHECK(s.Microbatches() == 64);
  CHECK(s.strategy.tensor == 8);
  CHECK(s.strategy.precision == Dtype::kFp16);
  CHECK(Holds(s.defaults, "recompute = none"));
  CHECK(Holds(s.defaults, "schedule = 1f1b"));
  CHECK_FALSE(Holds(s.defaults, "tensor = 8"));
  CHECK(s.notes.empty());
}

TEST_CASE("data that is left out is what the GPUs leave over", "[scenario]") {
  const Scenario s = Read(Replaced(kScenario, "\"pipeline\": 8, \"data\": 1", "\"pipeline\": 2"));
  CHECK(s.strategy.data == 4);
  CHECK(Holds(s.defaults, "data = 4"));
  CHECK(SaidWith("\"pipeline\": 8, \"data\": 1", "\"pipeline\": 3") ==
        "s.json: /strategy\n"
        "  lacks \"data\", and tensor · pipeline · context = 24 does not divide the 64 GPUs of the cluster\n"
        "  add \"data\": 2 to leave 16 GPUs idle");
}

TEST_CASE("GPUs without a rank are noted, not refused", "[scenario]") {
  const Scenario s = Read(Replaced(kScenario, "\"nodes\": 8", "\"nodes\": 9"));
  CHECK(s.notes == std::vector<std::string>{"8 of the cluster's 72 GPUs have no rank"});
}

TEST_CASE("a model may be changed where it is named", "[scenario]") {
  const std::string changed = R"({ "base": "models/gpt3_175b.json", "sequence": 4096, "name": "longer" })";
  const Scenario s = Read(Replaced(kScenario, "\"models/gpt3_175b.json\"", changed));
  CHECK(s.model.sequence == 4096);
  CHECK(s.model.name == "longer");
  CHECK(s.model.hidden == 12288);
  CHECK(SaidWith("\"models/gpt3_175b.json\"", R"({ "base": "models/gpt3_175b.json", "sequense": 4096 })") ==
        "s.json: /model/sequense = 4096\n  is not a known key\n  did you mean \"sequence\"?");
  CHECK(SaidWith("\"models/gpt3_175b.json\"", R"({ "base": "models/gpt3_175b.json", "kv_heads": 7 })") ==
        "s.json: /model/kv_heads = 7\n"
        "  must divide attention_heads = 96\n"
        "  use 96 where every head has its own keys and values");
}

TEST_CASE("a cluster is a file, a node and a count, or a file with another count", "[scenario]") {
  const std::string inline_cluster = R"({ "node": "hardware/dgx_a100_80gb.json", "nodes": 8 })";
  CHECK(Read(Replaced(kScenario, inline_cluster, "\"clusters/selene.json\"")).cluster.Gpus() == 3072);
  const Scenario s = Read(Replaced(kScenario, inline_cluster, R"({ "base": "clusters/selene.json", "nodes": 16 })"));
  CHECK(s.cluster.Gpus() == 128);
  CHECK(s.cluster.name == "Selene");
}

TEST_CASE("references resolve next to the file where they stand, then in the catalogue", "[scenario]") {
  const Folder folder;
  folder.Write("parts/mine.json", R"({ "base": "hardware/dgx_a100_80gb.json", "name": "mine", "gpu": "slow.json" })");
  folder.Write("parts/slow.json", R"({ "base": "hardware/a100_sxm_80gb.json", "fp16_dense_tflops": 100 })");
  const std::string node = "\"hardware/dgx_a100_80gb.json\"";
  const Scenario s = ReadScenario(folder.Write("s.json", Replaced(kScenario, node, "\"parts/mine.json\"")));
  CHECK(s.cluster.node.name == "mine");
  CHECK(s.cluster.node.gpu.fp16.value == 100e12);
  CHECK(s.cluster.node.gpu.memory_bandwidth.value == 2039e9);
  const std::string inlined = R"({ "base": "hardware/dgx_a100_80gb.json", "gpu": "parts/slow.json" })";
  CHECK(ReadScenario(folder.Write("t.json", Replaced(kScenario, node, inlined))).cluster.node.gpu.fp16.value == 100e12);
}

TEST_CASE("a file that is not there is named with the nearest that is", "[scenario]") {
  CHECK(SaidWith("models/gpt3_175b.json", "models/gpt3_175.json") ==
        "s.json: /model = \"models/gpt3_175.json\"\n"
        "  no such file next to s.json or in the catalogue\n"
        "  did you mean models/gpt3_175b.json?");
  const Folder folder;
  CHECK(Complaint(folder, [] { ReadScenario("nowhere/x.json"); }) ==
        "nowhere/x.json\n"
        "  no such file, here or in the catalogue\n"
        "  the catalogue has folders models, hardware, clusters, published, examples, inference and sweeps");
}

TEST_CASE("a scenario of the catalogue is found by its name there", "[scenario]") {
  CHECK(ReadScenario("examples/gpt3_on_64_a100.json").file == "scenarios/examples/gpt3_on_64_a100.json");
}

TEST_CASE("a vocabulary that tensor ranks cannot share in whole eights is padded where Megatron trains it",
          "[scenario]") {
  const auto with = [](const char* vocabulary, const std::string& scenario) {
    const std::string model = std::string(R"({ "base": "models/gpt3_175b.json", "vocabulary": )") + vocabulary + " }";
    return Read(Replaced(scenario, "\"models/gpt3_175b.json\"", model));
  };
  const Scenario padded = with("50257", kScenario);
  CHECK(padded.model.vocabulary == 51200);
  CHECK(padded.notes == std::vector<std::string>{
                            "vocabulary of 50,257 padded to 51,200, a multiple of 128 · tensor, as Megatron-LM does"});
  CHECK(with("50264", kScenario).model.vocabulary == 51200);  // 6,283 for each of eight ranks
  const Scenario whole = with("50240", kScenario);            // 6,280: taken as padded to something else
  CHECK(whole.model.vocabulary == 50240);
  CHECK(whole.notes.empty());
  const std::string alone =
      Replaced(Replaced(kScenario, "\"tensor\": 8", "\"tensor\": 1"), "\"pipeline\": 8", "\"pipeline\": 64");
  CHECK(with("50257", alone).model.vocabulary == 50304);
  CHECK(with("50257", Replaced(alone, "\"tensor\": 1", "\"tensor\": 1, \"framework\": \"other\"")).model.vocabulary ==
        50257);
}

TEST_CASE("tensor must cut heads, feed-forward and vocabulary into whole parts", "[scenario]") {
  CHECK(SaidWith("\"tensor\": 8", "\"tensor\": 10") ==
        "s.json: /strategy/tensor = 10\n"
        "  must divide attention_heads = 96 of scenarios/models/gpt3_175b.json\n"
        "  try 1, 2, 4 or 8 (a node has 8 GPUs)");
  const std::string odd = R"({ "base": "models/gpt3_175b.json", "vocabulary": 50257 })";
  const std::string torch = Replaced(kScenario, "\"tensor\": 8", "\"tensor\": 8, \"framework\": \"other\"");
  CHECK(Said(Replaced(torch, "\"models/gpt3_175b.json\"", odd)) ==
        "s.json: /strategy/tensor = 8\n"
        "  must divide vocabulary = 50257 of scenarios/models/gpt3_175b.json\n"
        "  try 1 (a node has 8 GPUs), or pad vocabulary to 51200 as Megatron-LM does");
  const std::string ffn = R"({ "base": "models/gpt3_175b.json", "ffn": 49156 })";
  CHECK(SaidWith("\"models/gpt3_175b.json\"", ffn) ==
        "s.json: /strategy/tensor = 8\n"
        "  must divide ffn = 49156 of scenarios/models/gpt3_175b.json\n"
        "  try 1, 2 or 4 (a node has 8 GPUs)");
  const std::string grouped = R"({ "base": "models/gpt3_175b.json", "kv_heads": 12 })";
  CHECK(SaidWith("\"models/gpt3_175b.json\"", grouped) ==
        "s.json: /strategy/tensor = 8\n"
        "  must divide kv_heads = 12 of scenarios/models/gpt3_175b.json\n"
        "  try 1, 2 or 4 (a node has 8 GPUs)");
}

TEST_CASE("fewer key and value heads than tensor ranks are copied", "[scenario]") {
  const std::string grouped = R"({ "base": "models/gpt3_175b.json", "kv_heads": 4 })";
  CHECK(Read(Replaced(kScenario, "\"models/gpt3_175b.json\"", grouped)).model.kv_heads == 4);
}

TEST_CASE("more ranks than GPUs are refused with what would fit", "[scenario]") {
  CHECK(SaidWith("\"pipeline\": 8", "\"pipeline\": 16") ==
        "s.json: /strategy/pipeline = 16\n"
        "  makes tensor · context · data · pipeline = 8 · 1 · 1 · 16 = 128 ranks, but the cluster has 64 GPUs\n"
        "  try pipeline = 8, or 16 nodes");
}

TEST_CASE("the batch must be whole microbatches for every replica", "[scenario]") {
  CHECK(SaidWith("\"sequences\": 64, \"microbatch\": 1", "\"sequences\": 64, \"microbatch\": 3") ==
        "s.json: /batch/sequences = 64\n"
        "  must be a multiple of microbatch · data = 3 · 1\n"
        "  try sequences = 63 or 66, or microbatch = 1, 2, 4, 8, 16 or 32");
}

TEST_CASE("stages may be uneven but not more than layers, embedding and loss", "[scenario]") {
  CHECK(Said(Replaced(Replaced(kScenario, "\"pipeline\": 8", "\"pipeline\": 99"), "\"nodes\": 8", "\"nodes\": 99")) ==
        "s.json: /strategy/pipeline = 99\n"
        "  makes 99 stages for layers = 96 of scenarios/models/gpt3_175b.json\n"
        "  try at most 98");
  CHECK(SaidWith("\"pipeline\": 8", "\"pipeline\": 1, \"chunks_per_rank\": 2") ==
        "s.json: /strategy/chunks_per_rank = 2\n  needs pipeline > 1\n  use 1, or pipeline = 2");
  CHECK(SaidWith("\"pipeline\": 8", "\"pipeline\": 2, \"first_stage_layers\": 50, \"last_stage_layers\": 50") ==
        "s.json: /strategy/first_stage_layers = 50\n"
        "  leaves -4 of the 96 layers of scenarios/models/gpt3_175b.json for 0 other stages\n"
        "  use first_stage_layers = 46, or first_stage_layers = 0");
}

TEST_CASE("experts need a mixture of experts and must be shared out whole", "[scenario]") {
  CHECK(SaidWith("\"data\": 1", "\"data\": 1, \"expert\": 2") ==
        "s.json: /strategy/expert = 2\n"
        "  needs a mixture of experts, which scenarios/models/gpt3_175b.json is not\n"
        "  use 1");
  const std::string mixtral = R"({
    "model": "models/mixtral_8x7b.json", "cluster": { "node": "hardware/dgx_h100.json", "nodes": 8 },
    "batch": { "sequences": 64, "microbatch": 1 }, "strategy": { "tensor": 2, "expert": 3 } })";
  CHECK(
      Said(mixtral) ==
      "s.json: /strategy/expert = 3\n"
      "  must divide moe/experts = 8 of scenarios/models/mixtral_8x7b.json and, times expert_tensor, tensor · context "
      "· data = 64\n"
      "  try 1, 2, 4 or 8");
  const Folder folder;
  folder.Write("m.json", R"({
    "name": "small", "layers": 2, "hidden": 64, "attention_heads": 8, "kv_heads": 8, "head_dim": 8, "ffn": 256,
    "mlp": "gelu", "normalization": "layer", "position": "learned", "linear_bias": true, "causal": true,
    "tied_embeddings": true, "dropout": 0, "sequence": 100, "vocabulary": 128,
    "moe": { "experts": 8, "topk": 2, "ffn": 256 } })");
  const std::string file = folder.Write("s.json", R"({
    "model": "m.json", "cluster": { "node": "hardware/dgx_h100.json", "nodes": 1 },
    "batch": { "sequences": 1, "microbatch": 1 }, "strategy": { "tensor": 8 } })");
  CHECK(Complaint(folder, [&] { ReadScenario(file); }) ==
        "s.json: /strategy/tensor = 8\n"
        "  must divide the microbatch · sequence / context = 100 rows that it sends to experts\n"
        "  use tensor = 4, or tensor = 2, or tensor = 1");
}

TEST_CASE("a number format must be one of the GPU", "[scenario]") {
  CHECK(SaidWith("\"fp16\"", "\"fp8\"") ==
        "s.json: /strategy/precision = fp8\n  is not a format of a100_sxm_80gb\n  try fp32, tf32, fp16 or bf16");
}

TEST_CASE("attention that no form of context parallelism can compute is refused with one that can", "[scenario]") {
  const std::string whole = "\"data\": 1", cut = "\"pipeline\": 4, \"context\": 2, \"data\": 1";
  const std::string ring = Replaced(Replaced(kScenario, "\"pipeline\": 8, ", ""), whole, cut);
  const std::string windowed = R"({ "base": "models/gpt3_175b.json", "window": { "tokens": 512, "every": 2 } })";
  CHECK(Said(Replaced(ring, "\"models/gpt3_175b.json\"", windowed)) ==
        "s.json: /strategy/context_form = ring\n"
        "  passes every block of keys around, but a query sees window = 512 of the 2048 positions of "
        "scenarios/models/gpt3_175b.json\n"
        "  use context_form = all_gather, or context_form = ulysses, or context = 1");
  CHECK(Said(Replaced(ring, cut, cut + ", \"attention\": \"unfused\"")) ==
        "s.json: /strategy/attention = unfused\n"
        "  has no form that merges the blocks of keys of several context ranks\n"
        "  use attention = flash, or context_form = ulysses, or context = 1");
  const std::string hybrid = R"({
    "model": "models/mamba2_hybrid_8b.json", "cluster": { "node": "hardware/dgx_h100.json", "nodes": 1 },
    "batch": { "sequences": 8, "microbatch": 1 }, "strategy": { "context": 2, "data": 4 } })";
  CHECK(Said(hybrid) ==
        "s.json: /strategy/context = 2\n"
        "  cuts sequences, whose Mamba-2 layers pass a state from each position to the next\n"
        "  use context = 1");
}

TEST_CASE("a schedule that its shape does not allow is refused with a shape or a schedule that does", "[scenario]") {
  const auto with = [](const std::string& keys) { return SaidWith("\"pipeline\": 8, \"data\": 1", keys); };
  CHECK(with("\"pipeline\": 8, \"chunks_per_rank\": 2") ==
        "s.json: /strategy/schedule = 1f1b\n"
        "  has 2 chunks a rank\n"
        "  use schedule = interleaved_1f1b, or chunks_per_rank = 1");
  CHECK(with("\"pipeline\": 5, \"data\": 1, \"schedule\": \"dualpipe\"") ==
        "s.json: /strategy/schedule = dualpipe\n"
        "  needs an even number of ranks\n"
        "  use pipeline = 6, or pipeline = 4, or schedule = 1f1b");
  CHECK(with("\"pipeline\": 8, \"chunks_per_rank\": 3, \"schedule\": \"zb_v\"") ==
        "s.json: /strategy/chunks_per_rank = 3\n"
        "  is not the 2 that zb_v has by construction\n"
        "  use schedule = interleaved_1f1b, or chunks_per_rank = 2");
}

TEST_CASE("an order given as text must run the scenario's batch on its ranks", "[scenario]") {
  const Folder folder;
  folder.Write("order.txt", "rank 0: F0 F1 B0 B1\nrank 1: F0 B0 F1 B1\n");
  const auto said = [&](int pipeline, int sequences) {
    const std::string text = Replaced(
        Replaced(kScenario, "\"pipeline\": 8",
                 "\"schedule\": \"text\", \"schedule_text\": \"order.txt\", \"pipeline\": " + std::to_string(pipeline)),
        "\"sequences\": 64", "\"sequences\": " + std::to_string(sequences));
    const std::string file = folder.Write("s.json", text);
    return Complaint(folder, [&] { ReadScenario(file); });
  };
  CHECK(said(2, 2) == "no complaint");
  CHECK(said(4, 2) ==
        "s.json: /strategy/pipeline = 4\n"
        "  is not the number of ranks in schedule_text, 2\n"
        "  use pipeline = 2");
  CHECK(said(2, 4) ==
        "s.json: /batch/sequences = 4\n"
        "  makes 4 microbatches, but schedule_text runs 2\n"
        "  use sequences = 2");
}

TEST_CASE("context ranks hold an early and a late piece of every sequence", "[scenario]") {
  CHECK(SaidWith("\"data\": 1", "\"context\": 3, \"data\": 1") ==
        "s.json: /strategy/context = 3\n"
        "  times 2 must divide sequence = 2048 of scenarios/models/gpt3_175b.json\n"
        "  try 1");
}

TEST_CASE("numbers that no scenario can mean are refused where they stand", "[scenario]") {
  CHECK(SaidWith("\"nodes\": 8", "\"nodes\": 0") ==
        "s.json: /cluster/nodes = 0\n  is out of range\n  give a whole number from 1 to 100000");
  CHECK(SaidWith("\"nodes\": 8", "\"nodes\": -1") ==
        "s.json: /cluster/nodes = -1\n  is out of range\n  give a whole number from 1 to 100000");
  CHECK(SaidWith("\"tensor\": 8", "\"tensor\": 1000000000000000000") ==
        "s.json: /strategy/tensor = 1000000000000000000\n  is out of range\n  give a whole number from 1 to 1048576");
  CHECK(SaidWith("\"sequences\": 64", "\"sequences\": 1000000000000000000") ==
        "s.json: /batch/sequences = 1000000000000000000\n  is out of range\n  give a whole number from 1 to 1000000");
  CHECK(SaidWith("\"tensor\": 8", "\"tensor\": \"eight\"") ==
        "s.json: /strategy/tensor = \"eight\"\n  must be a whole number\n  give a whole number from 1 to 1048576");
  CHECK(SaidWith("\"tensor\": 8", "\"tensor\": 7.5") ==
        "s.json: /strategy/tensor = 7.5\n  must be a whole number\n  give a whole number from 1 to 1048576");
  CHECK(SaidWith("\"tensor\": 8", "\"tensr\": 8") ==
        "s.json: /strategy/tensr = 8\n  is not a known key\n  did you mean \"tensor\"?");
  CHECK(SaidWith("\"batch\": { \"sequences\": 64, \"microbatch\": 1 },", "") ==
        "s.json\n  lacks the key \"batch\"\n  add \"batch\"");
}

TEST_CASE("degrees whose product is beyond counting are refused", "[scenario]") {
  CHECK(SaidWith("\"tensor\": 8, \"pipeline\": 8, \"data\": 1", "\"tensor\": 8, \"pipeline\": 98, \"data\": 1048576") ==
        "s.json: /strategy/data = 1048576\n"
        "  makes tensor · context · data · pipeline = 8 · 1 · 1048576 · 98 = 822083584 ranks, but the cluster has 64 "
        "GPUs\n"
        "  try smaller degrees");
}

TEST_CASE("layers are split evenly, or the ends hold fewer", "[stages]") {
  Scenario s;
  const auto split = [&](int layers, int pipeline, int chunks = 1) {
    s.model.layers = layers;
    s.strategy.pipeline = pipeline;
    s.strategy.chunks_per_rank = chunks;
    return LayersPerStage(s);
  };
  CHECK(split(8, 4) == std::vector<int>{2, 2, 2, 2});
  CHECK(split(8, 1) == std::vector<int>{8});
  CHECK(split(7, 4) == std::vector<int>{2, 2, 2, 1});
  CHECK(split(6, 4) == std::vector<int>{1, 2, 2, 1});
  CHECK(split(5, 4) == std::vector<int>{1, 2, 1, 1});
  CHECK(split(6, 2, 4) == std::vector<int>{0, 1, 1, 1, 1, 1, 1, 0});
  CHECK(split(70, 12).front() == 5);
  CHECK(split(70, 12).back() == 5);
  s.strategy.first_stage_layers = 1;
  CHECK(split(7, 4) == std::vector<int>{1, 2, 2, 2});
  s.strategy.last_stage_layers = 3;
  CHECK(split(8, 4) == std::vector<int>{1, 2, 2, 3});
  s.strategy.first_stage_layers = s.strategy.last_stage_layers = 0;
  s.strategy.account_embedding_in_split = true;
  CHECK(split(8, 4) == std::vector<int>{2, 3, 2, 1});
  CHECK(split(6, 4) == std::vector<int>{1, 2, 2, 1});
}

TEST_CASE("the last stage of a model that predicts several tokens takes what remains", "[stages]") {
  Scenario s;
  s.model.mtp_layers = 1;
  s.model.layers = 61;
  s.strategy.pipeline = 16;
  std::vector<int> recipe(15, 4);
  recipe.push_back(1);
  CHECK(LayersPerStage(s) == recipe);
  s.model.layers = 10;
  s.strategy.pipeline = 6;
  CHECK(LayersPerStage(s) == std::vector<int>{2, 2, 2, 2, 2, 0});
  s.model.layers = 9;
  CHECK(LayersPerStage(s) == std::vector<int>{2, 2, 2, 2, 1, 0});
}

TEST_CASE("every split holds every layer, and no stage is ahead of another by more than one", "[stages]") {
  Scenario s;
  for (int layers = 1; layers <= 40; ++layers) {
    for (int stages = 1; stages <= layers + 2; ++stages) {
      for (bool counted : {false, true}) {
        s.model.layers = layers;
        s.strategy.pipeline = stages;
        s.strategy.account_embedding_in_split = counted;
        std::vector<int> split = LayersPerStage(s);
        REQUIRE(static_cast<int>(split.size()) == stages);
        int sum = 0;
        for (int n : split) sum += n;
        REQUIRE(sum == layers);
        if (counted && stages > 1) ++split.front(), ++split.back();
        REQUIRE(*std::min_element(split.begin(), split.end()) >= 0);
        REQUIRE(*std::max_element(split.begin(), split.end()) - *std::min_element(split.begin(), split.end()) <= 1);
      }
    }
  }
}
