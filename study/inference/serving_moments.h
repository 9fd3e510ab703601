#pragma once

#include <vector>

#include "sim/serving/request.h"

namespace isochrone::study {

/// Means over one of many equal stretches of a serving run.
struct ServingMoment {
  double start = 0, end = 0;  // s
  double prompt_share = 0;    // of the engines' time, in steps that hold prompts
  double decode_share = 0;    // in steps that only decode; the rest is idle
  double waiting = 0;         // requests without their first token
  double answering = 0;       // requests with it, unfinished
  double watts = 0;           // of all GPUs
};

/// What all GPUs draw together while every engine does that.
struct ServingPower {
  double idle = 0, prompt = 0, decode = 0;  // W
};

/// The run in `parts` equal stretches from 0 to its end, in time proportional to what it holds.
///
///   watts = idle + prompt_share (prompt - idle) + decode_share (decode - idle)
///
/// so that watts times time adds up to the energy of the run. Requests that were turned away count nowhere.
/// Requires  `served` was made with a trace; parts > 0
std::vector<ServingMoment> MomentsOf(const std::vector<sim::serving::Request>& requests,
                                     const sim::serving::Served& served, int engines, const ServingPower& power,
                                     int parts);

}  // namespace isochrone::study
