#include "study/traces/kernel_map.h"

#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/text.h"
#include "tests/folder.h"

using namespace isochrone;
using namespace isochrone::study;

namespace {

// Two steps of 100 us after one to skip. Forward and backward run the same GEMM kernel, launched inside an operator and
// inside an autograd node of another thread; kernels of the second step start after its range has ended, but were
// launched within.
constexpr char kKineto[] = R"({"schemaVersion": 1, "traceEvents": [
 {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "pid": 7, "tid": 1, "ts": 0, "dur": 100},
 {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#2", "pid": 7, "tid": 1, "ts": 100, "dur": 100},
 {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#10", "pid": 7, "tid": 1, "ts": 200, "dur": 104},
 {"ph": "X", "cat": "cpu_op", "name": "aten::linear", "pid": 7, "tid": 1, "ts": 110, "dur": 10},
 {"ph": "X", "cat": "cpu_op", "name": "AddmmBackward0", "pid": 7, "tid": 2, "ts": 130, "dur": 20},
 {"ph": "X", "cat": "cpu_op", "name": "AddmmBackward0", "pid": 7, "tid": 2, "ts": 230, "dur": 20},
 {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 7, "tid": 1, "ts": 10, "dur": 2, "args": {"correlation": 1}},
 {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 7, "tid": 1, "ts": 112, "dur": 2, "args": {"correlation": 2}},
 {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 7, "tid": 2, "ts": 135, "dur": 2, "args": {"correlation": 3}},
 {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 7, "tid": 2, "ts": 235, "dur": 2, "args": {"correlation": 4}},
 {"ph": "X", "cat": "cuda_runtime", "name": "cudaMemcpyAsync", "pid": 7, "tid": 1, "ts": 290, "dur": 2, "args": {"correlation": 5}},
 {"ph": "X", "cat": "kernel", "name": "sm90_gemm", "pid": 0, "tid": 7, "ts": 20, "dur": 500, "args": {"device": 0, "correlation": 1}},
 {"ph": "X", "cat": "kernel", "name": "sm90_gemm", "pid": 0, "tid": 7, "ts": 120, "dur": 30, "args": {"device": 0, "correlation": 2}},
 {"ph": "X", "cat": "kernel", "name": "sm90_gemm", "pid": 0, "tid": 7, "ts": 160, "dur": 40, "args": {"device": 0, "correlation": 3}},
 {"ph": "X", "cat": "kernel", "name": "sm90_gemm", "pid": 0, "tid": 7, "ts": 305, "dur": 42, "args": {"device": 0, "correlation": 4}},
 {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy HtoD", "pid": 0, "tid": 7, "ts": 350, "dur": 6, "args": {"device": 0, "correlation": 5}},
 {"ph": "i", "cat": "Trace", "name": "Iteration Start", "pid": "Traces", "tid": 0, "ts": 0}
]})";

constexpr char kMap[] = R"({"groups": [
  {"name": "backward", "kernels": ["gemm"], "within": ["Backward"], "operations": ["(fc1|fc2) backward$"]},
  {"name": "forward", "kernels": ["gemm"], "operations": ["fc[12] forward"]}]})";

std::string Print(const TraceComparison& c) {
  std::ostringstream out;
  out << c.steps << " steps of " << Fixed(1e6 * c.step_seconds, 1) << " us\n";
  for (const GroupTimes& g : c.groups) {
    out << g.name << ": " << Fixed(g.kernels, 1) << " kernels, predicted " << Fixed(1e6 * g.predicted, 1)
        << " us, measured " << Fixed(1e6 * g.measured, 1) << " us\n";
  }
  for (const auto& [name, seconds] : c.other_kernels)
    out << "kernel " << name << " " << Fixed(1e6 * seconds, 1) << " us\n";
  for (const auto& [name, seconds] : c.other_operations)
    out << "op " << name << " " << Fixed(1e6 * seconds, 1) << " us\n";
  return out.str();
}

std::string Compared(const std::string& trace, const std::string& map) {
  const tests::Folder folder;
  const std::string map_file = folder.Write("map.json", map), trace_file = folder.Write("trace", trace);
  const KernelTrace read = trace[0] == '{' ? ReadKineto(trace_file) : ReadKernelTable(trace_file);
  return Print(CompareTrace(
      read, ReadKernelMap(map_file),
      {{"transformer fc1 forward", 20e-6}, {"transformer fc1 backward", 40e-6}, {"step optimizer backward", 9e-6}}));
}

}  // namespace

