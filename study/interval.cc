#include "study/interval.h"

namespace isochrone::study {
namespace {

// 80 % half-widths of each kind of time, relative. From the spread of kernel residuals (compute), of collective
// residuals (communication), and of what published runs spend around them (host, bubble).
constexpr double kCompute = 0.06, kCommunication = 0.20, kBubble = 0.10, kHost = 0.5;

}  // namespace

Range IntervalOf(const plan::Scenario&, const plan::Metrics& m) {
  const plan::Attribution& a = m.attribution;
  const Seconds spread = kCompute * (a.compute + a.recompute + a.optimizer) +
                         kCommunication * (a.tensor + a.context + a.expert + a.pipeline + a.data + a.copy) +
                         kBubble * a.bubble + kHost * a.host;
  return {m.step_time - spread, m.step_time + spread};
}

}  // namespace isochrone::study
