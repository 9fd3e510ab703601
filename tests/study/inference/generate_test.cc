#include "study/inference/generate.h"

#include <catch2/catch.hpp>

#include "study/inference/score.h"
#include "tests/plan/scenario_files.h"

namespace isochrone::study {
namespace {

/// 1 ms a step, 1 µs a token, 10 ns per cached token.
plan::StepCost Round() {
  plan::StepCost cost;
  for (int i = 0; i < plan::CountCurve::kPoints; ++i)
    cost.work.seconds[static_cast<std::size_t>(i)] = 1e-3 + 1e-6 * plan::CountCurve::CountAt(i);
  cost.per_cached = 1e-8;
  return cost;
}

TEST_CASE("a batch that arrives at once fills its prompts in steps of the budget and then decodes", "[study]") {
  const plan::ReplicaCost cost{.stages = {Round()}};
  const GenerationTimes t = SimultaneousBatch(cost, {.prompt = 1000, .output = 11, .batch = 5}, 2500);
  CHECK(t.first_token == Approx(2 * (1e-3 + 2e-3) + (1e-3 + 1e-3)));
  // contexts grow from 1001 to 1010
  CHECK(t.per_token == Approx(1e-3 + 5e-6 + 1e-8 * 5 * 1005.5));
}

TEST_CASE("two stages decode two groups in turn: twice a stage's time of half the batch", "[study]") {
  const plan::ReplicaCost cost{.stages = {Round(), Round()}};
  const GenerationTimes t = SimultaneousBatch(cost, {.prompt = 100, .output = 101, .batch = 8}, 8192);
  CHECK(t.first_token == Approx(2 * (1e-3 + 800e-6)));
  CHECK(t.per_token == Approx(2 * (1e-3 + 4e-6 + 1e-8 * 4 * 150.5)));
}

TEST_CASE("under steady load a request pays for the prompts of the others, less where steps are shared", "[study]") {
  const plan::ReplicaCost cost{.stages = {Round()}};
  const plan::Generation g{.prompt = 1000, .output = 100, .batch = 11};
  const double decode = 1e-3 + 11e-6 + 1e-8 * 11 * 1050;
  CHECK(SteadyConcurrency(cost, g, {8192, true, 1e18}).per_token == Approx(decode + 10 * 1e-3 / 100));
  CHECK(SteadyConcurrency(cost, g, {8192, false, 1e18}).per_token == Approx(decode + 0.5 * 10 * 2e-3 / 100));
  // A cache for 5500 tokens holds five of the requests.
  CHECK(SteadyConcurrency(cost, g, {8192, true, 5500}).per_token ==
        Approx(1e-3 + 5e-6 + 1e-8 * 5 * 1050 + 4 * 1e-3 / 100));
}

const char* kHeader =
    "source,model,layers,hidden,heads,kv_heads,head_dim,ffn,mlp,vocab,hardware,tp,pp,precision,engine,batch,"
    "prompt_tokens,output_tokens,ttft_s,tpot_s,step_s,total_s,note\n";

TEST_CASE("published generations are read with quotes, and a row that cannot be says why", "[study]") {
  const tests::Folder folder;
  const std::string path = folder.Write(
      "rows.csv", std::string(kHeader) +
                      "a,m,32,4096,32,8,128,14336,swiglu,128256,h100_sxm_80gb,1,1,bf16,\"vllm, new\",4,1024,128,0.1,"
                      "0.01,,,batch is the steady concurrency\n"
                      "a,m,32,4096,32,8,128,14336,swiglu,128256,h999,1,1,bf16,vllm,4,1024,128,0.1,0.01,,,\n"
                      "a,m,32,4096,32,8,128,14336,swiglu,128256,h100_sxm_80gb,3,1,bf16,vllm,4,1024,128,0.1,0.01,,,\n"
                      "b,m,32,4096,32,8,128,14336,swiglu,128256,a100_sxm_80gb,1,1,fp16,vllm 2023,4,0,1,,,0.02,,\n");
  const std::vector<InferenceRow> rows = ReadInferenceRows(path);
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].line == 2);
  CHECK(rows[0].steady);
  CHECK(rows[0].scenario->strategy.engine == "vllm");
  CHECK(rows[1].reason == "gpu = h999 is not known");
  CHECK(rows[2].reason.find("must divide") != std::string::npos);
  CHECK(rows[3].one_step);
  const InferenceScore score = ScoreInference(rows, nullptr);
  REQUIRE(score.rows.size() == 5);
  CHECK(score.rows[0].metric == "ttft");
  CHECK(score.rows[0].status == "shown");
  CHECK(score.rows[1].metric == "tpot");
  CHECK(score.rows[1].predicted_s > 0.005);
  CHECK(score.rows[2].status == "skipped");
  CHECK(score.rows[4].metric == "step");
}

TEST_CASE("a prediction depends on shapes, GPU and engine, not on what a row is called", "[study]") {
  const tests::Folder folder;
  const std::string shape = ",32,4096,32,8,128,14336,swiglu,128256,h100_sxm_80gb,1,1,bf16,trtllm,4,1024,128,,0.01,,,\n";
  const auto rows = ReadInferenceRows(folder.Write("rows.csv", std::string(kHeader) + "a,x" + shape + "b,y" + shape));
  const InferenceScore score = ScoreInference(rows, nullptr);
  CHECK(score.rows[0].predicted_s == score.rows[1].predicted_s);
}

TEST_CASE("a table without a column, or with a short row, is refused with its place", "[study]") {
  const tests::Folder folder;
  const auto complaint = [&](const std::string& text) {
    const std::string path = folder.Write("rows.csv", text);
    return tests::Complaint(folder, [&] { ReadInferenceRows(path); });
  };
  CHECK(complaint("source,model\na,b\n").find("rows.csv:1") != std::string::npos);
  CHECK(complaint(std::string(kHeader) + "a,b\n").find("rows.csv:2") != std::string::npos);
}

}  // namespace
}  // namespace isochrone::study
