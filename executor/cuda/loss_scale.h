#pragma once

#include <cmath>

namespace isochrone::executor::cuda {

/// The factor on the gradients of fp16, which has no numbers below 2^-24: the loss's gradient starts with it, the norm
/// and the update take it out again. A step whose gradients overflow updates nothing and halves the factor; many steps
/// without one double it. Without fp16 it is 1.
///
/// Source  Micikevicius et al., "Mixed Precision Training", arXiv 1710.03740, section 3.2; first factor and interval as
///         Megatron-LM's arguments initial-loss-scale and loss-scale-window have them, but for the first factor, 2^16,
///         which is that of PyTorch's GradScaler.
class LossScale {
 public:
  explicit LossScale(bool is_on) : value_(is_on ? 65536.0 : 1.0), is_on_(is_on) {}

  double Value() const { return value_; }
  bool IsOn() const { return is_on_; }
  /// Steps that updated parameters.
  int Updates() const { return updates_; }
  /// What a step saw. Returns false where nothing is left to halve: gradients overflow by themselves.
  bool Note(double gradient_norm) {
    if (std::isfinite(gradient_norm)) {
      ++updates_;
      if (is_on_ && ++clean_ == kWindow) {
        value_ *= 2;
        clean_ = 0;
      }
      return true;
    }
    clean_ = 0;
    if (value_ <= 1) return false;
    value_ /= 2;
    return true;
  }

 private:
  static constexpr int kWindow = 1000;
  double value_;
  bool is_on_;
  int updates_ = 0, clean_ = 0;
};

}  // namespace isochrone::executor::cuda
