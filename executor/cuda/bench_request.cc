#include "executor/cuda/bench_request.h"

namespace isochrone::executor::cuda {

using plan::Dtype;

BenchRequest FullBench(int gpus) {
  BenchRequest r;
  r.formats = {Dtype::kFp32, Dtype::kTf32, Dtype::kBf16, Dtype::kFp16};
  for (const Index m : {128, 512, 1024, 2048, 4096, 8192})
    for (const Index n : {768, 1024, 2304, 4096, 5120, 12288})
      for (const Index k : {256, 1024, 4096, 12288}) r.products.push_back({.m = m, .n = n, .k = k});
  for (const Index m : {1, 16, 64, 1000, 2047}) r.products.push_back({.m = m, .n = 4096, .k = 4096});
  for (const Index s : {128, 512, 2048})  // heads of unfused attention
    for (const Index d : {64, 80, 128}) r.products.push_back({.batch = 64, .m = s, .n = s, .k = d});
  for (double bytes = 64 << 10; bytes <= (512 << 20); bytes *= 2) r.stream_bytes.push_back(bytes);
  for (int group = 2; group <= gpus; group *= 2) r.groups.push_back(group);
  if (gpus > 1 && r.groups.back() != gpus) r.groups.push_back(gpus);
  for (double bytes = 1 << 10; bytes <= (512 << 20); bytes *= 2) r.message_bytes.push_back(bytes);
  r.overlap_bytes = 64 << 20;
  return r;
}

void AddAttentionShapes(BenchRequest& request) {
  for (const Index batch : {1, 4})
    for (const Index heads : {8, 32})
      for (const Index queries : {128, 512, 2048})
        for (const Index size : {32, 64, 128}) request.attention.push_back({batch, heads, queries, size});
}

}  // namespace isochrone::executor::cuda
