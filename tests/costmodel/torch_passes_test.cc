#include "costmodel/torch_passes.h"

#include <catch2/catch.hpp>

#include "costmodel/costs.h"
#include "tests/costmodel/round_gpu.h"

using namespace isochrone::costmodel;
using isochrone::Bytes;
using isochrone::Seconds;
namespace plan = isochrone::plan;

namespace {

plan::Gemm Product(plan::GemmRole role) {
  plan::Gemm gemm;
  gemm.role = role, gemm.batch = 4, gemm.m = 512, gemm.n = 64, gemm.k = 512;
  return gemm;
}

plan::Strategy Under(const std::string& framework, plan::AttentionForm attention) {
  plan::Strategy strategy;
  strategy.framework = framework, strategy.attention = attention;
  return strategy;
}

}  // namespace

TEST_CASE("PyTorch copies what the batched products of unfused attention write, and no other product", "[costs]") {
  using Role = plan::GemmRole;
  const plan::Strategy torch = Under("megatron_lm_2022", plan::AttentionForm::kUnfused);
  for (const Role role : {Role::kContext, Role::kGradValues})
    CHECK(TorchPasses(Product(role), torch) == Bytes(2. * 4 * 512 * 64 * 2));
  for (const Role role :
       {Role::kLinear, Role::kLinearGradInput, Role::kLinearGradWeight, Role::kScores, Role::kGradProbabilities})
    CHECK(TorchPasses(Product(role), torch) == Bytes(0));
  CHECK(TorchPasses(Product(Role::kContext), Under("other", plan::AttentionForm::kUnfused)) == Bytes(0));
}

TEST_CASE("the scale of scores is an alpha of baddbmm, and its derivatives multiply by it once more", "[costs]") {
  for (const plan::GemmRole role : {plan::GemmRole::kGradQueries, plan::GemmRole::kGradKeys}) {
    const auto passes = [&](const char* framework) {
      return TorchPasses(Product(role), Under(framework, plan::AttentionForm::kUnfused)) / Bytes(4. * 512 * 64 * 2);
    };
    CHECK(passes("megatron_lm_2021") == 4);
    CHECK(passes("megatron_core") == 4);
    CHECK(passes("megatron_lm_2019") == 2);  // divided the scores
    CHECK(passes("fsdp") == 2);
  }
}

TEST_CASE("Megatron's own linear layers add their bias in a kernel of its own, Transformer Engine's do not",
          "[costs]") {
  plan::Gemm linear = Product(plan::GemmRole::kLinear);
  linear.bias = true;
  const auto passes = [&](const char* framework, plan::AttentionForm attention) {
    return TorchPasses(linear, Under(framework, attention));
  };
  const Bytes apart(2. * 4 * 512 * 64 * 2);
  CHECK(passes("megatron_lm_2021", plan::AttentionForm::kUnfused) == apart);
  CHECK(passes("megatron_deepspeed", plan::AttentionForm::kFlash) == apart);
  CHECK(passes("megatron_core", plan::AttentionForm::kUnfused) == apart);
  CHECK(passes("megatron_core", plan::AttentionForm::kFlash) == Bytes(0));
  CHECK(passes("fsdp", plan::AttentionForm::kUnfused) == Bytes(0));
}

TEST_CASE("an op takes as long as its product and PyTorch's passes, and says so", "[costs]") {
  plan::Cluster cluster;
  cluster.node.gpu = RoundGpu();
  const auto costs = [&](const char* framework) {
    FrameworkProfile slower;
    slower.kernel_time = 1.25;
    return Costs(cluster, plan::Layout{}, Under(framework, plan::AttentionForm::kUnfused), IdealProfile(), slower);
  };
  const plan::Op op{.name = "context", .kind = Product(plan::GemmRole::kContext), .in = {}, .out = {}, .after = {}};
  const Costs torch = costs("megatron_lm_2022");
  const Seconds alone = costs("other").TimeOf(op), whole = torch.TimeOf(op);
  const Seconds passes = TorchPasses(op.kind, Under("megatron_lm_2022", plan::AttentionForm::kUnfused)) /
                         (IdealProfile().memory.elementwise_over_peak * cluster.node.gpu.memory_bandwidth);
  CHECK(whole.value == Approx((alone + 1.25 * passes).value));
  Seconds sum;
  for (const Term& term : torch.Explain(op)) sum += term.time;
  CHECK(sum.value == Approx(whole.value));
}
