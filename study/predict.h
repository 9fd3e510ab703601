#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "costmodel/costs.h"
#include "plan/metrics.h"
#include "plan/plan.h"
#include "plan/scenario.h"
#include "sim/event.h"
#include "study/network.h"
#include "study/pricing.h"

namespace isochrone::study {

enum class Fidelity { kAnalytic, kEvent, kNetwork };
const std::vector<std::string>& FidelityNames();

struct PredictOptions {
  Fidelity fidelity = Fidelity::kEvent;
  bool timeline = false;
  sim::network::EngineChoice engine = sim::network::EngineChoice::kMaxMin;  // of the network fidelity
  std::optional<costmodel::FrameworkProfile> framework = {};                // in place of the catalogue's
  std::shared_ptr<const costmodel::EfficiencyProfile> profile = {};         // of the GPU, in place of the catalogue's
  bool elsewhere = true;  // at network fidelity, also plays the other placement where this one shares links
};

/// One kind of op over the whole step, on the reported rank.
struct OperationLine {
  std::string program, name;
  plan::Phase phase = plan::Phase::kForward;
  const plan::Op* op = nullptr;  // into Prediction::plan
  double count = 0;              // times a step
  double seconds = 0;            // each, alone
  double Total() const { return count * seconds; }
};

struct Prediction {
  plan::Scenario scenario;
  plan::Plan plan;
  Pricing pricing;
  plan::Metrics metrics;
  sim::StepResult result;
  std::vector<OperationLine> operations;  // longest first
  Fidelity fidelity = Fidelity::kEvent;
  std::optional<NetworkAnswer> network;  // at network fidelity; then `pricing.step` has what ops took on it
};

/// How long one step of `scenario` takes, what fits, where the time goes.
/// Throws Error where the scenario asks for what cannot be built.
Prediction Predict(const plan::Scenario& scenario, const PredictOptions& options = {});

/// The prices that `Predict` uses, for explain.
costmodel::Costs CostsOf(const plan::Scenario& scenario, const PredictOptions& options = {});

}  // namespace isochrone::study
