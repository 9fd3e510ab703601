#include "costmodel/costs.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/costmodel/round_gpu.h"

using namespace isochrone::costmodel;
using isochrone::Bytes;
using isochrone::BytesPerSecond;
using isochrone::Error;
using isochrone::Seconds;
namespace plan = isochrone::plan;

namespace {

plan::Cluster RoundCluster() {
  plan::Cluster cluster;
  cluster.node.gpu = RoundGpu();
  cluster.node.link_bandwidth = BytesPerSecond(300e9);
  cluster.node.link_latency = cluster.node.nic_latency = Seconds(5e-6);
  cluster.node.nics = 8, cluster.node.nic_bandwidth = BytesPerSecond(25e9);
  cluster.node.host_bandwidth = BytesPerSecond(25e9);
  cluster.node.nvme_read = cluster.node.nvme_write = BytesPerSecond(24e9);
  cluster.nodes = 2;
  return cluster;
}

plan::Layout TwoNodes() {
  plan::Layout layout;
  layout.tp = 8, layout.pp = 2;
  return layout;
}

Costs RoundCosts(const FrameworkProfile& framework = {}) {
  return {RoundCluster(), TwoNodes(), plan::Strategy{}, IdealProfile(), framework};
}

plan::Gemm Square() {
  plan::Gemm gemm;
  gemm.m = gemm.n = gemm.k = 4096;
  return gemm;
}

plan::Op Alone(const plan::Gemm& gemm) {
  plan::Op op;
  op.kind = gemm;
  return op;
}

/// One of every kind of op.
std::vector<plan::OpKind> OneOfEach() {
  plan::GroupedGemm grouped;
  grouped.experts = 4, grouped.rows = 4096, grouped.rows_fullest = 1500, grouped.n = 2048, grouped.k = 1024;
  plan::Attention attention;
  attention.heads = attention.kv_heads = 16, attention.queries = attention.keys = 2048;
  attention.qk_dim = attention.v_dim = 128;
  plan::Softmax softmax;
  softmax.rows = 4096, softmax.columns = 2048;
  plan::Normalization norm;
  norm.rows = 4096, norm.columns = 4096;
  plan::Elementwise map;
  map.read = map.written = Bytes(1e8);
  plan::Embedding embedding;
  embedding.tokens = 4096, embedding.hidden = 4096, embedding.rows = 50000;
  plan::CrossEntropy loss;
  loss.tokens = 4096, loss.columns = 50000;
  plan::Collective collective;
  collective.bytes = Bytes(1e8);
  plan::OptimizerUpdate update;
  update.parameters = 1e8, update.bytes_per_parameter = 30;
  plan::Route route;
  route.tokens = 4096, route.experts = 64, route.topk = 2;
  plan::Permute permute;
  permute.rows = 8192, permute.hidden = 4096;
  plan::Scan scan;
  scan.length = 4096, scan.heads = 64, scan.head_dim = 64, scan.state = 128;
  plan::Convolution convolution;
  convolution.height = 1, convolution.width = 4096, convolution.channels_in = 4096, convolution.kernel_width = 4;
  plan::Recurrent recurrent;
  recurrent.batch = 32, recurrent.steps = 100, recurrent.hidden = 1024;
  return {Square(),
          grouped,
          attention,
          softmax,
          norm,
          map,
          embedding,
          loss,
          collective,
          plan::Message{Bytes(1e7)},
          update,
          plan::GradientNorm{Bytes(1e9)},
          plan::Transfer{plan::TransferKind::kToHost, Bytes(1e9)},
          route,
          permute,
          scan,
          convolution,
          recurrent};
}

double Sum(const std::vector<Term>& terms) {
  double sum = 0;
  for (const Term& term : terms) sum += term.time.value;
  return sum;
}

}  // namespace

