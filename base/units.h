#pragma once

#include <compare>

namespace isochrone {

/// A number with a unit that does not mix with other units. Everything is SI inside: seconds, bytes,
/// floating-point operations. Prefixes exist at the edges only, spelt in a key or a column.
template <class Unit>
struct Quantity {
  double value = 0;

  constexpr Quantity() = default;
  constexpr explicit Quantity(double v) : value(v) {}

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator-() const { return Quantity(-value); }
  constexpr Quantity& operator+=(Quantity o) { return value += o.value, *this; }
  constexpr Quantity& operator-=(Quantity o) { return value -= o.value, *this; }
  constexpr Quantity& operator*=(double f) { return value *= f, *this; }
  constexpr Quantity& operator/=(double f) { return value /= f, *this; }

  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value + b.value); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value - b.value); }
  friend constexpr Quantity operator*(Quantity a, double f) { return Quantity(a.value * f); }
  friend constexpr Quantity operator*(double f, Quantity a) { return Quantity(f * a.value); }
  friend constexpr Quantity operator/(Quantity a, double f) { return Quantity(a.value / f); }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value / b.value; }
};

struct SecondsUnit {};
struct BytesUnit {};
struct FlopsUnit {};
struct BytesPerSecondUnit {};
struct FlopsPerSecondUnit {};

using Seconds = Quantity<SecondsUnit>;
using Bytes = Quantity<BytesUnit>;
using Flops = Quantity<FlopsUnit>;
using BytesPerSecond = Quantity<BytesPerSecondUnit>;
using FlopsPerSecond = Quantity<FlopsPerSecondUnit>;

constexpr Seconds operator/(Bytes b, BytesPerSecond r) { return Seconds(b.value / r.value); }
constexpr Seconds operator/(Flops f, FlopsPerSecond r) { return Seconds(f.value / r.value); }
constexpr BytesPerSecond operator/(Bytes b, Seconds t) { return BytesPerSecond(b.value / t.value); }
constexpr FlopsPerSecond operator/(Flops f, Seconds t) { return FlopsPerSecond(f.value / t.value); }
constexpr Bytes operator*(BytesPerSecond r, Seconds t) { return Bytes(r.value * t.value); }
constexpr Bytes operator*(Seconds t, BytesPerSecond r) { return Bytes(r.value * t.value); }
constexpr Flops operator*(FlopsPerSecond r, Seconds t) { return Flops(r.value * t.value); }

template <class Unit>
constexpr Quantity<Unit> Max(Quantity<Unit> a, Quantity<Unit> b) {
  return a < b ? b : a;
}
template <class Unit>
constexpr Quantity<Unit> Min(Quantity<Unit> a, Quantity<Unit> b) {
  return b < a ? b : a;
}

inline constexpr double kKibi = 1024.0, kMebi = kKibi * 1024, kGibi = kMebi * 1024;
inline constexpr double kKilo = 1e3, kMega = 1e6, kGiga = 1e9, kTera = 1e12, kPeta = 1e15;

}  // namespace isochrone