TEST_CASE("kernels of one name are told apart by what launched them, and belong to the step that did", "[traces]") {
  CHECK(Compared(kKineto, kMap) ==
        "2 steps of 102.0 us\n"
        "forward: 0.5 kernels, predicted 20.0 us, measured 15.0 us\n"
        "backward: 1.0 kernels, predicted 40.0 us, measured 41.0 us\n"
        "kernel Memcpy HtoD 3.0 us\n"
        "op step optimizer backward 9.0 us\n");
}

TEST_CASE("a table of kernels is as many steps as the map says", "[traces]") {
  const std::string table =
      "Start (ns),Duration (ns),Device,Name\n"
      "1000,2000,NVIDIA H100 80GB HBM3 (3),\"void gemm<float, 128>(float*, int)\"\n"
      "5000,4000,NVIDIA H100 80GB HBM3 (3),\"void gemm<float, 64>(float*, int)\"\n"
      "9000,4000,NVIDIA H100 80GB HBM3 (3),\"say \"\"hello\"\", twice\"\n";
  CHECK(Compared(table, R"({"steps": 2, "groups": [{"name": "products", "kernels": ["gemm<float, (128|64)>"]}]})") ==
        "2 steps of 6.0 us\n"
        "products: 1.0 kernels, predicted 0.0 us, measured 3.0 us\n"
        "kernel say \"hello\", twice 2.0 us\n"
        "op transformer fc1 backward 40.0 us\n"
        "op transformer fc1 forward 20.0 us\n"
        "op step optimizer backward 9.0 us\n");
}

TEST_CASE("without a device, operators count by their own time", "[traces]") {
  const std::string trace = R"({"traceEvents": [
    {"ph": "X", "cat": "cpu_op", "name": "aten::linear", "pid": 7, "tid": "main", "ts": 10, "dur": 50},
    {"ph": "X", "cat": "cpu_op", "name": "aten::addmm", "pid": 7, "tid": "main", "ts": 20, "dur": 30},
    {"ph": "X", "cat": "cpu_op", "name": "aten::add", "pid": 7, "tid": "main", "ts": 60, "dur": 5}]})";
  CHECK(Compared(trace, R"({"groups": [{"name": "products", "kernels": ["addmm"], "within": ["linear"]}]})") ==
        "1 steps of 55.0 us\n"
        "products: 1.0 kernels, predicted 0.0 us, measured 30.0 us\n"
        "kernel aten::linear 20.0 us\n"
        "kernel aten::add 5.0 us\n"
        "op transformer fc1 backward 40.0 us\n"
        "op transformer fc1 forward 20.0 us\n"
        "op step optimizer backward 9.0 us\n");
}

TEST_CASE("times that count from 1970 keep their fractions of a microsecond", "[traces]") {
  const std::string trace = R"({"traceEvents": [
    {"ph": "X", "cat": "cpu_op", "name": "aten::linear", "pid": 7, "tid": 7, "ts": 1621401187223197, "dur": 5.3},
    {"ph": "X", "cat": "cpu_op", "name": "aten::add", "pid": 7, "tid": 7, "ts": 1621401187223203, "dur": 0.3}]})";
  const std::string said = Compared(trace, R"({"groups": [{"name": "sums", "kernels": ["add"]}]})");
  CHECK(said.find("measured 0.3 us") != std::string::npos);
  CHECK(said.find("kernel aten::linear 5.3 us") != std::string::npos);
}

TEST_CASE("several devices need a choice, and a map is read strictly", "[traces]") {
  const std::string table =
      "Start (us),Duration (us),Device,Name\n"
      "1,2,A (0),gemm\n"
      "1,5,A (1),gemm\n";
  CHECK_THROWS_AS(Compared(table, R"({"groups": []})"), Error);
  CHECK(Compared(table, R"({"device": 1, "groups": [{"name": "all", "kernels": ["."]}]})").find("measured 5.0 us") !=
        std::string::npos);
  CHECK_THROWS_AS(Compared(table, R"({"groups": [{"name": "all", "kernel": ["."]}]})"), Error);
  CHECK_THROWS_AS(Compared(table, R"({"groups": [{"name": "all", "kernels": ["("]}]})"), Error);
}

TEST_CASE("the map in docs/traces.md is one", "[traces]") {
  std::ifstream file(std::string(ISO_SOURCE_DIR) + "/docs/traces.md");
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::size_t start = page.find("```json\n") + 8;
  const tests::Folder folder;
  const std::string map = folder.Write("docs.json", page.substr(start, page.find("```", start) - start));
  CHECK(ReadKernelMap(map).groups.size() == 8);
}
