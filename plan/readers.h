#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "plan/catalogue.h"
#include "plan/fields.h"
#include "plan/scenario.h"

// Readers of the parts of a scenario, shared by the files that implement ReadScenario.
namespace isochrone::plan {

/// Opens a file as an object in our own keys.
using Open = Json (*)(const Found&);

/// An object over its "base", that over its own, and so on.
struct Part {
  Fields fields;
  std::vector<Found> places;  // the files that the objects stand in, uppermost first
  /// Where references in `value`, a value of `fields`, start from.
  const Found& PlaceOf(const Json& value) const;
};

/// What a "model", "cluster", "node" or "gpu" value stands for: itself, or the file that it names; with bases followed.
Part PartOf(const Json& value, const Found& beside, Open open);
/// The same for an object that is at hand.
Part PartFrom(const Json& object, const Found& place, Open open);

/// A model file in the project's own keys, whatever form it has: ours, a Hugging Face config.json, Megatron-LM
/// arguments.
Json OpenModel(const Found& file);
Model ModelFrom(const Fields& fields, const std::string& file);

Gpu GpuFrom(const Fields& fields);
Node NodeFrom(const Part& part);
Cluster ClusterFrom(const Json& value, const Found& beside);

/// A scenario as its file says it, not yet checked. `file` is where references start from.
Scenario ScenarioFrom(const Json& root, const Found& file);

/// True for a Hugging Face configuration; its model in our keys. Throws Error where the architecture is not known.
bool IsHuggingFace(const Json& config);
Json FromHuggingFace(const Json& config);

/// Megatron-LM's command line as the "model", "batch" and "strategy" objects of a scenario, in our keys. `ignored`
/// lists the arguments that say nothing about time or memory, or that are not known here.
struct MegatronArguments {
  Json scenario;  // {"model": …, "batch": …, "strategy": …}; batch and strategy hold only what was given
  std::vector<std::string> ignored;
};
bool LooksLikeMegatron(const std::string& text);
MegatronArguments FromMegatron(const std::string& text, const std::string& name);

}  // namespace isochrone::plan
