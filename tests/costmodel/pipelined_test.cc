#include "costmodel/pipelined.h"

#include <catch2/catch.hpp>

using namespace isochrone;
using namespace isochrone::costmodel;

namespace {

plan::Op Product(plan::GemmRole role, int in, int out) {
  return {.name = "product", .kind = plan::Gemm{.role = role}, .in = {in}, .out = {out}, .after = {}};
}
plan::Op Tensor(plan::CollectiveKind kind, int in, int out) {
  return {.name = "rows",
          .stream = plan::Stream::kTensor,
          .kind = plan::Collective{.kind = kind, .group = plan::Group::kTensor, .bytes = {}},
          .in = {in},
          .out = {out},
          .after = {}};
}
plan::Op Cast(int in, int out) {
  return {.name = "narrow",
          .kind = plan::Elementwise{.kind = plan::ElementwiseKind::kCast, .read = {}, .written = {}},
          .in = {in},
          .out = {out},
          .after = {}};
}
constexpr auto kGather = plan::CollectiveKind::kAllGather;
constexpr auto kScatter = plan::CollectiveKind::kReduceScatter;
using plan::GemmRole;

}  // namespace

TEST_CASE("a gather beside the product that reads it shows its first piece only", "[price]") {
  CHECK(PipelinedSeconds({Tensor(kGather, 0, 1), Product(GemmRole::kLinear, 1, 2)}, {4, 10}, 4, 1) ==
        std::vector<double>{1, 10});
  CHECK(PipelinedSeconds({Tensor(kGather, 0, 1), Cast(1, 2), Product(GemmRole::kLinearGradInput, 2, 3)}, {4, 1, 10}, 4,
                         1) == std::vector<double>{1, 1, 10});
}

TEST_CASE("what a short product leaves of a gather stays exposed", "[price]") {
  CHECK(PipelinedSeconds({Tensor(kGather, 0, 1), Product(GemmRole::kLinear, 1, 2)}, {8, 2}, 4, 1) ==
        std::vector<double>{6, 2});
}

TEST_CASE("a reduce-scatter drains the product that makes it; one product hides no more than its own time", "[price]") {
  const std::vector<plan::Op> both = {Tensor(kGather, 0, 1), Product(GemmRole::kLinear, 1, 2), Tensor(kScatter, 2, 3)};
  CHECK(PipelinedSeconds(both, {8, 100, 4}, 2, 1) == std::vector<double>{4, 100, 2});
  CHECK(PipelinedSeconds(both, {8, 5, 4}, 2, 1) == std::vector<double>{4, 5, 3});
}

TEST_CASE("weight gradients and input gradients leave their collectives to the streams", "[price]") {
  const std::vector<plan::Op> ops = {Tensor(kGather, 0, 1), Product(GemmRole::kLinearGradWeight, 1, 2),
                                     Product(GemmRole::kLinearGradInput, 3, 4), Tensor(kScatter, 4, 5)};
  CHECK(PipelinedSeconds(ops, {8, 9, 9, 8}, 4, 1) == std::vector<double>{8, 9, 9, 8});
}

TEST_CASE("a product is slower while pieces of its reduce-scatter pass, not while copy engines gather", "[price]") {
  CHECK(PipelinedSeconds({Product(GemmRole::kLinear, 0, 1), Tensor(kScatter, 1, 2)}, {10, 4}, 4, 1.5) ==
        std::vector<double>{10, 1 + 1.5});
  CHECK(PipelinedSeconds({Tensor(kGather, 0, 1), Product(GemmRole::kLinear, 1, 2)}, {4, 10}, 4, 1.5) ==
        std::vector<double>{1, 10});
}
