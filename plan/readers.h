#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "plan/catalogue.h"
#include "plan/fields.h"
#include "plan/scenario.h"

// Readers of the parts of a scenario, shared by the files that implement ReadScenario.
namespace isochrone::plan {

/// The object that a "model", "cluster" or "node" value stands for: itself, the file it names, or itself over its
/// "base".
struct Part {
  Fields fields;
  Found file;    // the base, or `beside` where there is none
  Found beside;  // the file in which the value stands
  /// Where references in `value`, a value of `fields`, start from.
  const Found& PlaceOf(const Json& value) const { return value.FileName() == file.name ? file : beside; }
};
Part PartOf(const Json& value, const Found& beside, Fields (*open)(const Found&));

/// A model file in the project's own keys, whatever form it has: ours, a Hugging Face config.json, Megatron-LM
/// arguments.
Fields OpenModel(const Found& file);
Model ModelFrom(const Fields& fields, const std::string& file);

Gpu GpuFrom(const Fields& fields);
Node NodeFrom(const Part& part);
Cluster ClusterFrom(const Json& value, const Found& beside);
Fields OpenPlain(const Found& file);

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
