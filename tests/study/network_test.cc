#include "study/network.h"

#include <catch2/catch.hpp>

#include "study/predict.h"

using namespace isochrone;
using namespace isochrone::study;

namespace {

Prediction At(Fidelity fidelity, const std::string& scenario,
              sim::network::EngineChoice engine = sim::network::EngineChoice::kMaxMin) {
  return Predict(plan::ReadScenario("scenarios/examples/" + scenario), {.fidelity = fidelity, .engine = engine});
}

}  // namespace

TEST_CASE("on a network that never blocks a step takes as long as the event engine says", "[study][network]") {
  const Prediction event = At(Fidelity::kEvent, "gpt3_on_64_a100.json");
  const Prediction network = At(Fidelity::kNetwork, "gpt3_on_64_a100.json");
  // the two price a pipeline message apart: by fitted message times, by route and scattered parts
  CHECK(network.metrics.step_time / event.metrics.step_time == Approx(1).epsilon(0.01));
  CHECK(network.network->contention.value == 0);
  CHECK(network.metrics.attribution.Sum().value == Approx(network.metrics.step_time.value));
  CHECK_FALSE(event.network.has_value());
}

TEST_CASE("what reductions cost the compute beside them counts on the network too", "[study][network]") {
  for (const char* file : {"published/nemotron4_15b_dp96.json", "published/nemotron4_340b_dp16.json"}) {
    INFO(file);
    const plan::Scenario scenario = plan::ReadScenario(file);
    const Prediction event = Predict(scenario), network = Predict(scenario, {.fidelity = Fidelity::kNetwork});
    REQUIRE(event.pricing.step.compute_slowdown > 1.3);
    CHECK(network.metrics.step_time / event.metrics.step_time == Approx(1).epsilon(0.04));  // gradients go by routes
    CHECK(network.metrics.attribution.Sum().value == Approx(network.metrics.step_time.value));
    CHECK(network.result.ranks.front().Sum() == Approx(network.result.makespan));
    CHECK(network.metrics.attribution.data.value > 0);
  }
}

TEST_CASE("tensor, context and expert groups over nodes take what the event engine says while links are free",
          "[study][network]") {
  const auto both = [](plan::Scenario scenario) {
    const Prediction event = Predict(scenario), network = Predict(scenario, {.fidelity = Fidelity::kNetwork});
    CHECK(network.metrics.step_time / event.metrics.step_time == Approx(1).epsilon(0.01));  // messages, as above
    CHECK(network.metrics.attribution.Sum().value == Approx(network.metrics.step_time.value));
    return network;
  };
  const auto traffic = [](const Prediction& p, plan::Stream stream) {
    for (const LinkLine& link : p.network->links)
      for (const TrafficLine& line : link.traffic)
        if (line.stream == stream) return line.bytes.value;
    return 0.0;
  };
  plan::Scenario gpt = plan::ReadScenario("scenarios/examples/gpt3_on_64_a100.json");
  gpt.strategy.pipeline = 4;
  gpt.strategy.tensor = 16;
  CHECK(traffic(both(gpt), plan::Stream::kTensor) > 0);
  gpt.strategy.tensor = 8;
  gpt.strategy.context = 2;
  gpt.strategy.attention = plan::AttentionForm::kFlash;
  CHECK(traffic(both(gpt), plan::Stream::kContext) > 0);
  plan::Scenario mixtral = plan::ReadScenario("scenarios/examples/mixtral_on_64_h100.json");
  mixtral.strategy.tensor = mixtral.strategy.expert_tensor = 4;
  mixtral.strategy.pipeline = 2;
  mixtral.strategy.data = 8;
  CHECK(traffic(both(mixtral), plan::Stream::kExpert) > 0);
}

TEST_CASE("SimGrid and our solver play a step to the same end", "[study][network]") {
  const Prediction ours = At(Fidelity::kNetwork, "network/gpt_145b_leaf_4_to_1_data_inner.json");
  const Prediction theirs =
      At(Fidelity::kNetwork, "network/gpt_145b_leaf_4_to_1_data_inner.json", sim::network::EngineChoice::kSimGrid);
  CHECK(ours.metrics.step_time.value == Approx(theirs.metrics.step_time.value).epsilon(1e-6));
  CHECK(ours.network->contention.value == Approx(theirs.network->contention.value).epsilon(1e-3));
}

TEST_CASE("the narrower the leaves, the later the step, and the report names them", "[study][network]") {
  Seconds before;
  for (const std::string over : {"1", "2", "4"}) {
    const Prediction p = At(Fidelity::kNetwork, "network/gpt_145b_leaf_" + over + "_to_1_data_inner.json");
    CHECK(p.metrics.step_time > before);
    CHECK(p.metrics.attribution.Sum().value == Approx(p.metrics.step_time.value));
    before = p.metrics.step_time;
    REQUIRE_FALSE(p.network->links.empty());
    const LinkLine& worst = p.network->links[0];
    if (over == "1") {
      CHECK(worst.load.delay.value == 0);
    } else {
      CHECK(worst.name.find("leaf") == 0);
      CHECK(worst.name.find("spine0") != std::string::npos);
      CHECK(worst.traffic.size() == 2);  // gradients and pipeline messages meet there
    }
  }
}

TEST_CASE("messages cut by tensor rank gain what a card's share of them is worth", "[study][network]") {
  const Prediction scattered = At(Fidelity::kNetwork, "network/gpt3_on_96_scattered.json");
  const Prediction whole = At(Fidelity::kNetwork, "network/gpt3_on_96_whole.json");
  const double gain = whole.metrics.step_time / scattered.metrics.step_time - 1;
  CHECK(gain > 0.05);  // arXiv:2104.04473, section 5.7: up to 11 % for the interleaved schedule
  CHECK(gain < 0.12);
}

TEST_CASE("where links are shared, the answer says what the other placement costs", "[study][network]") {
  const Prediction p = At(Fidelity::kNetwork, "network/gpt_145b_leaf_2_to_1_data_inner.json");
  const Prediction other = At(Fidelity::kNetwork, "network/gpt_145b_leaf_2_to_1_pipeline_inner.json");
  REQUIRE(p.network->elsewhere.has_value());
  CHECK(p.network->elsewhere->order == plan::RankOrder::kPipelineInner);
  CHECK(p.network->elsewhere->step_time.value == other.metrics.step_time.value);
  CHECK(p.network->elsewhere->contention.value == other.network->contention.value);
  CHECK(p.network->elsewhere->step_time < p.metrics.step_time);
  CHECK_FALSE(At(Fidelity::kNetwork, "gpt3_on_64_a100.json").network->elsewhere.has_value());
}
