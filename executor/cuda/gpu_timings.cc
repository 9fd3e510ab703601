#include "executor/cuda/gpu_timings.h"

#include "base/text.h"

namespace isochrone::executor::cuda {
namespace {

std::string FirstLines(const GpuTimings& t, const std::string& date, const std::string& command) {
  std::string text = "# " + std::to_string(t.gpus) + " x " + t.device.name + ", driver " + t.device.driver + ", " +
                     t.device.runtime + ", NCCL " + t.device.nccl + "\n";
  for (const auto& [what, state] : t.states) text += "# clocks during " + what + ": " + Text(state) + "\n";
  return text + "# " + date + "\n# " + command + "\n";
}

std::string Cell(Index value) { return value > 0 ? std::to_string(value) : ""; }

}  // namespace

std::string Text(const DeviceState& s) {
  if (!s.known) return "not known";
  const auto mhz = [](double hz) { return Grouped(static_cast<std::int64_t>(hz / 1e6 + 0.5)) + " MHz"; };
  std::string text = mhz(s.clock_hz) + ", memory " + mhz(s.memory_clock_hz) + ", " + Fixed(s.temperature_c, 0) +
                     " C, " + Fixed(s.power_w, 0) + " W";
  for (std::size_t i = 0; i < s.slowed_by.size(); ++i) text += (i == 0 ? ", slowed by " : " and ") + s.slowed_by[i];
  return text;
}

std::string KernelTable(const GpuTimings& t, const std::string& date, const std::string& command) {
  std::string text = FirstLines(t, date, command) +
                     "op,pass,dtype,batch,m,n,k,heads,kv_heads,queries,keys,head_dim,causal,bytes,seconds,spread\n";
  for (const KernelTiming& k : t.kernels) {
    text += k.op + "," + (k.backward ? "backward" : "forward") + "," + plan::NameOf(k.dtype);
    for (const Index n : {k.batch, k.m, k.n, k.k, k.heads, k.kv_heads, k.queries, k.keys, k.head_dim})
      text += "," + Cell(n);
    text += std::string(",") + (k.causal ? "1" : "0") + "," + Cell(static_cast<Index>(k.bytes)) + "," +
            Exact(k.seconds) + "," + Exact(k.spread) + "\n";
  }
  return text;
}

std::string CollectiveTable(const GpuTimings& t, const std::string& date, const std::string& command) {
  std::string text = FirstLines(t, date, command) + "collective,group,bytes,seconds,spread\n";
  for (const CollectiveTiming& c : t.collectives) {
    text += std::string(c.is_message ? "message" : plan::NameOf(c.kind)) + "," + std::to_string(c.group) + "," +
            Exact(c.bytes) + "," + Exact(c.seconds) + "," + Exact(c.spread) + "\n";
  }
  return text;
}

}  // namespace isochrone::executor::cuda