TEST_CASE("every kind of op has a price, and its explanation adds up to it", "[costs]") {
  FrameworkProfile slow_host;
  slow_host.launch = Seconds(1e-3), slow_host.source = {"a slow host", false};
  for (const Costs& costs : {RoundCosts(), RoundCosts(slow_host)}) {
    std::size_t kind = 0;
    for (const plan::OpKind& one : OneOfEach()) {
      CHECK(one.index() == kind++);  // the list above leaves none out
      plan::Op op;
      op.kind = one;
      CAPTURE(one.index());
      CHECK(costs.TimeOf(op) > Seconds(0));
      CHECK(Sum(costs.Explain(op)) == Approx(costs.TimeOf(op).value));
      for (const Term& term : costs.Explain(op)) {
        CHECK(!term.formula.empty());
        CHECK(!term.source.text.empty());
      }
    }
    CHECK(kind == std::variant_size_v<plan::OpKind>);
  }
}

TEST_CASE("a throttled clock slows products and attention, not memory", "[costs]") {
  FrameworkProfile throttled;
  throttled.sustained_clock = 0.8;
  const Costs cool = RoundCosts(), hot = RoundCosts(throttled);
  const std::vector<plan::OpKind> ops = OneOfEach();
  CHECK(hot.TimeOf(ops[0]).value == Approx(cool.TimeOf(ops[0]).value / 0.8));
  CHECK(hot.TimeOf(ops[2]).value == Approx(cool.TimeOf(ops[2]).value / 0.8));
  CHECK(hot.TimeOf(ops[5]) == cool.TimeOf(ops[5]));
}

TEST_CASE("a host that enqueues slowly sets the least time of a kernel", "[costs]") {
  FrameworkProfile slow;
  slow.launch = Seconds(1e-3);
  plan::Elementwise small;
  small.read = small.written = Bytes(1024);
  CHECK(RoundCosts(slow).TimeOf(plan::OpKind(small)) == Seconds(1e-3));
  CHECK(RoundCosts(slow).TimeOf(plan::OpKind(Square())) ==
        Max(Seconds(1e-3), RoundCosts().TimeOf(plan::OpKind(Square()))));
}

TEST_CASE("only Hopper's products start late beside NCCL, and userbuffers spare them", "[costs]") {
  const auto contention = [](const char* architecture, bool pipelined) {
    plan::Cluster cluster = RoundCluster();
    cluster.node.gpu.architecture = architecture;
    plan::Strategy strategy;
    strategy.pipelined_tensor = pipelined;
    return Costs(cluster, TwoNodes(), strategy, IdealProfile(), {}).ContentionOf();
  };
  const auto tensor = static_cast<std::size_t>(plan::Stream::kTensor);
  const auto data = static_cast<std::size_t>(plan::Stream::kData);
  CHECK(contention("ampere", false).product == 1);
  CHECK(contention("blackwell", false).product == 1);
  const Contention hopper = contention("hopper", false);
  CHECK(hopper.product == Approx(80.0 / 47));
  CHECK(hopper.holds_up[tensor]);
  CHECK(hopper.holds_up[data]);
  CHECK_FALSE(hopper.holds_up[static_cast<std::size_t>(plan::Stream::kCopy)]);
  CHECK_FALSE(contention("hopper", true).holds_up[tensor]);
  CHECK(contention("hopper", true).holds_up[data]);
}

TEST_CASE("collectives hold two multiprocessors for each NIC that they use, sixteen inside a node", "[costs]") {
  const auto contention = [](int tensor, int data) {
    plan::Layout layout;
    layout.tp = tensor, layout.dp = data;
    return Costs(RoundCluster(), layout, plan::Strategy{}, IdealProfile(), {}).ContentionOf();
  };
  const auto on = [](const Contention& of, plan::Stream stream) {
    return of.compute[static_cast<std::size_t>(stream)];
  };
  CHECK(on(contention(8, 2), plan::Stream::kData) == Approx(100.0 / 98));
  CHECK(on(contention(4, 4), plan::Stream::kData) == Approx(100.0 / 96));
  CHECK(on(contention(1, 16), plan::Stream::kData) == Approx(100.0 / 84));
  CHECK(on(contention(1, 8), plan::Stream::kData) == Approx(100.0 / 84));
  CHECK(on(contention(8, 2), plan::Stream::kTensor) == Approx(100.0 / 84));
  CHECK(on(contention(8, 2), plan::Stream::kCopy) == 1);
}

