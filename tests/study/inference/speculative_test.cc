#include "study/inference/speculative.h"

#include <catch2/catch.hpp>

#include "study/inference/generate.h"
#include "tests/plan/scenario_files.h"

namespace isochrone::study {
namespace {

using plan::DraftTree;

/// 10 ms for the weights, 0.1 ms a row beyond 128.
plan::StepCost Weighty() {
  plan::StepCost cost;
  for (int i = 0; i < plan::CountCurve::kPoints; ++i) {
    const double rows = plan::CountCurve::CountAt(i);
    cost.work.seconds[static_cast<std::size_t>(i)] = 0.01 + (rows > 128 ? 1e-4 * (rows - 128) : 0);
  }
  return cost;
}

const Drafting kMillisecond{.step = [](double) { return 1e-3; }};

TEST_CASE("a chain of drafts yields the geometric sum, a tree the sum of its paths", "[study]") {
  CHECK(ExpectedTokens(0.8, 4) == Approx(1 + 0.8 + 0.64 + 0.512 + 0.4096));
  CHECK(ExpectedTokens(1, 4) == 5);
  CHECK(ExpectedTokens(0, 4) == 1);
  CHECK(ExpectedTokens(DraftTree::Chain(0.8, 4)) == Approx(ExpectedTokens(0.8, 4)));
  CHECK(ExpectedTokens(DraftTree{{-1, -1, 0}, {0.6, 0.3, 0.5}}) == Approx(1 + 0.6 + 0.3 + 0.3));
}

TEST_CASE("a tree is drafted depth by depth, and all its nodes are verified at once", "[study]") {
  const DraftTree tree{{-1, -1, 0, 1, 1}, {0.6, 0.3, 0.5, 0.4, 0.1}};
  CHECK(Widths(tree) == std::vector<int>{2, 3});
  std::vector<double> read;
  const Drafting drafting{.step = [&](double tokens) {
    read.push_back(tokens);
    return 1e-3;
  }};
  const SpeculativeRound round = RoundOf(Weighty(), drafting, tree, 100, 0);
  CHECK(read == std::vector<double>{1, 2});  // the last token, then the two drafts after it
  CHECK(round.draft == Approx(2e-3));
  CHECK(round.verify == Approx(0.01 + 1e-4 * (600 - 128)));
}

TEST_CASE("drafts pay where a step is bound by the weights, not where it is bound by its rows", "[study]") {
  const plan::StepCost cost = Weighty();
  CHECK(RoundOf(cost, kMillisecond, DraftTree::Chain(0.8, 4), 1, 0).PerToken() ==
        Approx((0.004 + 0.01) / ExpectedTokens(0.8, 4)));
  CHECK(BestDraft(cost, kMillisecond, 0.8, 1, 0, 8) >= 4);
  CHECK(BestDraft(cost, kMillisecond, 0.8, 1024, 0, 8) == 0);
  Drafting at_once = kMillisecond;
  at_once.at_once = true;
  CHECK(RoundOf(cost, at_once, DraftTree::Chain(0.8, 4), 1, 0).draft == Approx(1e-3));
}

const char* kScenario = R"({"workload": "generate", "model": "models/llama2_70b.json",
  "cluster": {"node": "hardware/dgx_h100.json", "nodes": 1}, "strategy": {"tensor": 8},
  "generate": {"prompt": 1024, "output": 256, "batch": 1},
  "speculative": {"draft": "models/llama2_7b.json", "acceptance": 0.8, "drafted": 4}})";

TEST_CASE("a scenario with drafts answers in less time a token, layers of the draft beside each other in less still",
          "[study]") {
  const tests::Folder folder;
  const auto answer = [&](const std::string& from, const std::string& to) {
    return Generate(plan::ReadGeneration(folder.Write("s.json", tests::Replaced(kScenario, from, to))));
  };
  const GenerationAnswer chain = answer("\"drafted\": 4", "\"drafted\": 4");
  REQUIRE(chain.speculation);
  CHECK(chain.speculation->round.expected == Approx(ExpectedTokens(0.8, 4)));
  CHECK(chain.speculation->Gain() == Approx(chain.speculation->plain / chain.speculation->round.PerToken()));
  const GenerationAnswer beside = answer("\"drafted\": 4", "\"drafted\": 4, \"layer_parallel\": 8");
  CHECK(beside.speculation->round.draft < chain.speculation->round.draft / 3);
  CHECK(beside.speculation->round.draft > chain.speculation->round.draft / 8);
  CHECK(beside.time_per_output_token < chain.time_per_output_token);
  const GenerationAnswer cut = answer("\"drafted\": 4", "\"drafted\": 4, \"draft_tensor\": 8");
  CHECK(cut.speculation->round.draft < chain.speculation->round.draft);
  const GenerationAnswer tree =
      answer("\"acceptance\": 0.8, \"drafted\": 4",
             "\"tree\": [{\"parent\": -1, \"acceptance\": 0.8}, {\"parent\": -1, \"acceptance\": 0.1}]");
  CHECK(tree.speculation->round.expected == Approx(1.9));
  CHECK(tree.speculation->best_drafted == 2);
}

TEST_CASE("drafts that cannot be are refused with key and remedy", "[study]") {
  const tests::Folder folder;
  const auto complaint = [&](const std::string& from, const std::string& to) {
    const std::string path = folder.Write("s.json", tests::Replaced(kScenario, from, to));
    return tests::Complaint(folder, [&] { plan::ReadGeneration(path); });
  };
  CHECK(complaint("models/llama2_7b.json", "models/llama3_8b.json") ==
        "s.json: /speculative/draft = \"models/llama3_8b.json\"\n  has a vocabulary of 128256, and the model one of "
        "32000\n"
        "  draft with a model of the same tokens");
  CHECK(complaint("\"drafted\": 4", "\"drafted\": 4, \"layer_parallel\": 4, \"draft_tensor\": 2") ==
        "s.json: /speculative/layer_parallel = 4\n  puts whole layers on GPUs, and draft_tensor cuts them\n"
        "  leave out one of the two");
  CHECK(complaint("\"drafted\": 4", "\"drafted\": 4, \"tree\": []").find("give either") != std::string::npos);
  CHECK(complaint("\"drafted\": 4", "\"drafted\": 0").find("/speculative/drafted = 0") != std::string::npos);
}

}  // namespace
}  // namespace isochrone::study
