#include "plan/program_validate.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/error.h"

namespace isochrone::plan {
namespace {

using Known = std::set<int>;

class Checker {
 public:
  explicit Checker(const LayerProgram& program) : p_(program) {
    for (const auto& ops : p_.ops) {
      for (const Op& op : ops) written_.insert(op.out.begin(), op.out.end());
    }
  }

  void Check() const {
    Known known = Entering();
    Walk(Phase::kForward, known);

    Known kept = Entering();
    kept.insert(p_.output_gradient);
    for (int b : written_) {
      if (At(b).lifetime == Lifetime::kMicrobatch) kept.insert(b);
    }
    Walk(Phase::kRecompute, kept);
    Known split = kept;
    Walk(Phase::kBackward, kept);
    Walk(Phase::kBackwardInput, split);
    Walk(Phase::kBackwardWeight, split);
    CheckGradients();
    CheckKept();
    if (p_.Ops(Phase::kBackward).size() !=
        p_.Ops(Phase::kBackwardInput).size() + p_.Ops(Phase::kBackwardWeight).size()) {
      Fail(Phase::kBackward, "has other ops than its two parts together");
    }
  }

 private:
  const Buffer& At(int b) const { return p_.buffers[static_cast<std::size_t>(b)]; }

  [[noreturn]] void Fail(Phase phase, const std::string& what) const {
    throw Error("program " + p_.name + ", " + NameOf(phase), what, "");
  }

  /// Parameters, and what no op makes: the input, tokens, labels.
  Known Entering() const {
    Known known;
    for (std::size_t i = 0; i < p_.buffers.size(); ++i) {
      const int b = static_cast<int>(i);
      const bool stored = At(b).kind == BufferKind::kParameter || At(b).kind == BufferKind::kGradient;
      if (stored || (!written_.count(b) && b != p_.output_gradient)) known.insert(b);
    }
    return known;
  }

  void Walk(Phase phase, Known& known) const {
    const auto& ops = p_.Ops(phase);
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const Op& op = ops[i];
      for (int b : op.in) {
        if (b < 0 || b >= static_cast<int>(p_.buffers.size()))
          Fail(phase, op.name + " reads a buffer that is not there");
        if (!known.count(b)) Fail(phase, op.name + " reads " + At(b).name + " before it is written");
      }
      for (int b : op.out) {
        if (b < 0 || b >= static_cast<int>(p_.buffers.size()))
          Fail(phase, op.name + " writes a buffer that is not there");
        if (At(b).kind == BufferKind::kParameter) Fail(phase, op.name + " writes the parameter " + At(b).name);
        known.insert(b);
      }
      for (int other : op.after) {
        if (other < 0 || other >= static_cast<int>(i)) Fail(phase, op.name + " waits for an op that is not before it");
      }
    }
  }

  void CheckGradients() const {
    std::multiset<std::string> have, want;
    for (int b : written_) {
      if (At(b).kind == BufferKind::kGradient && !At(b).borrowed) have.insert(At(b).name);
    }
    for (const Buffer& b : p_.buffers) {
      if (b.kind == BufferKind::kParameter && !b.borrowed) want.insert("d_" + b.name);
    }
    if (have != want) Fail(Phase::kBackward, "does not give every parameter one gradient");
  }

  void CheckKept() const {
    Known read;
    for (Phase phase : {Phase::kRecompute, Phase::kBackward}) {
      for (const Op& op : p_.Ops(phase)) read.insert(op.in.begin(), op.in.end());
    }
    for (std::size_t i = 0; i < p_.buffers.size(); ++i) {
      if (p_.buffers[i].lifetime == Lifetime::kMicrobatch && !read.count(static_cast<int>(i)))
        Fail(Phase::kBackward, "never reads " + p_.buffers[i].name + ", which is kept for it");
    }
  }

  const LayerProgram& p_;
  Known written_;
};

}  // namespace

void Validate(const LayerProgram& program) { Checker(program).Check(); }

}  // namespace isochrone::plan
