#pragma once

#include <cstdint>
#include <vector>

#include "plan/inference/step_cost.h"
#include "sim/serving/request.h"

namespace isochrone::sim::serving {

/// One replica of several stages.
struct PipelinedWork {
  const std::vector<Request>& requests;
  const plan::ReplicaCost& cost;
  Limits limits;         // of one group: sequences, cache and budget
  bool chunked = false;  // prompts pass in pieces that fill what decoding leaves of the token budget
  bool trace = false;
};

/// As many groups of sequences as stages take turns; a group's next step can start when its last has left the last
/// stage, because it needs its tokens. A request joins the group that first has room when it is next in line, reserves
/// its whole length in the cache and stays. A step decodes every sequence of its group; prompts that joined pass whole
/// with them (Orca), or in pieces (SARATHI), or, without fuses_prompts, in steps of their own before.
///
/// `bubbles` of the result: for each request the bubbles in front of the steps that it took part in.
/// Source  Yu et al., "Orca", OSDI 2022; Agrawal et al., SARATHI, arXiv 2308.16369, section 5.3.
Served Pipelined(const PipelinedWork& work);

}  // namespace isochrone::sim::serving
