#include "plan/scenario_names.h"

namespace isochrone::plan {

using Names = std::vector<std::string>;

const Names& MlpNames() {
  static const Names names = {"gelu", "swiglu", "geglu", "squared_relu", "relu"};
  return names;
}
const Names& NormNames() {
  static const Names names = {"layer", "rms"};
  return names;
}
const Names& PositionNames() {
  static const Names names = {"learned", "rotary", "alibi", "none"};
  return names;
}
const Names& NodeLinkNames() {
  static const Names names = {"none", "nvswitch", "nvlink_mesh", "nvlink_pairs", "pcie"};
  return names;
}
const Names& RecomputeNames() {
  static const Names names = {"none", "selective", "selective_op", "full"};
  return names;
}
const Names& ShardingNames() {
  static const Names names = {"none", "zero1", "zero2", "zero3"};
  return names;
}
const Names& AttentionFormNames() {
  static const Names names = {"unfused", "flash"};
  return names;
}
const Names& ContextFormNames() {
  static const Names names = {"ring", "all_gather", "ulysses"};
  return names;
}
const Names& ExpertDispatchNames() {
  static const Names names = {"every_copy", "once_per_rank"};
  return names;
}
const Names& OffloadNames() {
  static const Names names = {"none", "host", "nvme"};
  return names;
}
const Names& OptimizerBarrierNames() {
  static const Names names = {"global_norm", "post_validation"};
  return names;
}
const Names& RecurrentNames() {
  static const Names names = {"rnn", "gru", "lstm"};
  return names;
}
const Names& RankOrderNames() {
  static const Names names = {"data_inner", "pipeline_inner"};
  return names;
}
const Names& OptimizerNames() {
  static const Names names = {"adam", "adam8bit", "galore_adam", "sgd"};
  return names;
}
const Names& FrameworkNames() {
  static const Names names = {"megatron_core",
                              "megatron_lm_2019",
                              "megatron_lm_2021",
                              "megatron_lm_2022",
                              "megatron_deepspeed",
                              "fsdp",
                              "fsdp2",
                              "other"};
  return names;
}
const Names& Fp8RecipeNames() {
  static const Names names = {"delayed", "tensorwise", "rowwise", "blockwise"};
  return names;
}

}  // namespace isochrone::plan
