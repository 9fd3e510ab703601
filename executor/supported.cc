#include "executor/supported.h"

#include <utility>

#include "base/error.h"
#include "plan/scenario_names.h"

namespace isochrone::executor {
namespace {

using plan::OffloadTarget;

struct Refusals {
  const plan::Scenario& scenario;
  const std::string& who;

  void Model(bool absent, const std::string& key, const std::string& what, const std::string& instead) const {
    if (absent) throw Error(scenario.model.file + ": /" + key, who + " does not " + what, instead);
  }
  void Strategy(bool absent, const std::string& key, const std::string& what, const std::string& instead) const {
    if (absent) throw Error(scenario.file + ": /strategy/" + key, who + " does not " + what, instead);
  }
};

constexpr char kPredict[] = "predict this model instead";

void CheckModel(const plan::Model& m, const Refusals& refuse) {
  refuse.Model(m.speech.has_value(), "speech", "run convolutions of two dimensions and recurrent layers", kPredict);
  refuse.Model(m.mla.has_value(), "mla", "run latent attention", kPredict);
  refuse.Model(m.mtp_layers > 0, "mtp_layers", "predict several tokens at once", "use 0");
  refuse.Model(m.position == plan::PositionKind::kAlibi, "position", "add ALiBi's biases",
               "use learned, rotary or none");
  refuse.Model(m.mlp == plan::MlpKind::kRelu, "mlp", "run relu", "use gelu, swiglu, geglu or squared_relu");
}

void CheckUpdate(const plan::Strategy& y, const Refusals& refuse) {
  refuse.Strategy(y.optimizer != plan::OptimizerKind::kAdam, "optimizer",
                  "update with " + plan::OptimizerNames()[static_cast<std::size_t>(y.optimizer)], "use adam");
  refuse.Strategy(y.moment_dtype != plan::Dtype::kFp32, "moment_dtype", "keep moments in a format of their own",
                  "use fp32");
  refuse.Strategy(y.optimizer_barrier != plan::OptimizerBarrier::kGlobalNorm, "optimizer_barrier", "roll updates back",
                  "use global_norm");
  const std::pair<const char*, OffloadTarget> targets[] = {{"offload_optimizer", y.offload_optimizer},
                                                           {"offload_parameters", y.offload_parameters},
                                                           {"offload_gradients", y.offload_gradients},
                                                           {"offload_activations", y.offload_activations}};
  for (const auto& [key, target] : targets)
    refuse.Strategy(target != OffloadTarget::kNone, key, "move state to host memory", "use none");
}

void CheckHeads(const plan::Model& m, const plan::Strategy& y, const Refusals& refuse) {
  refuse.Strategy(m.kv_heads % y.tensor != 0, "tensor", "copy key heads over tensor ranks",
                  "use a degree that divides kv_heads = " + std::to_string(m.kv_heads));
  if (y.context == 1) return;
  const bool exchanged = y.context_form == plan::ContextForm::kUlysses;
  refuse.Strategy(!exchanged && m.window > 0, "context_form", "run windows over context ranks", "use ulysses");
  const std::int64_t heads = m.kv_heads / y.tensor;
  refuse.Strategy(
      exchanged && heads % y.context != 0, "context", "copy key heads over context ranks",
      "use a degree that divides the " + std::to_string(heads) + " key heads of a tensor rank, or context_form ring");
}

}  // namespace

void CheckSupported(const plan::Scenario& scenario, const std::string& who) {
  const Refusals refuse{scenario, who};
  CheckModel(scenario.model, refuse);
  CheckUpdate(scenario.strategy, refuse);
  CheckHeads(scenario.model, scenario.strategy, refuse);
}

}  // namespace isochrone::executor
