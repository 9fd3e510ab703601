#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "study/search/estimate.h"

namespace isochrone::study {

/// Estimates one configuration after another and keeps what the next one shares: programs and prices of a block, counts
/// of a schedule, terms of a step. The numbers are those of EstimateOf, bit for bit. One per thread.
///
/// A scenario is entered from the outside in: block, layout, pipeline, step. Each call may differ from the last one
/// only in keys of that level and those within.
class Evaluator {
 public:
  /// Another model or cluster.
  void EnterModel();
  /// Other values of the axes of Level::kBlock. `prefix` names those that state and gradients depend on.
  void EnterBlock(int prefix);
  /// Other degrees, or another order of ranks.
  void EnterLayout();
  /// Stages and schedule; false where the schedule refuses the shape.
  bool EnterPipeline(const plan::Scenario& scenario);
  /// What EnterPipeline would return.
  bool Accepts(const plan::Scenario& scenario);
  /// Sharding and overlap: takes the prices that these have in this layout.
  void EnterStep(const plan::Scenario& scenario);

  /// After EnterStep. No configuration of this layout and sharding is faster than this many seconds: the mean work of
  /// its ranks, and the host's part.
  double LeastStepTime(const plan::Scenario& scenario) const;
  /// After EnterStep. No configuration of this pipeline and sharding is faster.
  double LeastPipelineTime(const plan::Scenario& scenario);
  /// After EnterStep. Bytes of the fullest rank; all ranks' are in bytes().
  double Memory(const plan::Scenario& scenario);
  /// After Memory. Allocates nothing once its terms are known.
  Estimate Evaluate() const;

  const std::vector<double>& bytes() const { return bytes_; }
  /// Of one step of the whole cluster. After EnterStep.
  double ModelFlops(const plan::Scenario& scenario) const;

 private:
  using Traffic = std::array<std::int32_t, 4>;  // how passes move sharded state; all zero where they move none
  using Cut = std::array<std::int32_t, 7>;
  using CutKey = std::array<std::int32_t, 5>;
  using StepKey = std::array<std::int32_t, 11>;
  struct StepHash {
    std::size_t operator()(const StepKey& key) const;
  };
  struct Prices {
    int profile = 0;
    std::vector<plan::GroupShape> shapes;
    std::vector<LayerTerms> layers;
    double least_work = 0;  // of one microbatch, all layers
    costmodel::Contention contention;
    double host = 0;
  };
  struct Block {
    bool piped = false;
    Traffic traffic{};
    BlockShape shape;
    std::vector<std::unique_ptr<Prices>> prices;
  };
  struct Counted {
    bool legal = false;
    std::optional<InFlight> in_flight;  // once it is asked for
  };
  /// One way to price the passes of a layout, and what they make of its present pipeline.
  struct Lane {
    int profile = 0;
    Traffic traffic{};
    Block* block = nullptr;
    Prices* prices = nullptr;
    std::array<std::optional<double>, 2> message;  // seconds, by scatter_gather
    Cut cut{};                                     // what stages and activations are of
    std::int64_t entered = -1;                     // which pipeline `pipeline` is of
    StageTerms stages;
    std::vector<double> activations;
    PipelineTerms pipeline;
  };

  int ProfileOf(const plan::Scenario& scenario);
  Block& BlockOf(const plan::Scenario& scenario, const Traffic& traffic);
  Prices& PricesOf(const plan::Scenario& scenario, Lane& lane);
  const costmodel::Costs& CostsNow(const plan::Scenario& scenario);
  Counted& CountsOf(const plan::ScheduleShape& shape);
  StepKey KeyOf(const plan::Scenario& scenario) const;
  void Refresh(const plan::Scenario& scenario);
  const StageCut& CutNow(const plan::Scenario& scenario);

  int prefix_ = -1;
  std::array<int, 4> profiles_{};  // [sharding] which framework profile; -1: not asked yet
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // the first used_ are of this layout
  std::size_t used_ = 0;
  Lane* lane_ = nullptr;
  std::map<std::pair<int, int>, costmodel::Costs> costs_;  // of this layout, by profile and shard group

  plan::ScheduleShape shape_;
  std::int64_t entered_ = 0;
  const InFlight* in_flight_ = nullptr;
  const StepTerms* step_ = nullptr;
  std::vector<double> bytes_;
  double memory_ = 0;
  std::map<std::tuple<int, int, int, int>, std::unique_ptr<Counted>> counted_;
  std::map<CutKey, StageCut> cuts_;
  std::unordered_map<StepKey, StepTerms, StepHash> steps_;
};

}  // namespace isochrone::study
