#include "kernels/ssd.h"

#include "tests/kernels/checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

template <class T>
struct Scan {
  SsdShape s;
  bool with_initial;
  std::vector<T> x, dt, a, b, c, skip, initial, out, state, workspace;

  Scan(SsdShape shape, bool with) : s(shape), with_initial(with) {
    s.x_pitch = s.heads * s.head_size + 2;  // pitches wider than the heads
    s.bc_pitch = s.groups * s.states + 1;
    x = As<T>(Random(s.batch * s.positions * s.x_pitch, 1));
    dt = As<T>(Random(s.batch * s.positions * s.heads, 2));
    for (T& v : dt) v = T(0.6) + v / 2;
    a = As<T>(Random(s.heads, 3));
    for (T& v : a) v = v / 2 - 1;
    b = As<T>(Random(s.batch * s.positions * s.bc_pitch, 4));
    c = As<T>(Random(s.batch * s.positions * s.bc_pitch, 5));
    skip = As<T>(Random(s.heads, 6));
    initial = As<T>(Random(s.batch * s.heads * s.states * s.head_size, 7));
    out.resize(s.batch * s.positions * s.heads * s.head_size);
    state.resize(s.batch * s.heads * (s.Chunks() + 1) * s.states * s.head_size);
    workspace.resize(SsdWorkspace(s));
  }

  void Run() {
    SsdScan<T>(s, x.data(), dt.data(), a.data(), b.data(), c.data(), skip.data(),
               with_initial ? initial.data() : nullptr, out.data(), state.data(), workspace.data());
  }
  std::vector<double> Final() const {
    const Index size = s.states * s.head_size;
    std::vector<double> last;
    for (Index i = 0; i < s.batch * s.heads; ++i) {
      const auto begin = state.begin() + (i * (s.Chunks() + 1) + s.Chunks()) * size;
      last.insert(last.end(), begin, begin + size);
    }
    return last;
  }

  // The recurrence of the header, position by position.
  std::pair<std::vector<double>, std::vector<double>> Recurrence() const {
    std::vector<double> result(out.size()), h(initial.size());
    if (with_initial) h = AsDouble(initial);
    for (Index i = 0; i < s.batch * s.heads; ++i)
      for (Index p = 0; p < s.positions; ++p) {
        const Index t = i / s.heads * s.positions + p, head = i % s.heads;
        const Index bc = t * s.bc_pitch + head / (s.heads / s.groups) * s.states;
        const double step = double(dt[t * s.heads + head]), decay = std::exp(step * double(a[head]));
        for (Index d = 0; d < s.head_size; ++d) {
          const double value = double(x[t * s.x_pitch + head * s.head_size + d]);
          double sum = double(skip[head]) * value;
          for (Index m = 0; m < s.states; ++m) {
            double& state_at = h[(i * s.states + m) * s.head_size + d];
            state_at = decay * state_at + step * double(b[bc + m]) * value;
            sum += double(c[bc + m]) * state_at;
          }
          result[(t * s.heads + head) * s.head_size + d] = sum;
        }
      }
    return {result, h};
  }
};

// (batch, positions, heads, head size, groups, states, chunk)
const std::vector<SsdShape> kSmall = {
    {1, 1, 1, 1, 1, 1, 1}, {1, 5, 1, 2, 1, 3, 1}, {2, 7, 2, 3, 1, 2, 3}, {1, 6, 4, 1, 2, 3, 4}, {1, 5, 2, 2, 2, 3, 64}};
const SsdShape kLarge = {2, 131, 4, 16, 2, 13, 32};

template <class T>
void CheckForward(double tolerance) {
  auto shapes = kSmall;
  shapes.push_back(kLarge);
  for (const auto& s : shapes)
    for (const bool initial : {false, true}) {
      Scan<T> scan(s, initial);
      scan.Run();
      const auto [out, last] = scan.Recurrence();
      CHECK(Error(AsDouble(scan.out), out) < tolerance);
      CHECK(Error(scan.Final(), last) < tolerance);
    }
}

struct Gradients {
  std::vector<double> x, dt, a, b, c, skip, initial;
};

Gradients Backward(Scan<double>& scan, const std::vector<double>& dout, const std::vector<double>* dfinal) {
  Gradients g{std::vector<double>(scan.x.size()),      std::vector<double>(scan.dt.size()),
              std::vector<double>(scan.a.size()),      std::vector<double>(scan.b.size()),
              std::vector<double>(scan.c.size()),      std::vector<double>(scan.skip.size()),
              std::vector<double>(scan.initial.size())};
  scan.Run();
  SsdScanBackward<double>(
      scan.s, scan.x.data(), scan.dt.data(), scan.a.data(), scan.b.data(), scan.c.data(), scan.skip.data(),
      scan.state.data(), dout.data(), dfinal ? dfinal->data() : nullptr,
      {g.x.data(), g.dt.data(), g.a.data(), g.b.data(), g.c.data(), g.skip.data(), g.initial.data()},
      scan.workspace.data());
  return g;
}

}  // namespace

TEST_CASE("the chunked scan is the recurrence, for any chunk, grouping and initial state", "[ssd]") {
  CheckForward<double>(1e-13);
  CheckForward<float>(3e-6);
}

TEST_CASE("the gradients of the scan are its central differences", "[ssd]") {
  for (const auto& s : kSmall)
    for (const bool with_state : {false, true}) {
      Scan<double> scan(s, with_state);
      const auto dout = Random(Index(scan.out.size()), 8), dfinal = Random(Index(scan.initial.size()), 9);
      const auto g = Backward(scan, dout, with_state ? &dfinal : nullptr);
      const auto loss = [&] {
        scan.Run();
        return Dot(scan.out, dout) + (with_state ? Dot(scan.Final(), dfinal) : 0);
      };
      CHECK(Error(g.x, Differences(scan.x, loss)) < kDifferenceTolerance);
      CHECK(Error(g.dt, Differences(scan.dt, loss)) < kDifferenceTolerance);
      CHECK(Error(g.a, Differences(scan.a, loss)) < kDifferenceTolerance);
      CHECK(Error(g.b, Differences(scan.b, loss)) < kDifferenceTolerance);
      CHECK(Error(g.c, Differences(scan.c, loss)) < kDifferenceTolerance);
      CHECK(Error(g.skip, Differences(scan.skip, loss)) < kDifferenceTolerance);
      if (with_state) CHECK(Error(g.initial, Differences(scan.initial, loss)) < kDifferenceTolerance);
    }
}

TEST_CASE("the gradients of the scan do not depend on the chunk", "[ssd]") {
  SsdShape one_chunk = kLarge;
  one_chunk.chunk = 131;
  Scan<double> many(kLarge, true), one(one_chunk, true);
  const auto dout = Random(Index(many.out.size()), 8), dfinal = Random(Index(many.initial.size()), 9);
  const auto g = Backward(many, dout, &dfinal), h = Backward(one, dout, &dfinal);
  CHECK(Error(g.x, h.x) < 1e-12);
  CHECK(Error(g.dt, h.dt) < 1e-12);
  CHECK(Error(g.a, h.a) < 1e-12);
  CHECK(Error(g.b, h.b) < 1e-12);
  CHECK(Error(g.c, h.c) < 1e-12);
  CHECK(Error(g.skip, h.skip) < 1e-12);
  CHECK(Error(g.initial, h.initial) < 1e-12);
}
