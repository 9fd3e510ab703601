// What ranks cannot train is refused before a step begins, with key and remedy.
#include <catch2/catch.hpp>

#include <functional>

#include "base/error.h"
#include "executor/supported.h"
#include "tests/executor/tiny.h"

using namespace isochrone;
using namespace isochrone::executor;

namespace {

std::string Refusal(const std::function<void(plan::Scenario&)>& change) {
  plan::Scenario s = Tiny();
  s.model.file = "model.json";
  change(s);
  try {
    CheckSupported(s, "the CPU");
  } catch (const Error& e) {
    return e.where + ": " + e.fault + ": " + e.instead;
  }
  return "runs";
}

}  // namespace

TEST_CASE("models without a kernel are refused", "[executor]") {
  CHECK(Refusal([](plan::Scenario&) {}) == "runs");
  CHECK(Refusal([](plan::Scenario& s) { MakeMamba(s.model); }) == "runs");
  CHECK(Refusal([](plan::Scenario& s) { s.model.mla = plan::MlaSpec{}; }) ==
        "model.json: /mla: the CPU does not run latent attention: predict this model instead");
  CHECK(Refusal([](plan::Scenario& s) { s.model.mtp_layers = 1; }) ==
        "model.json: /mtp_layers: the CPU does not predict several tokens at once: use 0");
  CHECK(Refusal([](plan::Scenario& s) { s.model.position = plan::PositionKind::kAlibi; }) ==
        "model.json: /position: the CPU does not add ALiBi's biases: use learned, rotary or none");
  CHECK(Refusal([](plan::Scenario& s) { s.model.mlp = plan::MlpKind::kRelu; }) ==
        "model.json: /mlp: the CPU does not run relu: use gelu, swiglu, geglu or squared_relu");
  CHECK(Refusal([](plan::Scenario& s) { s.model.speech = plan::SpeechSpec{}; }).find("model.json: /speech: ") == 0);
}

TEST_CASE("updates other than AdamW in fp32 on the device are refused", "[executor]") {
  CHECK(Refusal([](plan::Scenario& s) { s.strategy.optimizer = plan::OptimizerKind::kSgd; }) ==
        "tiny.json: /strategy/optimizer: the CPU does not update with sgd: use adam");
  CHECK(Refusal([](plan::Scenario& s) { s.strategy.moment_dtype = plan::Dtype::kBf16; }) ==
        "tiny.json: /strategy/moment_dtype: the CPU does not keep moments in a format of their own: use fp32");
  CHECK(Refusal([](plan::Scenario& s) { s.strategy.optimizer_barrier = plan::OptimizerBarrier::kPostValidation; }) ==
        "tiny.json: /strategy/optimizer_barrier: the CPU does not roll updates back: use global_norm");
  CHECK(Refusal([](plan::Scenario& s) { s.strategy.offload_gradients = plan::OffloadTarget::kHost; }) ==
        "tiny.json: /strategy/offload_gradients: the CPU does not move state to host memory: use none");
}

TEST_CASE("heads that several ranks would hold, and windows that keys travel to, are refused", "[executor]") {
  CHECK(Refusal([](plan::Scenario& s) {
          s.model.kv_heads = 2;
          s.strategy.tensor = 4;
        }) ==
        "tiny.json: /strategy/tensor: the CPU does not copy key heads over tensor ranks: use a degree that divides "
        "kv_heads = 2");
  CHECK(Refusal([](plan::Scenario& s) {
          s.model.kv_heads = 2;
          s.strategy.context = 4;
          s.strategy.context_form = plan::ContextForm::kUlysses;
        }).find("tiny.json: /strategy/context: the CPU does not copy key heads over context ranks: ") == 0);
  CHECK(Refusal([](plan::Scenario& s) {
          s.model.window = 4;
          s.strategy.context = 2;
          s.strategy.context_form = plan::ContextForm::kAllGather;
        }) == "tiny.json: /strategy/context_form: the CPU does not run windows over context ranks: use ulysses");
}
