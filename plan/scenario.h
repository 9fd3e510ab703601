#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "plan/dtype.h"
#include "plan/layout.h"
#include "plan/op.h"
#include "plan/schedule.h"

namespace isochrone::plan {

// ---- model --------------------------------------------------------------------------------------------------------

enum class MlpKind : std::uint8_t { kGelu, kSwiglu, kGeglu, kSquaredRelu, kRelu };
enum class PositionKind : std::uint8_t { kLearned, kRotary, kAlibi, kNone };

/// Mixture of experts. `capacity_factor` 0: dropless. `padded`: every expert padded to the fullest.
struct MoeSpec {
  int experts = 0, topk = 1;
  std::int64_t ffn = 0;         // of one expert
  int shared_experts = 0;       // always on
  std::int64_t shared_ffn = 0;  // of all shared experts together
  int dense_layers = 0;         // first layers with a dense MLP
  int every = 1;                // every n-th layer is an expert layer
  double capacity_factor = 0;
  bool padded = false;
};

/// Multi-head latent attention. DeepSeek-V2, arXiv 2405.04434.
struct MlaSpec {
  int q_lora = 0, kv_lora = 0, qk_nope = 0, qk_rope = 0, v = 0;  // q_lora 0: queries are not compressed
};

/// Mamba-2 mixer. arXiv 2405.21060.
struct MambaSpec {
  int state = 128, groups = 8, head_dim = 64, convolution = 4, expand = 2;
};

/// Speech recognition after Deep Speech 2: convolutions over a spectrogram, recurrent layers, a row convolution, one
/// connected layer, characters. arXiv 1512.02595, section 3.
struct SpeechSpec {
  /// 2-D, each kernel and stride over (frames, frequencies); padded, so that a stride alone shortens. One that is as
  /// high as all frequencies, with as high a stride, is the paper's 1-D form.
  struct Layer {
    std::int64_t channels = 0, kernel_frames = 0, kernel_frequencies = 0, stride_frames = 1, stride_frequencies = 1;
  };
  std::vector<Layer> convolutions;
  std::int64_t frequencies = 0;  // of the spectrogram
  RecurrentKind cell = RecurrentKind::kRnn;
  int recurrent_layers = 0;
  bool bidirectional = true;
  int future_frames = 0;    // of the row convolution; 0: there is none
  std::int64_t labels = 0;  // characters of an utterance

