#include "study/row_scenario.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "plan/catalogue.h"
#include "plan/parameters.h"
#include "plan/scenario_names.h"
#include "plan/strategy.h"
#include "study/usual_nodes.h"

namespace isochrone::study {
namespace {

using plan::Model;
using plan::Strategy;

constexpr std::int64_t kMost = 1 << 26;

/// The value of a key, or nothing where it is absent, null or "unstated".
std::optional<Json> Stated(const Json& object, const char* key) {
  if (!object.Has(key)) return std::nullopt;
  const Json value = object.At(key);
  if (value.IsNull() || (value.IsString() && value.String() == "unstated")) return std::nullopt;
  return value;
}
std::int64_t Whole(const Json& object, const char* key, std::int64_t most = kMost) {
  return object.At(key).Int(1, most);
}
int WholeOr(const Json& object, const char* key, int absent) {
  const auto value = Stated(object, key);
  return value ? static_cast<int>(value->Int(0, 1 << 20)) : absent;
}

// ---- model ----------------------------------------------------------------------------------------------------------

plan::MoeSpec MoeOf(const Json& object) {
  plan::MoeSpec moe;
  moe.experts = static_cast<int>(Whole(object, "experts", 1 << 16));
  moe.topk = static_cast<int>(Whole(object, "topk", moe.experts));
  moe.ffn = Whole(object, "moe_ffn");
  moe.shared_experts = WholeOr(object, "shared", 0);
  moe.shared_ffn = moe.shared_experts * moe.ffn;
  moe.dense_layers = WholeOr(object, "dense_layers", 0);
  if (const auto factor = Stated(object, "capacity_factor")) moe.capacity_factor = factor->Number(0, 1000);
  if (const auto padded = Stated(object, "padded")) moe.padded = padded->Bool();
  return moe;
}

plan::MlaSpec MlaOf(const Json& object) {
  plan::MlaSpec mla;
  mla.q_lora = WholeOr(object, "q_lora", 0);
  mla.kv_lora = static_cast<int>(Whole(object, "kv_lora"));
  mla.qk_nope = static_cast<int>(Whole(object, "qk_nope"));
  mla.qk_rope = WholeOr(object, "qk_rope", 0);
  mla.v = static_cast<int>(Whole(object, "v"));
  return mla;
}

bool IsFsdp(const std::string& framework) { return framework == "fsdp" || framework == "fsdp2"; }

/// What the schema leaves to the kind of model.
void SetConventions(const std::string& framework, Model& model) {
  const bool gelu = model.mlp == plan::MlpKind::kGelu,
             gated = model.mlp == plan::MlpKind::kSwiglu || model.mlp == plan::MlpKind::kGeglu;
  model.normalization = gated ? plan::NormKind::kRms : plan::NormKind::kLayer;
  model.position = gelu ? plan::PositionKind::kLearned : plan::PositionKind::kRotary;
  model.linear_bias = gelu && !IsFsdp(framework);
  model.dropout = framework.starts_with("megatron_lm") ? 0.1 : 0;
}

Model ModelOf(const Json& object, const std::string& framework, const std::string& file) {
  Model model;
  model.file = file;
  const auto name = Stated(object, "name");
  model.name = name ? name->String() : "model";
  model.layers = static_cast<int>(Whole(object, "layers", 10'000));
  model.hidden = Whole(object, "hidden", 1 << 20);
  model.heads = Whole(object, "heads", 1 << 16);
  const auto kv_heads = Stated(object, "kv_heads");
  model.kv_heads = kv_heads ? kv_heads->Int(1, 1 << 16) : model.heads;
  model.head_dim = Whole(object, "head_dim", 1 << 16);
  model.ffn = Whole(object, "ffn");
  model.mlp = static_cast<plan::MlpKind>(object.At("mlp").OneOf(plan::MlpNames()));
  model.sequence = Whole(object, "seq");
  model.vocabulary = Whole(object, "vocab");
  model.tied_embeddings = object.At("tied_embeddings").Bool();
  if (const auto moe = Stated(object, "moe")) model.moe = MoeOf(*moe);
  if (const auto mla = Stated(object, "mla")) model.mla = MlaOf(*mla);
  model.mtp_layers = WholeOr(object, "mtp_layers", 0);
  if (const auto window = Stated(object, "window")) {
    model.window = Whole(*window, "tokens");
    model.window_every = std::max(1, WholeOr(*window, "every", 1));
  }
  SetConventions(framework, model);
  return model;
}

// ---- hardware -------------------------------------------------------------------------------------------------------

std::string KnownGpu(const Json& gpu) {
  std::string name = UsualNameOf(gpu.String());
  if (!name.empty()) return name;
  std::vector<std::string> known;
  for (const auto& [one, node] : UsualNodes()) known.push_back(one);
  return known[gpu.OneOf(known)];  // fails, and names them
}

/// The node with another number of GPUs in its NVLink domain, and network cards in proportion.
void Resize(plan::Node& node, int gpus) {
  node.nics = std::max(1, node.nics * gpus / node.gpus);
  node.gpus = gpus;
  node.domain_gpus = node.link == plan::NodeLink::kNvlinkPairs ? std::min(2, gpus) : gpus;
}

plan::Cluster ClusterOf(const Json& object, NodeCache& cache) {
  plan::Cluster cluster;
  const Json gpu = object.At("gpu");
  cluster.node = UsualNodeOf(KnownGpu(gpu), cache);
  const int gpus = static_cast<int>(Whole(object, "gpus", 10'000'000));
  const int per_node = WholeOr(object, "gpus_per_node", cluster.node.gpus);
  if (per_node < 1 || per_node > 1024) object.At("gpus_per_node").Fail("is out of range");
  // A row counts an NVLink domain of several servers (GB200 NVL72) as one node.
  if (per_node != cluster.node.domain_gpus) Resize(cluster.node, per_node);
  cluster.nodes = (gpus + cluster.node.gpus - 1) / cluster.node.gpus;
  if (const auto network = Stated(object, "inter_node_gbit_per_s_per_node")) {
    const double domains = static_cast<double>(per_node) / cluster.node.gpus;
    const double bytes_per_s = network->Number(1e-3, 1e7) * kGiga / 8;
    cluster.node.nic_bandwidth = BytesPerSecond(bytes_per_s / domains / cluster.node.nics);
  }
  cluster.name = std::to_string(gpus) + " x " + cluster.node.gpu.name;
  return cluster;
}

// ---- strategy -------------------------------------------------------------------------------------------------------

/// Writes down what a row left open.
class Assumptions {
 public:
  explicit Assumptions(Row& row) : row_(row) {}
  template <class T>
  T Take(const char* key, const std::string& shown, T value) {
    row_.assumed.push_back(std::string(key) + " = " + shown);
    return value;
  }
  bool Flag(const Json& parallel, const char* key, bool absent) {
    if (const auto value = Stated(parallel, key)) return value->Bool();
    return Take(key, absent ? "true" : "false", absent);
  }

 private:
  Row& row_;
};

// Rows say "compile" of runs with PyTorch's second FSDP, which came with the compiler.
std::string FrameworkOf(const Json& parallel, Row& row) {
  const auto stated = Stated(parallel, "framework");
  const std::string said = stated ? stated->String() : "other";
  const std::string name = said == "fsdp" && Stated(parallel, "compile") ? "fsdp2" : said;
  const auto& known = plan::FrameworkNames();
  if (std::find(known.begin(), known.end(), name) != known.end()) return name;
  row.assumed.push_back("framework = other (for " + name + ")");
  return "other";
}

bool IsMegatron(const Strategy& s) { return s.framework.starts_with("megatron"); }
bool IsMegatronCore(const Strategy& s) { return s.framework == "megatron_core"; }

void ReadDegrees(const Json& parallel, Strategy& s) {
  s.tensor = static_cast<int>(Whole(parallel, "tp", 1 << 20));
  s.pipeline = static_cast<int>(Whole(parallel, "pp", 1 << 20));
  s.data = static_cast<int>(Whole(parallel, "dp", 1 << 20));
  s.context = std::max(1, WholeOr(parallel, "cp", 1));
  s.expert = std::max(1, WholeOr(parallel, "ep", 1));
  s.expert_tensor = std::max(1, WholeOr(parallel, "etp", 1));
  s.shard_group = WholeOr(parallel, "zero_group", 0);
}

/// Where schedule and chunks of a row disagree, the chunks decide: Megatron interleaves where a rank holds several.
void AgreeOnChunks(Assumptions& assume, Strategy& s) {
  using plan::ScheduleKind;
  if (s.pipeline == 1 && s.chunks_per_rank > 1) s.chunks_per_rank = assume.Take("vpp", "1", 1);
  const bool several = s.chunks_per_rank > 1;
  if (several && s.schedule == ScheduleKind::k1f1b)
    s.schedule = assume.Take("schedule", "interleaved_1f1b", ScheduleKind::kInterleaved1f1b);
  if (!several && s.schedule == ScheduleKind::kInterleaved1f1b)
    s.schedule = assume.Take("schedule", "1f1b", ScheduleKind::k1f1b);
}

void ReadSchedule(const Json& parallel, int layers, Assumptions& assume, Strategy& s) {
  using plan::ScheduleKind;
  static const std::map<std::string, ScheduleKind> kinds = {
      {"none", ScheduleKind::k1f1b}, {"zb_1p", ScheduleKind::kZbAuto1p}, {"zb_2p", ScheduleKind::kZbAuto2p}};
  const auto stated = Stated(parallel, "schedule");
  if (!stated) s.schedule = assume.Take("schedule", "1f1b", ScheduleKind::k1f1b);
  else if (const auto found = kinds.find(stated->String()); found != kinds.end()) s.schedule = found->second;
  else s.schedule = static_cast<ScheduleKind>(stated->OneOf(plan::ScheduleNames()));
  // The zero-bubble paper's own runs validate after the update; arXiv 2401.10241, section 4.
  if (s.schedule == ScheduleKind::kZbAuto1p || s.schedule == ScheduleKind::kZbAuto2p)
    s.optimizer_barrier = plan::OptimizerBarrier::kPostValidation;
  if (const auto chunks = Stated(parallel, "vpp")) {
    s.chunks_per_rank = static_cast<int>(chunks->Int(1, 1024));
  } else {
    const bool interleaved = s.schedule == ScheduleKind::kInterleaved1f1b;
    const int chunks_of_one = interleaved ? std::max(1, layers / s.pipeline) : 1;
    s.chunks_per_rank = assume.Take("vpp", std::to_string(chunks_of_one), chunks_of_one);
  }
  AgreeOnChunks(assume, s);
}

void ReadMemory(const Json& parallel, Assumptions& assume, Strategy& s) {
  if (const auto recompute = Stated(parallel, "recompute")) {
    s.recompute = static_cast<plan::Recompute>(recompute->OneOf(plan::RecomputeNames()));
  } else {
    s.recompute = assume.Take("recompute", "none", plan::Recompute::kNone);
  }
  if (const auto zero = Stated(parallel, "zero")) {
    s.optimizer_sharding = static_cast<plan::Sharding>(zero->OneOf(plan::ShardingNames()));
    return;
  }
  const bool one = IsMegatronCore(s) || s.framework == "megatron_deepspeed";
  s.optimizer_sharding = IsFsdp(s.framework) ? assume.Take("zero", "zero3", plan::Sharding::kZero3)
                         : one               ? assume.Take("zero", "zero1", plan::Sharding::kZero1)
                                             : assume.Take("zero", "none", plan::Sharding::kNone);
}

/// What NVIDIA's release recipes (NeMo, Megatron Bridge) set beside what a row states. A row that states both overlap
/// of data-parallel communication and sequence parallelism lists its flags, as they do.
void ReadRecipe(bool recipe, bool four_bits, const plan::Node& node, Strategy& s) {
  s.pipelined_tensor = recipe && s.tensor > 1 && s.sequence_parallel && !four_bits;
  s.fused_loss = s.average_in_collective = recipe;
  s.check_gradients = !recipe;
  s.fused_squared_relu =
      recipe || !IsMegatronCore(s);  // reports that list no flags are of 2024, before it was compiled
  if (recipe) s.gradient_dtype = s.gradient_reduce_dtype = plan::Dtype::kBf16;
  // HybridEP where NVLink joins several servers, and on B300 (Megatron Bridge, scripts/performance/configs and
  // perf_recipes; on B200 models differ); where experts lie on several nodes their traffic overlaps 1F1B.
  const bool rack = node.domain_gpus > node.gpus, crosses = s.expert > node.domain_gpus;
  if (recipe && (rack || node.gpu.name == "b300_sxm") && !crosses)
    s.expert_dispatch = plan::ExpertDispatch::kOncePerRank;
  s.overlap_expert = recipe && crosses && s.pipeline > 1 && s.chunks_per_rank > 1;
}

/// The zero-bubble runtime posts messages and waits for them where their data are used; Megatron Core does so between
/// chunks, in a run that lists what it overlaps.
bool OverlapsMessages(const Strategy& s, bool listed) {
  const bool zero_bubble = s.schedule == plan::ScheduleKind::kZbAuto1p || s.schedule == plan::ScheduleKind::kZbAuto2p;
  return zero_bubble || (IsMegatronCore(s) && s.chunks_per_rank > 1 && listed);
}

void ReadOverlap(const Json& parallel, const plan::Node& node, Assumptions& assume, Strategy& s) {
  const bool listed = Stated(parallel, "sequence_parallel") && Stated(parallel, "overlap_data_parallel");
  s.sequence_parallel = assume.Flag(parallel, "sequence_parallel", s.tensor > 1 && IsMegatronCore(s));
  s.overlap_data = assume.Flag(parallel, "overlap_data_parallel", IsMegatronCore(s) || IsFsdp(s.framework));
  const bool bulk = IsMegatronCore(s) && s.sequence_parallel && s.overlap_data;
  const auto async = Stated(parallel, "async_tp");
  const bool released =
      s.framework == "megatron_lm_2022";  // since 3.0 the column-parallel backward pass hides its communication
  s.overlap_tensor = s.tensor > 1 && (async ? async->Bool() : bulk || released);
  s.overlap_pipeline = OverlapsMessages(s, Stated(parallel, "overlap_data_parallel").has_value());
  // APEX's fused accumulation came with Megatron-LM of 2022.
  s.fused_gradient_accumulation =
      s.framework != "megatron_lm_2019" && s.framework != "megatron_lm_2021" && s.framework != "megatron_deepspeed";
  const bool zero1 = s.optimizer_sharding == plan::Sharding::kZero1;
  s.overlap_parameter_gather = (s.optimizer_sharding == plan::Sharding::kZero3 && s.overlap_data) ||
                               (zero1 && IsMegatronCore(s) && s.overlap_data);
  // Megatron-LM's fused softmax came in 2020; PyTorch has none of these kernels.
  s.fused_kernels = s.framework != "fsdp2" && s.framework != "megatron_lm_2019";
  ReadRecipe(IsMegatronCore(s) && listed && s.overlap_data, parallel.At("precision").String() == "nvfp4", node, s);
}

plan::Dtype DtypeOf(const Json& value, const std::vector<std::string>& legal) {
  const std::string word = legal[value.OneOf(legal)];
  const auto& all = plan::DtypeNames();
  return static_cast<plan::Dtype>(std::find(all.begin(), all.end(), word) - all.begin());
}

void ReadArithmetic(const Json& parallel, Assumptions& assume, Strategy& s) {
  using plan::Dtype;
  s.precision = DtypeOf(parallel.At("precision"), {"fp32", "tf32", "fp16", "bf16", "fp8", "mxfp8", "nvfp4"});
  // Megatron accumulates fp16 gradients as they are; only bf16 asks for fp32.
  if (IsMegatron(s) && s.precision == Dtype::kFp16) s.gradient_dtype = s.gradient_reduce_dtype = Dtype::kFp16;
  if (const auto wire = Stated(parallel, "gradient_reduce_dtype")) {
    s.gradient_reduce_dtype = DtypeOf(*wire, {"fp32", "fp16", "bf16"});
  }
  if (const auto attention = Stated(parallel, "attention")) {
    s.attention = static_cast<plan::AttentionForm>(attention->OneOf(plan::AttentionFormNames()));
  } else {
    s.attention = assume.Take("attention", "flash", plan::AttentionForm::kFlash);
  }
  if (const auto compiled = Stated(parallel, "compile")) s.compiled = compiled->Bool();
  if (const auto recipe = Stated(parallel, "fp8_recipe")) {
    if (recipe->String() == "fp8_rowwise") s.fp8_recipe = "rowwise";
    if (recipe->String() == "fp8_tensorwise" || recipe->String() == "float8 linear") s.fp8_recipe = "tensorwise";
  }
}

/// Keys beyond the schema: those that name a strategy key of ours are set, the others listed.
void ReadOthers(const Json& parallel, Row& row, Strategy& s) {
  static const std::vector<std::string> schema = {"tp",
                                                  "pp",
                                                  "dp",
                                                  "cp",
                                                  "ep",
                                                  "etp",
                                                  "vpp",
                                                  "sequence_parallel",
                                                  "microbatch",
                                                  "global_batch",
                                                  "recompute",
                                                  "zero",
                                                  "zero_group",
                                                  "precision",
                                                  "schedule",
                                                  "attention",
                                                  "framework",
                                                  "overlap_data_parallel",
                                                  "gradient_reduce_dtype",
                                                  "compile",
                                                  "async_tp",
                                                  "fp8_recipe"};
  const plan::Found nowhere{parallel.FileName(), parallel.FileName()};
  for (const std::string& key : parallel.Keys()) {
    const bool known = std::find(schema.begin(), schema.end(), key) != schema.end();
    if (known || key.ends_with("note") || !Stated(parallel, key.c_str())) continue;
    const plan::StrategyKey* ours = plan::FindStrategyKey(key);
    if (ours != nullptr) ours->set(parallel.At(key), nowhere, s);
    else row.ignored.push_back("parallel/" + key);
  }
}

// ---- batch
// ------------------------------------------------------------------------------------------------------------

plan::Batch BatchOf(const Json& parallel, const Strategy& s, Assumptions& assume) {
  plan::Batch batch;
  batch.sequences = Whole(parallel, "global_batch", 1'000'000);
  if (const auto microbatch = Stated(parallel, "microbatch")) {
    batch.microbatch = microbatch->Int(1, 1'000'000);
    return batch;
  }
  const std::int64_t mine = batch.sequences / s.data;
  std::int64_t size = 1;
  if (s.pipeline == 1 && mine % 2 == 0) size = 2;
  batch.microbatch = assume.Take("microbatch", std::to_string(size), size);
  return batch;
}

/// A source that does not say its vocabulary trained on a SentencePiece tokenizer of the usual 32,000 tokens.
void TakeVocabulary(const Row& row, Assumptions& assume, Model& model) {
  constexpr std::int64_t kUsual = 32'000;
  if (std::find(row.unstated.begin(), row.unstated.end(), "vocab") == row.unstated.end()) return;
  model.vocabulary = assume.Take("vocabulary", std::to_string(kUsual), kUsual);
}

/// Megatron pads whatever the tokenizer has; of others, whoever cuts the vocabulary must.
void PadVocabulary(const Strategy& s, Assumptions& assume, Model& model) {
  const std::int64_t padded = plan::MegatronVocabulary(model.vocabulary, s.tensor);
  if (model.vocabulary == padded || (!IsMegatron(s) && model.vocabulary % s.tensor == 0)) return;
  model.vocabulary = assume.Take("vocabulary", std::to_string(padded), padded);
}

}  // namespace

plan::Scenario ScenarioOf(const Json& json, NodeCache& nodes, Row& row) {
  const Json parallel = json.At("parallel");
  Assumptions assume(row);
  plan::Scenario scenario;
  scenario.file = json.FileName() + ": " + row.id;
  Strategy& strategy = scenario.strategy;
  strategy.framework = FrameworkOf(parallel, row);
  scenario.model = ModelOf(json.At("model"), strategy.framework, "the row");
  scenario.cluster = ClusterOf(json.At("hardware"), nodes);
  ReadDegrees(parallel, strategy);
  ReadSchedule(parallel, scenario.model.layers, assume, strategy);
  ReadMemory(parallel, assume, strategy);
  ReadOverlap(parallel, scenario.cluster.node, assume, strategy);
  ReadArithmetic(parallel, assume, strategy);
  // Megatron's arguments have dropout 0.1 where a run of its GPT does not set it; recipes list that they do without.
  const bool recipe = strategy.fused_loss, gpt = scenario.model.mlp == plan::MlpKind::kGelu;
  if (IsMegatronCore(strategy) && gpt && !recipe) scenario.model.dropout = 0.1;
  ReadOthers(parallel, row, strategy);
  scenario.batch = BatchOf(parallel, strategy, assume);
  TakeVocabulary(row, assume, scenario.model);
  PadVocabulary(strategy, assume, scenario.model);
  plan::Check(scenario);
  return scenario;
}

}  // namespace isochrone::study
