#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "study/terms/in_flight.h"

namespace isochrone::study {

/// What a stage may hold: activations of a microbatch, their rest between the two halves of a split backward pass, and
/// the workspace of a pass.
enum class Hold : std::uint8_t { kWhole, kRest, kForward, kBackward, kBackwardInput };
inline constexpr int kHolds = 5;

/// InFlight of one cut, added up over stages that hold the same layers, without what a rank never holds. Four instants
/// of a rank lie side by side, so that one sum need not wait for another.
struct Held {
  using Instants = std::array<float, 4>;     // counts, exact up to 2^24; 0 where there are fewer
  std::vector<int> first_hold, first_group;  // [rank], and one past the last
  std::vector<int> hold;                     // hold · kinds + kind of stage, ascending for each rank
  std::vector<Instants> count;               // group after group, one for each hold of its rank
};

/// Where kinds of stages lie, and which hold more than others: StageCut::kind and above.
struct Kinds {
  std::vector<int> of;     // [stage]
  std::vector<int> above;  // [kind]
  auto operator<=>(const Kinds&) const = default;
};

/// Leaves out instants that cannot be a rank's fullest, whatever stages hold, as long as a kind holds no less than the
/// one that it is above.
Held HeldByKind(const InFlight& in_flight, const Kinds& kinds);

/// Most bytes that each rank holds, into `most` [rank].
///
/// bytes  [hold · kinds + kind]
void MostHeld(const Held& held, std::span<const double> bytes, std::span<double> most);

}  // namespace isochrone::study