  /// Of what leaves the first `layers` convolutions: frames, frequencies, channels.
  struct Extent {
    std::int64_t frames, frequencies, channels;
    std::int64_t Width() const { return frequencies * channels; }
  };
  Extent After(std::int64_t frames, int layers) const;
  Extent AfterAll(std::int64_t frames) const { return After(frames, static_cast<int>(convolutions.size())); }
};

struct Model {
  std::string name;
  std::string file;  // where it was read, for messages
  int layers = 0;
  std::int64_t hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0;
  MlpKind mlp = MlpKind::kGelu;
  NormKind normalization = NormKind::kLayer;
  PositionKind position = PositionKind::kLearned;
  bool linear_bias = true;
  bool causal = true;
  bool tied_embeddings = true;
  double dropout = 0;  // > 0: dropout ops and masks exist
  std::int64_t sequence = 0, vocabulary = 0;
  std::optional<MoeSpec> moe;
  std::optional<MlaSpec> mla;
  std::optional<MambaSpec> mamba;
  std::optional<SpeechSpec> speech;  // then `sequence` is frames of the spectrogram, `vocabulary` characters
  int mtp_layers = 0;                // multi-token-prediction layers after the last
  std::int64_t window = 0;           // sliding-window tokens; 0: none
  int window_every = 1;              // every n-th layer is windowed
  std::string pattern;  // hybrid: one letter a layer, M Mamba-2, * attention, - MLP; empty: attention + MLP each layer
};

// ---- hardware -----------------------------------------------------------------------------------------------------

/// One GPU. Bandwidths in one direction. A rate of 0: the hardware has no such format.
struct Gpu {
  std::string name;                                             // "a100_sxm_80gb", also names the efficiency profile
  std::string architecture;                                     // "volta", "ampere", "hopper", "blackwell"
  FlopsPerSecond fp64, fp32, tf32, fp16, bf16, fp8, fp4, int8;  // dense
  Bytes memory;                                                 // as the driver reports it
  BytesPerSecond memory_bandwidth;
  BytesPerSecond nvlink_bandwidth;  // all links of the GPU together; 0: none
  Bytes l2_cache;
  int multiprocessors = 0;
  double boost_clock_hz = 0;
  double power_w = 0;
};

enum class NodeLink : std::uint8_t { kNone, kNvswitch, kNvlinkMesh, kNvlinkPairs, kPcie };

/// A server: GPUs, what joins them, what leads out. `domain_gpus`: GPUs that one NVLink domain joins, over several
/// servers where it is larger than `gpus` (GB200 NVL72: gpus 4, domain_gpus 72).
struct Node {
  std::string name;
  Gpu gpu;
  int gpus = 8;
  NodeLink link = NodeLink::kNvswitch;
  BytesPerSecond link_bandwidth;  // of one GPU to its peers, one direction
  Seconds link_latency;
  int domain_gpus = 8;
  int nics = 0;
  BytesPerSecond nic_bandwidth;  // each, one direction
  Seconds nic_latency;
  Bytes host_memory;
  BytesPerSecond host_bandwidth;  // of one GPU to host memory, one direction
  Bytes nvme;
  BytesPerSecond nvme_read, nvme_write;  // of the node
  BytesPerSecond InterNode() const { return nics * nic_bandwidth; }
  /// Out of a whole NVLink domain, which is where Layout draws the line between the fast and the slow tier.
  BytesPerSecond InterDomain() const { return InterNode() * (static_cast<double>(domain_gpus) / gpus); }
};

struct Cluster {
  std::string name;
  Node node;
  int nodes = 1;
  double oversubscription = 1;  // of the fabric above the leaf switches
  std::string fabric_json;      // the "fabric" object as text, read by the network engine; empty: none given
  int Gpus() const { return nodes * node.gpus; }
};

// ---- batch and strategy ---------------------------------------------------------------------------------------------

struct Batch {
  std::int64_t sequences = 0;   // global batch
  std::int64_t microbatch = 1;  // sequences
};

enum class Recompute : std::uint8_t { kNone, kSelective, kSelectiveOp, kFull };
enum class Sharding : std::uint8_t { kNone, kZero1, kZero2, kZero3 };
enum class AttentionForm : std::uint8_t { kUnfused, kFlash };
enum class ContextForm : std::uint8_t { kRing, kAllGather, kUlysses };
/// How rows reach their experts: a copy for every expert of a token, or one for every rank that holds such experts.
enum class ExpertDispatch : std::uint8_t { kEveryCopy, kOncePerRank };
enum class OffloadTarget : std::uint8_t { kNone, kHost, kNvme };
/// What the optimizer waits for: the norm of all gradients, or nothing, with the update undone where it was wrong.
enum class OptimizerBarrier : std::uint8_t { kGlobalNorm, kPostValidation };
enum class RankOrder : std::uint8_t { kDataInner, kPipelineInner };  // tp-cp-dp-pp, tp-cp-pp-dp

/// How the model is spread and run. The table in strategy.h names each key, its default and its meaning; every answer
/// echoes the defaults taken.
struct Strategy {
  int tensor = 1, pipeline = 1, data = 1, context = 1, expert = 1, expert_tensor = 1;
  ScheduleKind schedule = ScheduleKind::k1f1b;
  std::string schedule_text;  // schedule = "text": the order itself, read from the file that the key names
  int chunks_per_rank = 1;
  int first_stage_layers = 0, last_stage_layers = 0;  // of the virtual stage; 0: by the rule of stages.h
  bool account_embedding_in_split =
      false;  // embedding and loss each count as a layer when layers are split (Megatron's flags)
  bool sequence_parallel = false;
  bool overlap_tensor = false;    // tensor communication beside GEMMs
  bool pipelined_tensor = false;  // and cut into pieces beside the very product that reads or makes them
  bool overlap_data = false;      // gradient reduction beside the backward pass
  bool overlap_parameter_gather = false;
  bool overlap_pipeline = false;  // messages beside compute
  bool scatter_gather = true;     // pipeline messages cut by tp when sequence parallelism is off
  ContextForm context_form = ContextForm::kRing;
  Recompute recompute = Recompute::kNone;
  int recompute_layers = 0;  // full: only the first n layers of each stage; 0: all
  Sharding optimizer_sharding = Sharding::kNone;
  int shard_group = 0;  // HSDP: ranks per shard group; 0: the whole data-parallel group
  bool zero2_reduce_every_microbatch = false;
  Dtype precision = Dtype::kBf16;
  Dtype gradient_dtype = Dtype::kFp32;         // of accumulated gradients
  Dtype gradient_reduce_dtype = Dtype::kFp32;  // on the wire
  std::string fp8_recipe = "delayed";
  AttentionForm attention = AttentionForm::kFlash;
  OptimizerKind optimizer = OptimizerKind::kAdam;
  OptimizerBarrier optimizer_barrier = OptimizerBarrier::kGlobalNorm;
  double rollback_share = 0.01;  // post-validation: steps whose gradients are clipped after all
  Dtype moment_dtype = Dtype::kFp32;
  int galore_rank = 0;
  OffloadTarget offload_optimizer = OffloadTarget::kNone, offload_parameters = OffloadTarget::kNone,
                offload_gradients = OffloadTarget::kNone, offload_activations = OffloadTarget::kNone;
  RankOrder rank_order = RankOrder::kDataInner;
  bool compiled = false;  // elementwise chains fused by a compiler
  bool fused_kernels = true;
  bool average_in_collective = false,
       check_gradients = true;     // what Megatron-LM's gradient buffers do (step_program.h)
  bool fused_squared_relu = true;  // one kernel each way; else two forward and four backward
  bool fused_loss = false;         // cross-entropy in one pass that overwrites the logits with their gradient
  bool fused_gradient_accumulation =
      true;  // weight-gradient products add to what is there; else a kernel of its own does
  ExpertDispatch expert_dispatch = ExpertDispatch::kEveryCopy;
  bool overlap_expert = false;              // expert all-to-alls beside the compute of another microbatch
  double expert_load_zipf = 0;              // 0: balanced
  std::vector<double> expert_load;          // shares from a file; empty: by expert_load_zipf
  std::string framework = "megatron_core";  // names the profile of what surrounds the kernels
};

/// What the paper printed, for comparison; never read by an engine.
struct Published {
  std::optional<Seconds> step_time;
  std::string source;
};

struct Scenario {
  std::string file;  // where it was read, for messages
  std::string question;
  Model model;
  Cluster cluster;
  Batch batch;
  Strategy strategy;
  std::optional<Published> published;
  std::vector<std::string> defaults;  // strategy keys that took their default, "key = value"
  std::vector<std::string> notes;     // what a reader should know: idle GPUs, arguments that were ignored

