#include "costmodel/explain.h"

#include "base/text.h"

namespace isochrone::costmodel {

namespace {

Term Launch(Seconds time, int kernels, const Source& source) {
  return {"launch", "kernels launch", "kernels = " + Grouped(kernels), time, source};
}

std::string Times(Seconds compute, Seconds memory) {
  return "compute = " + HumanTime(compute) + ", memory = " + HumanTime(memory);
}

std::string Side(Seconds compute, Seconds memory) { return compute < memory ? "memory" : "tensor cores"; }

}  // namespace

std::vector<Term> TermsOf(const GemmPrice& p, const Source& source) {
  const std::string tiling = "tile = " + Grouped(p.tile_m) + " x " + Grouped(p.tile_n) +
                             ", tiles = " + ThreeDigits(p.tiles) + ", load = " + ThreeDigits(p.load) +
                             ", splits = " + Grouped(p.splits) + ", alignment = " + ThreeDigits(p.alignment);
  std::vector<Term> terms = {
      {"product, bound by " + Side(p.compute, p.memory),
       "(compute^p + memory^p)^(1/p), compute = load (k/s step + prologue + tm tn output / epilogue)",
       Times(p.compute, p.memory) + ", traffic = " + HumanBytes(p.traffic) + ", " + tiling +
           (p.calls > 1 ? ", calls = " + Grouped(p.calls) : ""),
       p.total - p.launch - p.split, source},
      Launch(p.launch, p.calls, source)};
  if (p.splits > 1)
    terms.push_back(
        {"sum of the splits", "split + s 4 m n / split bandwidth", "s = " + Grouped(p.splits), p.split, source});
  return terms;
}

std::vector<Term> TermsOf(const AttentionPrice& p, const Source& source) {
  return {{"attention, bound by " + Side(p.compute, p.memory), "max(flops / rate with prologues, traffic / bandwidth)",
           Times(p.compute, p.memory) + ", flops = " + HumanScaled(p.flops.value, "FLOP") +
               ", rate = " + HumanScaled(p.rate.value, "FLOP/s") + ", traffic = " + HumanBytes(p.traffic),
           p.total - p.launch, source},
          Launch(p.launch, p.kernels, source)};
}

std::vector<Term> TermsOf(const StreamPrice& p, const Source& source) {
  const std::string traffic =
      "traffic = " + HumanBytes(p.traffic) + ", bandwidth = " + HumanScaled(p.bandwidth.value, "B/s");
  if (p.random > p.memory) {
    return {{"random numbers", "max(traffic / bandwidth, numbers / rate)",
             "memory " + HumanTime(p.memory) + " (" + traffic + "), random " + HumanTime(p.random), p.random, source},
            Launch(p.launch, p.kernels, source)};
  }
  return {{"memory", "traffic / bandwidth", traffic, p.memory, source}, Launch(p.launch, p.kernels, source)};
}

std::vector<Term> TermsOf(const MixedPrice& p, const Source& source) {
  return {{"parts, bound by " + Side(p.compute, p.memory), "sum over parts of max(compute, memory)",
           Times(p.compute, p.memory), p.total - p.launch, source},
          Launch(p.launch, p.kernels, source)};
}

std::vector<Term> TermsOf(const LinkPrice& p, const Source& source) {
  return {{"link", "latency + bytes / bandwidth",
           "latency = " + HumanTime(p.latency) + ", bytes = " + HumanBytes(p.bytes) +
               ", bandwidth = " + HumanScaled(p.bandwidth.value, "B/s"),
           p.total, source}};
}

}  // namespace isochrone::costmodel
