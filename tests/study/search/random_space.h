#pragma once

#include <random>
#include <string>
#include <vector>

namespace isochrone::study {

/// A sweep file by chance: a model, a small cluster, and lists for a few strategy keys of any kind.
inline std::string RandomSweep(std::mt19937& random, int most_axes, int most_nodes) {
  const auto one_of = [&](const std::vector<std::string>& all) { return all[random() % all.size()]; };
  struct Choice {
    std::string key, values;
  };
  static const std::vector<Choice> choices = {
      {"schedule", R"(["1f1b", "interleaved_1f1b", "zb_h1", "zb_v"])"},
      {"schedule", R"(["gpipe", "zb_h2", "v_half", "v_min", "dualpipe", "dualpipe_v", "1f1b"])"},
      {"chunks_per_rank", "[1, 2, 3]"},
      {"account_embedding_in_split", "[false, true]"},
      {"first_stage_layers", "[0, 3]"},
      {"last_stage_layers", "[0, 2]"},
      {"context", "[1, 2]"},
      {"context_form", R"(["ring", "all_gather"])"},
      {"expert", "[1, 2, 4]"},
      {"expert_tensor", "[1, 2]"},
      {"sequence_parallel", "[false, true]"},
      {"overlap_tensor", "[false, true]"},
      {"overlap_data", "[false, true]"},
      {"overlap_parameter_gather", "[false, true]"},
      {"overlap_pipeline", "[false, true]"},
      {"scatter_gather", "[true, false]"},
      {"rank_order", R"(["data_inner", "pipeline_inner"])"},
      {"recompute", R"(["none", "selective", "full"])"},
      {"recompute", R"(["full", "none"])"},
      {"recompute_layers", "[0, 2]"},
      {"optimizer_sharding", R"(["none", "zero1", "zero2", "zero3"])"},
      {"optimizer_sharding", R"(["zero3", "none"])"},
      {"shard_group", "[0, 2, 4]"},
      {"zero2_reduce_every_microbatch", "[false, true]"},
      {"offload_optimizer", R"(["none", "host"])"},
      {"offload_parameters", R"(["none", "host"])"},
      {"offload_gradients", R"(["none", "host"])"},
      {"offload_activations", R"(["none", "host"])"},
      {"attention", R"(["flash", "unfused"])"},
      {"gradient_dtype", R"(["fp32", "bf16"])"},
      {"optimizer_barrier", R"(["global_norm", "post_validation"])"},
      {"fused_gradient_accumulation", "[true, false]"},
      {"framework", R"(["megatron_core", "megatron_lm_2021", "megatron_deepspeed", "fsdp"])"},
  };
  std::string strategy = R"("tensor": [1, 2, 4], "pipeline": [1, 2, 3, 4, 8])", taken = "tensor pipeline ";
  for (int i = 0; i < most_axes; ++i) {
    const Choice& choice = choices[random() % choices.size()];
    if (taken.find(choice.key + " ") != std::string::npos) continue;
    taken += choice.key + " ";
    strategy += ", \"" + choice.key + "\": " + choice.values;
  }
  const std::string model =
      one_of({R"("models/gpt_1.7b.json")", R"("models/gpt_3.6b.json")", R"("models/llama3_8b.json")",
              R"("models/mixtral_8x7b.json")", R"("models/mamba2_hybrid_8b.json")",
              R"({"base": "models/gpt_3.6b.json", "vocabulary": 50257})"});
  const std::string node = one_of({"dgx_a100_80gb", "dgx_h100"});
  const int nodes = 1 + static_cast<int>(random() % static_cast<unsigned>(most_nodes));
  const int sequences = 8 << random() % 4;
  return R"({"model": )" + model + R"(, "cluster": {"node": "hardware/)" + node + R"(.json", "nodes": )" +
         std::to_string(nodes) + R"(}, "batch": {"sequences": )" + std::to_string(sequences) +
         R"(, "microbatch": [1, 2, 4]}, "strategy": {)" + strategy + "}";
}

}  // namespace isochrone::study
