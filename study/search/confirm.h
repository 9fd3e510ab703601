#pragma once

#include <vector>

#include "study/search/candidate.h"
#include "study/search/space.h"

namespace isochrone::study {

/// One of the best, looked at again: every term, and what the engines say.
struct Confirmed {
  Candidate candidate;
  double score = 0;              // by the most exact step time that was asked for; less is better
  double event_step_time = 0;    // seconds; 0: not asked
  double network_step_time = 0;  // seconds; 0: not asked
  /// The most exact that was asked for, in seconds.
  double StepTime() const {
    return network_step_time > 0 ? network_step_time
           : event_step_time > 0 ? event_step_time
                                 : candidate.estimate.step_time;
  }
};

/// Plays the first `fewest` of `best` with the event engine, and with the network engine where `network`; then goes on
/// while the closed form of the next promises less than the best of those played took. Those that were played come
/// first, the best of them by what was played at the front; the others keep their order. 0 plays none.
std::vector<Confirmed> Confirm(const Space& space, const std::vector<Candidate>& best, int fewest, bool network);

}  // namespace isochrone::study