TEST_CASE("gathers inside passes hold what their shard group's links need, buckets what all replicas' do", "[costs]") {
  plan::Layout layout;
  layout.tp = 4, layout.dp = 4, layout.shard = 2;
  const plan::Cluster cluster = RoundCluster();
  const Costs costs(cluster, layout, plan::Strategy{}, IdealProfile(), {});
  const auto data = static_cast<std::size_t>(plan::Stream::kData);
  CHECK(costs.ContentionOf().compute[data] == Approx(100.0 / 84));
  CHECK(costs.ContentionOfBuckets().compute[data] == Approx(100.0 / 96));
  Contention contention = costs.ContentionOf();
  HoldForBuckets(cluster, layout, contention);
  CHECK(contention.compute[data] == costs.ContentionOfBuckets().compute[data]);
}

TEST_CASE("what a product's late blocks have follows from its tiles, where there are late blocks", "[costs]") {
  plan::Cluster cluster = RoundCluster();
  const GemmPrice price = GemmModel(cluster.node.gpu, IdealGemm(), plan::Dtype::kBf16).Price(Square());
  CHECK(RoundCosts().LateShares({Alone(Square())}).empty());
  cluster.node.gpu.architecture = "hopper";
  const Costs costs(cluster, TwoNodes(), plan::Strategy{}, IdealProfile(), {});
  CHECK(costs.LateShares({Alone(Square())}) == std::vector<double>{LateShare(price.tiles, 100, 16)});
}

TEST_CASE("a pipeline message takes its links' time, and where compute waits for it the host's", "[costs]") {
  FrameworkProfile framework;
  framework.message = Seconds(4e-4);
  const Costs costs = RoundCosts(framework);
  for (const bool cut : {false, true}) {
    for (const auto mode : {plan::MessageMode::kBlocking, plan::MessageMode::kOverlapped}) {
      const bool waits = mode == plan::MessageMode::kBlocking;
      CHECK(costs.HostOfMessage(mode).value == (waits ? 4e-4 : 0));
      Seconds sum;
      for (const Term& term : costs.ExplainMessage(Bytes(3e7), cut, mode)) sum += term.time;
      CHECK(sum.value == Approx((costs.MessageTime(Bytes(3e7), cut) + costs.HostOfMessage(mode)).value));
    }
  }
  CHECK(costs.MessageTime(Bytes(3e7), false, false) < costs.MessageTime(Bytes(3e7), false));
}

TEST_CASE("an unknown framework is refused with the nearest known one", "[costs]") {
  try {
    FrameworkOf("megatron_cor", RoundGpu(), false, plan::Sharding::kNone);
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()) ==
          "strategy/framework = \"megatron_cor\"\n  is no known framework\n  did you mean \"megatron_core\"?");
  }
}

TEST_CASE("a GPU without measurements borrows fractions of its architecture and says that they are not measured",
          "[costs]") {
  plan::Gpu gpu = RoundGpu();
  gpu.name = "unknown_gpu";
  const auto profile = ProfileOf(gpu);
  CHECK(profile->name == "a100_sxm_80gb");
  CHECK_FALSE(profile->gemm.at("bf16").source.measured);
  CHECK(profile->gemm.at("bf16").source.text.find("no measurement of unknown_gpu") == 0);
  gpu.name = "a100_sxm_80gb";
  CHECK(ProfileOf(gpu)->gemm.at("bf16").source.measured);
}
