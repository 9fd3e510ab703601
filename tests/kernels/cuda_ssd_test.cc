#include "kernels/ssd.h"
#include "tests/kernels/cuda_checks.h"

using namespace isochrone::kernels;
using namespace isochrone::kernels::checks;

namespace {

/// A scan with heads that share b and c, and slices of wider projections.
struct Scan {
  SsdShape shape;
  bool aligned, starts;

  explicit Scan(Draw& draw) {
    shape.batch = draw.Size(2);
    shape.positions = draw.Size(28);
    shape.groups = draw.Size(2);
    shape.heads = shape.groups * draw.Size(2);
    shape.head_size = draw.Size(16);
    shape.states = draw.Size(16);
    shape.chunk = draw.Coin() ? draw.Size(20) : 64;
    shape.x_pitch = shape.heads * shape.head_size + draw.Below(2) * 3;
    shape.bc_pitch = shape.groups * shape.states + draw.Below(2) * 5;
    aligned = draw.Coin();
    starts = draw.Coin();
  }
  Index Tokens() const { return shape.batch * shape.positions; }
  Index StateSize() const { return shape.states * shape.head_size; }
};

}  // namespace

TEMPLATE_TEST_CASE("the scan of Mamba-2 on a GPU equals its twin, forward and backward", "[cuda]", float, Bf16, Fp16) {
  using T = TestType;
  ForShapes([](Draw& draw) {
    const Scan s(draw);
    const Index heads = s.shape.heads, outs = s.Tokens() * heads * s.shape.head_size;
    const std::vector<float> x = draw.Values<T>(s.Tokens() * s.shape.x_pitch);
    const std::vector<float> b = draw.Values<T>(s.Tokens() * s.shape.bc_pitch);
    const std::vector<float> c = draw.Values<T>(s.Tokens() * s.shape.bc_pitch);
    std::vector<float> dt = draw.Values<float>(s.Tokens() * heads), a = draw.Values<float>(heads);
    const std::vector<float> skip = draw.Values<float>(heads);
    const std::vector<float> initial = draw.Values<float>(s.shape.batch * heads * s.StateSize());
    for (float& v : dt) v = std::abs(v) * 0.5f + 0.01f;
    for (float& v : a) v = -std::abs(v) - 0.01f;
    std::vector<float> out(outs), state(s.shape.batch * heads * (s.shape.Chunks() + 1) * s.StateSize());
    std::vector<float> workspace(SsdWorkspace(s.shape));
    SsdScan<float>(s.shape, x.data(), dt.data(), a.data(), b.data(), c.data(), skip.data(),
                   s.starts ? initial.data() : nullptr, out.data(), state.data(), workspace.data());
    Guarded<T> device_x(x, s.aligned), device_b(b, s.aligned), device_c(c, s.aligned), device_out(outs, s.aligned);
    Guarded<float> device_dt(dt, s.aligned), device_a(a, s.aligned), device_skip(skip, s.aligned);
    Guarded<float> device_initial(initial, s.aligned), device_state(state.size(), s.aligned);
    cuda::SsdScan<T>(nullptr, s.shape, device_x.Data(), device_dt.Data(), device_a.Data(), device_b.Data(),
                     device_c.Data(), device_skip.Data(), s.starts ? device_initial.Data() : nullptr, device_out.Data(),
                     device_state.Data());
    CHECK_NEAR(T, device_out, out);
    CHECK_NEAR(float, device_state, state);

    const std::vector<float> dout = draw.Values<T>(outs), dfinal = draw.Values<float>(initial.size());
    const std::vector<float> zero_x(x.size()), zero_b(b.size()), zero_dt(dt.size()), half(heads, 0.5f);
    std::vector<float> dx = zero_x, db = zero_b, dc = zero_b, ddt = zero_dt, da = half, dskip = half;
    std::vector<float> dinitial(initial.size());
    SsdScanBackward<float>(
        s.shape, x.data(), dt.data(), a.data(), b.data(), c.data(), skip.data(), state.data(), dout.data(),
        s.starts ? dfinal.data() : nullptr,
        {dx.data(), ddt.data(), da.data(), db.data(), dc.data(), dskip.data(), s.starts ? dinitial.data() : nullptr},
        workspace.data());
    Guarded<T> device_dout(dout, s.aligned);
    Guarded<float> device_dfinal(dfinal, s.aligned), device_dx(zero_x, s.aligned), device_db(zero_b, s.aligned);
    Guarded<float> device_dc(zero_b, s.aligned), device_ddt(zero_dt, s.aligned), device_da(half, s.aligned);
    Guarded<float> device_dskip(half, s.aligned), device_dinitial(dinitial, s.aligned);
    Guarded<float> twin_state(state, s.aligned), device_work(cuda::SsdBackwardWorkspace(s.shape), s.aligned);
    cuda::SsdScanBackward<T>(nullptr, s.shape, device_x.Data(), device_dt.Data(), device_a.Data(), device_b.Data(),
                             device_c.Data(), device_skip.Data(), twin_state.Data(), device_dout.Data(),
                             s.starts ? device_dfinal.Data() : nullptr,
                             {device_dx.Data(), device_ddt.Data(), device_da.Data(), device_db.Data(), device_dc.Data(),
                              device_dskip.Data(), s.starts ? device_dinitial.Data() : nullptr},
                             device_work.Data());
    CHECK_NEAR(float, device_dx, dx);
    CHECK_NEAR(float, device_ddt, ddt);
    CHECK_NEAR(float, device_db, db);
    CHECK_NEAR(float, device_dc, dc);
    CHECK_NEAR(float, device_da, da);
    CHECK_NEAR(float, device_dskip, dskip);
    if (s.starts) CHECK_NEAR(float, device_dinitial, dinitial);
  });
}
