#pragma once

#include <string>
#include <vector>

namespace isochrone::plan {

// The words of the enumerations of scenario.h, in the order of the enumerators.
const std::vector<std::string>& MlpNames();               // "gelu", "swiglu", …
const std::vector<std::string>& NormNames();              // "layer", "rms"
const std::vector<std::string>& PositionNames();          // "learned", "rotary", "alibi", "none"
const std::vector<std::string>& NodeLinkNames();          // "none", "nvswitch", "nvlink_mesh", "nvlink_pairs", "pcie"
const std::vector<std::string>& RecomputeNames();         // "none", "selective", "selective_op", "full"
const std::vector<std::string>& ShardingNames();          // "none", "zero1", "zero2", "zero3"
const std::vector<std::string>& AttentionFormNames();     // "unfused", "flash"
const std::vector<std::string>& ContextFormNames();       // "ring", "all_gather", "ulysses"
const std::vector<std::string>& ExpertDispatchNames();    // "every_copy", "once_per_rank"
const std::vector<std::string>& OffloadNames();           // "none", "host", "nvme"
const std::vector<std::string>& RecurrentNames();         // "rnn", "gru", "lstm"
const std::vector<std::string>& OptimizerBarrierNames();  // "global_norm", "post_validation"
const std::vector<std::string>& RankOrderNames();         // "data_inner", "pipeline_inner"
const std::vector<std::string>& OptimizerNames();         // "adam", "adam8bit", "galore_adam", "sgd"

/// Frameworks that a profile exists for: what surrounds the kernels of a step.
const std::vector<std::string>& FrameworkNames();
const std::vector<std::string>& Fp8RecipeNames();  // scaling of fp8 operands: "delayed", "tensorwise", …

}  // namespace isochrone::plan