  int Microbatches() const { return static_cast<int>(batch.sequences / (batch.microbatch * strategy.data)); }
};

/// Reads and checks. References resolve next to the file, then in the installed catalogue. Throws Error.
Scenario ReadScenario(const std::string& path);

/// Reads parts. `path` is a catalogue name or a file; a model may also be a Hugging Face config.json or a file of
/// Megatron-LM arguments, and a GPU of the catalogue may be named alone, "h100_sxm_80gb".
Model ReadModel(const std::string& path);
Gpu ReadGpu(const std::string& path);
Node ReadNode(const std::string& path);
Cluster ReadCluster(const std::string& path);

/// Throws Error where degrees do not divide, ranks exceed GPUs, …; `ReadScenario` has called it.
void Check(const Scenario& scenario);

/// GPUs that a job of `world` takes from each NVLink domain of several servers: all of them where they suffice; else
/// the most, in whole servers, that leave every domain the same number, so that groups do not straddle domains (256
/// GPUs on domains of 72 take 64 of each). Where no such number exists, the whole domain. Source  Slurm's
/// topology/block segments: jobs on GB200 NVL72 ask for blocks of equal size
int DomainGpusUsed(const Node& node, std::int64_t world);

/// Degrees and rank order as a layout; gpus_per_node is `DomainGpusUsed`.
Layout LayoutOf(const Scenario& scenario);

/// The folder that holds models/, hardware/, clusters/ …: $ISOCHRONE_CATALOGUE, ../share/isochrone/scenarios next to
/// the binary, or scenarios/ of the source tree that built it.
std::string CatalogueFolder();

}  // namespace isochrone::plan
