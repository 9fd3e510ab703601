#include "plan/scenario_check.h"

#include <algorithm>

#include "base/error.h"
#include "plan/strategy.h"

namespace isochrone::plan {
namespace {

std::string Text(std::int64_t v) { return std::to_string(v); }

std::int64_t Ranks(const Strategy& s) {  // may be huge before it is checked
  const double ranks = 1.0 * s.tensor * s.context * s.data * s.pipeline;
  return ranks < 9e15 ? static_cast<std::int64_t>(ranks) : std::int64_t{9'000'000'000'000'000};
}

/// The degree to blame: the one with the largest share.
void CheckRanks(const Scenario& scenario, const Faults& faults) {
  const Strategy& s = scenario.strategy;
  const std::int64_t ranks = Ranks(s), gpus = scenario.cluster.Gpus();
  if (ranks <= gpus) return;
  struct Degree {
    const char* key;
    std::int64_t value;
  };
  Degree blamed{"data", s.data};
  for (const Degree& d : {Degree{"pipeline", s.pipeline}, {"tensor", s.tensor}, {"context", s.context}}) {
    if (d.value > blamed.value) blamed = d;
  }
  const std::int64_t others = ranks / blamed.value, node = scenario.cluster.node.gpus;
  const std::string nodes = Text((ranks + node - 1) / node);
  const std::string what = "makes tensor · context · data · pipeline = " + Text(s.tensor) + " · " + Text(s.context) +
                           " · " + Text(s.data) + " · " + Text(s.pipeline) + " = " + Text(ranks) +
                           " ranks, but the cluster has " + Text(gpus) + " GPUs";
  const std::string grow = ranks <= 100'000 * node ? nodes + " nodes" : "smaller degrees";
  faults.Strategy(blamed.key, what,
                  others <= gpus ? "try " + std::string(blamed.key) + " = " + Text(gpus / others) + ", or " + grow
                                 : "try smaller degrees");
}

void CheckBatch(const Scenario& scenario, const Faults& faults) {
  const Batch& b = scenario.batch;
  const std::int64_t data = scenario.strategy.data;
  if (b.sequences % (b.microbatch * data) == 0) return;
  const std::int64_t share = b.microbatch * data;
  const std::int64_t below = b.sequences / share * share, above = below + share;
  std::string instead = "try sequences = " + (below > 0 ? Text(below) + " or " : "") + Text(above);
  if (b.sequences % data == 0) {
    const std::int64_t mine = b.sequences / data;
    instead += ", or microbatch = " + Legal(b.microbatch, mine, [&](std::int64_t m) { return mine % m == 0; });
  }
  faults.Batch("sequences", b.sequences,
               "must be a multiple of microbatch · data = " + Text(b.microbatch) + " · " + Text(data), instead);
}

void CheckAll(const Scenario& scenario, const Faults& faults) {
  CheckShapes(scenario, faults);
  CheckPipeline(scenario, faults);
  CheckRanks(scenario, faults);
  CheckBatch(scenario, faults);
  CheckNumbers(scenario, faults);
  CheckForms(scenario, faults);
  CheckSchedule(scenario, faults);
}

/// Sets what the remedy names, as a file would.
void Apply(const Remedy& remedy, Scenario& scenario) {
  if (remedy.key == "sequences") scenario.batch.sequences = std::stoll(remedy.value);
  else if (remedy.key == "microbatch") scenario.batch.microbatch = std::stoll(remedy.value);
  else SetStrategy(remedy.key, remedy.value, scenario.strategy);
}

bool PassesWith(const Scenario& scenario, const Remedy& remedy) {
  Scenario changed = scenario;
  Apply(remedy, changed);
  try {
    CheckAll(changed, Faults(changed, true));
  } catch (const Error&) {
    return false;
  }
  return true;
}

}  // namespace

void Faults::Strategy(const char* key, const std::string& what, const std::string& instead) const {
  const StrategyKey* known = FindStrategyKey(key);
  ISO_CHECK(known != nullptr);
  throw Error(scenario_.file + ": /strategy/" + key + " = " + known->show(scenario_.strategy), what, instead);
}

void Faults::Strategy(const char* key, const std::string& what, const std::vector<Remedy>& remedies) const {
  if (trial_) Strategy(key, what, "");
  constexpr std::size_t kShown = 3;
  std::vector<std::string> good;
  for (const Remedy& remedy : remedies) {
    if (good.size() < kShown && PassesWith(scenario_, remedy)) good.push_back(remedy.key + " = " + remedy.value);
  }
  if (good.empty()) good.push_back(remedies.back().key + " = " + remedies.back().value);
  std::string instead = "use " + good.front();
  for (std::size_t i = 1; i < good.size(); ++i) instead += ", or " + good[i];
  Strategy(key, what, instead);
}

void Faults::Batch(const char* key, std::int64_t value, const std::string& what, const std::string& instead) const {
  throw Error(scenario_.file + ": /batch/" + key + " = " + Text(value), what, instead);
}

std::string Legal(std::int64_t wanted, std::int64_t most, const std::function<bool(std::int64_t)>& legal) {
  constexpr std::size_t kShown = 6;
  constexpr std::int64_t kLooked = 1 << 20;
  std::vector<std::int64_t> values;
  for (std::int64_t v = 1; v <= std::min(most, kLooked); ++v) {
    if (legal(v)) values.push_back(v);
  }
  while (values.size() > kShown) {  // drop the end that is farther away
    if (wanted - values.front() >= values.back() - wanted) values.erase(values.begin());
    else values.pop_back();
  }
  std::vector<std::string> words;
  for (std::int64_t v : values) words.push_back(Text(v));
  return JoinedWith(words, "or");
}

void Check(const Scenario& scenario) { CheckAll(scenario, Faults(scenario)); }

int DomainGpusUsed(const Node& node, std::int64_t world) {
  if (node.domain_gpus <= node.gpus || world <= node.domain_gpus) return node.domain_gpus;
  const std::int64_t fewest = (world + node.domain_gpus - 1) / node.domain_gpus;
  for (std::int64_t domains = fewest; domains * node.gpus <= world; ++domains) {
    if (world % (domains * node.gpus) == 0) return static_cast<int>(world / domains);
  }
  return node.domain_gpus;
}

namespace {

/// Servers with more than four PCIe cards have two sockets, half of the cards on each.
int RootGpus(const Node& node) {
  const bool cards = node.link == NodeLink::kPcie && node.gpu.architecture != "cpu";
  return cards && node.gpus > 4 ? node.gpus / 2 : 0;
}

}  // namespace

Layout LayoutOf(const Scenario& scenario) {
  const Strategy& s = scenario.strategy;
  Layout layout;
  layout.tp = s.tensor;
  layout.cp = s.context;
  layout.dp = s.data;
  layout.pp = s.pipeline;
  layout.ep = s.expert;
  layout.etp = s.expert_tensor;
  layout.shard = s.shard_group;
  layout.gpus_per_node = DomainGpusUsed(scenario.cluster.node, layout.World());
  layout.root_gpus = RootGpus(scenario.cluster.node);
  layout.pipeline_innermost_of_data = s.rank_order == RankOrder::kPipelineInner;
  return layout;
}

}  // namespace isochrone::plan
