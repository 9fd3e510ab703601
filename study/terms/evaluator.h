#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "study/terms/estimate.h"
#include "study/terms/shared.h"

namespace isochrone::study {

/// Estimates one configuration after another and keeps what the next one shares: programs and prices of a block, counts
/// of a schedule, terms of a step. The numbers are those of EstimateOf, bit for bit. One per thread.
///
/// A scenario is entered from the outside in: model, block, layout, pipeline, step. Each call may differ from the last
/// one only in keys of that level and those within.
class Evaluator {
 public:
  explicit Evaluator(SharedTerms& shared) : shared_(shared) {}

  /// Another model or cluster.
  void EnterModel();
  /// Other values of the axes of Level::kBlock, which `unit` names; `prefix` those that state and gradients depend on.
  void EnterBlock(std::int64_t unit, std::int64_t prefix);
  /// Other degrees, or another order of ranks.
  void EnterLayout(const plan::Scenario& scenario);
  /// Whether the schedule takes the shape.
  bool Accepts(const plan::Scenario& scenario);
  /// Stages and schedule. Requires Accepts returned true.
  void EnterPipeline(const plan::Scenario& scenario);
  /// Sharding and overlap: takes the prices that these have in this layout. `combination` counts the values of the axes
  /// of Level::kStep.
  void EnterStep(const plan::Scenario& scenario, int combination);

  /// After EnterLayout. No configuration of this layout and sharding takes fewer seconds than its compute alone, the
  /// mean of its ranks, and the host's part.
  double LeastComputeTime(const plan::Scenario& scenario);
  /// After EnterLayout. No configuration of this layout and sharding holds fewer bytes on its fullest rank.
  double LeastMemory(const plan::Scenario& scenario) const;
  /// After EnterStep. No configuration of this layout and sharding is faster than this many seconds: the mean work of
  /// its ranks, and the host's part.
  double LeastStepTime(const plan::Scenario& scenario) const;
  /// After EnterStep. No configuration of this pipeline and sharding is faster.
  double LeastPipelineTime(const plan::Scenario& scenario);
  /// After EnterStep. No configuration of this pipeline and sharding holds fewer bytes on its fullest rank.
  double LeastPipelineMemory(const plan::Scenario& scenario);
  /// After EnterStep. Bytes of the fullest rank; all ranks' are in bytes().
  double Memory(const plan::Scenario& scenario);
  /// After Memory.
  Estimate Evaluate();

  const std::vector<double>& bytes() const { return bytes_; }
  /// Of one step of the whole cluster. After EnterLayout.
  double ModelFlops(const plan::Scenario& scenario) const;

 private:
  static constexpr std::size_t kSchedules = static_cast<std::size_t>(plan::ScheduleKind::kText) + 1;
  using Cut = std::array<std::int32_t, 8>;  // which stages lie where in which layout
  struct CutHash {
    std::size_t operator()(const Cut& cut) const;
  };
  struct Block {
    BlockKey key{};
    const BlockShape* shape = nullptr;
    std::optional<plan::Plan> sample;  // once a step is worked out from it
  };
  /// What depends on a schedule's shape and a cut.
  struct ShapeOfCut {
    const StageCut* cut = nullptr;
    const Held* held = nullptr;
    std::array<const sim::OrderPaths*, 2> paths{};  // [message mode], once they are asked for
  };
  struct Accepted {
    bool known = false, legal = false;
    const InFlight* in_flight = nullptr;  // once it is asked for
    std::vector<ShapeOfCut> cuts;
  };
  /// Shapes with the same ranks and microbatches: [kind][chunks − 1].
  using Shapes = std::array<std::vector<Accepted>, kSchedules>;
  /// One way to price the passes of a layout, and what they make of its present pipeline.
  struct Lane {
    int profile = 0;
    BlockKey key{};
    Block* block = nullptr;
    const BlockPrices* prices = nullptr;
    costmodel::Slowdowns beside_data;
    std::array<std::optional<double>, 4> message;       // seconds, by scatter_gather + 2 overlap_pipeline
    std::int64_t cut = -1, counted = -1, entered = -1;  // what stages, activations and pipeline are of
    StageTerms stages;
    std::vector<double> activations;  // with messages
    double message_buffers = 0;
    PipelineTerms pipeline;
    struct Around {
      std::int64_t cut = -1;
      AroundTerms terms;
    };
    std::vector<Around> around;  // [combination · kAroundKinds + AroundKind]
  };

  int ProfileOf(const plan::Scenario& scenario);
  Block& BlockOf(const plan::Scenario& scenario, const BlockKey& key);
  const BlockPrices& PricesOf(const plan::Scenario& scenario, const Lane& lane);
  Lane& LaneOf(const plan::Scenario& scenario);
  const costmodel::Costs& CostsNow(const plan::Scenario& scenario, int profile);
  const StageCut& CutNow(const plan::Scenario& scenario);
  const InFlight& InFlightNow();
  ShapeOfCut& ShapeOfCutNow(const plan::Scenario& scenario);
  const sim::OrderPaths* PathsNow(const plan::Scenario& scenario, plan::MessageMode mode);
  StepTerms MakeStep(const plan::Scenario& scenario);
  const AroundTerms& AroundNow();
  void Refresh(const plan::Scenario& scenario);
  void Count(const plan::Scenario& scenario);

  SharedTerms& shared_;
  // of the model
  std::map<std::array<std::int32_t, 5>, StageCut> cuts_;
  // of the prefix
  std::int64_t prefix_ = -1;
  std::shared_ptr<StepStore> step_store_;
  std::unordered_map<Cut, std::vector<const StepTerms*>, CutHash> steps_;  // [combination]
  // of the block
  std::array<int, 4> profiles_{};  // [sharding] which framework profile; -1: not asked yet
  std::shared_ptr<BlockStore> block_store_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::map<int, costmodel::Costs> costs_;                            // by profile
  std::map<std::pair<int, bool>, std::pair<double, double>> least_;  // by profile and several stages: compute, host
  // of the layout
  plan::Layout layout_;
  const Block* plain_ = nullptr;              // whose passes move no state
  std::vector<std::unique_ptr<Lane>> lanes_;  // the first used_ are of this layout
  std::size_t used_ = 0;
  std::vector<Lane*> lane_of_;  // [combination]
  // of the pipeline
  plan::ScheduleShape shape_;
  Cut cut_{};
  std::int64_t cuts_entered_ = 0, shapes_entered_ = 0, entered_ = 0;
  std::vector<const StepTerms*>* steps_now_ = nullptr;
  std::map<std::pair<int, int>, Shapes> shapes_;  // by ranks and microbatches
  Shapes* shapes_now_ = nullptr;
  Accepted* accepted_now_ = nullptr;
  const StageCut* cut_now_ = nullptr;  // once it is asked for
  // of the step
  Lane* lane_ = nullptr;
  int combination_ = 0;
  const StepTerms* step_ = nullptr;
  std::vector<double> bytes_;
  double memory_ = 0;
};

}  // namespace isochrone::study
