#include <catch2/catch.hpp>

#include "plan/parameters.h"
#include "plan/scenario.h"
#include "plan/strategy.h"
#include "tests/plan/scenario_files.h"

using namespace isochrone;
using namespace isochrone::plan;
using isochrone::tests::Complaint;
using isochrone::tests::Folder;

namespace {

Model ModelOf(const std::string& text) {
  const Folder folder;
  return ReadModel(folder.Write("config.json", text));
}
double Parameters(const std::string& text) { return ParametersOf(ModelOf(text)).Total(); }

Scenario WithArguments(const std::string& arguments, const std::string& strategy = "") {
  const Folder folder;
  return ReadScenario(folder.Write("s.json", R"({ "megatron_arguments": ")" + arguments + R"(",
    "cluster": { "node": "hardware/dgx_a100_80gb.json", "nodes": 8 })" +
                                                 strategy + "}"));
}

const std::string kGpt =
    "--num-layers 96 --hidden-size 12288 --num-attention-heads 96 --seq-length 2048 --vocab-size 50257 "
    "--tensor-model-parallel-size 8 --pipeline-model-parallel-size 8 --micro-batch-size 1 --global-batch-size 64 "
    "--fp16 ";

}  // namespace

TEST_CASE("a Hugging Face configuration gives the parameters of its checkpoint", "[huggingface]") {
  CHECK(
      Parameters(R"({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 32, "vocab_size": 32000, "max_position_embeddings": 4096,
    "tie_word_embeddings": false, "rms_norm_eps": 1e-05})") == 6'738'415'616);
  CHECK(Parameters(
            R"({"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 32000, "max_position_embeddings": 32768,
    "sliding_window": 4096, "tie_word_embeddings": false})") == 7'241'732'096);
  CHECK(Parameters(
            R"({"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 32000, "num_local_experts": 8,
    "num_experts_per_tok": 2, "sliding_window": null, "max_position_embeddings": 32768})") == 46'702'792'704);
  CHECK(Parameters(R"({"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
    "vocab_size": 50257, "n_inner": null})") == 124'439'808);
  // BLOOM 560M normalises its embeddings: 2 H more.
  CHECK(Parameters(R"({"model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16,
    "vocab_size": 250880, "seq_length": 2048})") +
            2 * 1024 ==
        559'214'592);
  CHECK(Parameters(
            R"({"model_type": "gpt_neox", "hidden_size": 6144, "intermediate_size": 24576, "num_attention_heads": 64,
    "num_hidden_layers": 44, "vocab_size": 50432, "max_position_embeddings": 2048,
    "tie_word_embeddings": false})") == 20'554'567'680);
}

TEST_CASE("DeepSeek-V3's configuration is the model of the catalogue", "[huggingface]") {
  const Model read = ModelOf(R"({"model_type": "deepseek_v3", "first_k_dense_replace": 3, "hidden_size": 7168,
    "intermediate_size": 18432, "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1,
    "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 128, "num_experts_per_tok": 8,
    "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280,
    "max_position_embeddings": 163840, "tie_word_embeddings": false})");
  const Model ours = ReadModel("models/deepseek_v3.json");
  CHECK(ParametersOf(read).Total() == ParametersOf(ours).Total());
  CHECK(ParametersOf(read).Active() == ParametersOf(ours).Active());
}

TEST_CASE("Qwen 2 is read as if its queries, keys and values had no biases", "[huggingface]") {
  const Model qwen = ModelOf(R"({"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944,
    "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4, "vocab_size": 152064,
    "max_position_embeddings": 131072, "sliding_window": 131072, "use_sliding_window": false})");
  CHECK(qwen.window == 0);
  // Qwen 2.5 7B: 7,615,616,512 with the biases of its 28 · (3584 + 2 · 512) projections.
  CHECK(ParametersOf(qwen).Total() + 28 * (3584 + 2 * 512) == 7'615'616'512);
}

TEST_CASE("an unknown architecture is refused with the known ones", "[huggingface]") {
  const Folder folder;
  const std::string file = folder.Write("config.json", R"({"model_type": "rwkv"})");
  CHECK(Complaint(folder, [&] { ReadModel(file); }) ==
        "config.json: /model_type = \"rwkv\"\n"
        "  is not known here\n"
        "  known: bloom, deepseek_v3, gpt2, gpt_neox, llama, mistral, mixtral and qwen2");
}

TEST_CASE("Megatron-LM's arguments are a model, a batch and a strategy", "[megatron]") {
  const Scenario s = WithArguments(kGpt +
                                   "--num-layers-per-virtual-pipeline-stage 4 --recompute-granularity selective "
                                   "--sequence-parallel --use-distributed-optimizer --lr 0.1 --log-interval 1");
  CHECK(ParametersOf(s.model).Total() == ParametersOf(ReadModel("models/gpt3_175b.json")).Total());
  CHECK(s.model.vocabulary == 51200);  // padded to a multiple of 128 · 8
  CHECK(s.batch.sequences == 64);
  CHECK(s.strategy.tensor == 8);
  CHECK(s.strategy.pipeline == 8);
  CHECK(s.strategy.data == 1);
  CHECK(s.strategy.chunks_per_rank == 3);
  CHECK(s.strategy.schedule == ScheduleKind::kInterleaved1f1b);
  CHECK(s.strategy.recompute == Recompute::kSelective);
  CHECK(s.strategy.sequence_parallel);
  CHECK(s.strategy.optimizer_sharding == Sharding::kZero1);
  CHECK(s.strategy.precision == Dtype::kFp16);
  CHECK(s.strategy.gradient_dtype == Dtype::kFp16);
  CHECK(s.notes == std::vector<std::string>{"ignored --log-interval 1", "ignored --lr 0.1"});
}

TEST_CASE("a strategy beside the arguments adds to them and may not repeat them", "[megatron]") {
  CHECK(WithArguments(kGpt, R"(, "strategy": { "attention": "unfused" })").strategy.attention ==
        AttentionForm::kUnfused);
  const Folder folder;
  CHECK(Complaint(folder, [] { WithArguments(kGpt, R"(, "strategy": { "tensor": 4 })"); }).find("is given twice") !=
        std::string::npos);
}

TEST_CASE("a file of Megatron-LM arguments is a model", "[megatron]") {
  const Folder folder;
  const std::string file = folder.Write("run.sh", R"(
    # Llama 3 8B
    --num-layers 32 --hidden-size 4096 --num-attention-heads 32 \
    --ffn-hidden-size 14336 --group-query-attention --num-query-groups=8 --swiglu --normalization RMSNorm \
    --position-embedding-type "rope" --disable-bias-linear --untie-embeddings-and-output-weights \
    --seq-length 8192 --vocab-size 128256)");
  CHECK(ParametersOf(ReadModel(file)).Total() == 8'030'261'248);
}

TEST_CASE("arguments that are missing, doubled or no numbers are named", "[megatron]") {
  const auto said = [](const std::string& text) {
    const Folder folder;
    const std::string file = folder.Write("run.sh", text);
    return Complaint(folder, [&] { ReadModel(file); });
  };
  CHECK(said("--num-layers 2 --hidden-size x") ==
        "run.sh: --hidden-size x\n  must be a whole number from 0 to 1000000000");
  CHECK(said("--num-layers 2 --num-layers 3") == "run.sh: --num-layers\n  is given twice\n  keep one of them");
  CHECK(said("--num-layers 2") == "run.sh\n  lacks the argument --hidden-size\n  add --hidden-size");
}
