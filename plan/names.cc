// The words of the enumerations, in one place: JSON, text forms, reports and traces all use these.
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/op.h"
#include "plan/program.h"

namespace isochrone::plan {

const std::vector<std::string>& DtypeNames() {
  static const std::vector<std::string> names = {"fp64",  "fp32",  "tf32",  "fp16", "bf16", "fp8",
                                                 "mxfp8", "nvfp4", "int32", "int8", "int4", "mask"};
  return names;
}
const std::string& NameOf(Dtype dtype) { return DtypeNames().at(static_cast<std::size_t>(dtype)); }

const char* NameOf(Stream stream) {
  static constexpr const char* kNames[kStreams] = {"compute",  "tensor", "context", "expert",
                                                   "pipeline", "data",   "copy"};
  return kNames[static_cast<int>(stream)];
}

const char* NameOf(Group group) {
  static constexpr const char* kNames[kGroups] = {"tensor",        "context",     "data",     "data_context", "expert",
                                                  "expert_tensor", "expert_data", "pipeline", "embedding",    "model",
                                                  "world",         "shard",       "replica",  "twin"};
  return kNames[static_cast<int>(group)];
}

const char* NameOf(ElementwiseKind kind) {
  static constexpr const char* kNames[] = {
      "bias", "gelu",  "swiglu", "geglu", "squared_relu", "silu", "dropout", "add", "bias_gelu", "bias_dropout_add",
      "rope", "scale", "cast",   "copy",  "multiply",     "zero", "relu"};
  return kNames[static_cast<int>(kind)];
}

const char* NameOf(CollectiveKind kind) {
  static constexpr const char* kNames[] = {"all_reduce", "all_gather", "reduce_scatter",
                                           "all_to_all", "broadcast",  "ring"};
  return kNames[static_cast<int>(kind)];
}

const char* NameOf(BufferKind kind) {
  static constexpr const char* kNames[] = {"parameter",  "gradient",  "optimizer",
                                           "activation", "workspace", "communication"};
  return kNames[static_cast<int>(kind)];
}

const char* NameOf(Phase phase) {
  static constexpr const char* kNames[kPhases] = {"forward",        "recompute",       "backward",
                                                  "backward_input", "backward_weight", "overlapped"};
  return kNames[static_cast<int>(phase)];
}

double Buffer::Elements() const {
  double n = 1;
  for (auto d : shape) n *= static_cast<double>(d);
  return n;
}

}  // namespace isochrone::plan
