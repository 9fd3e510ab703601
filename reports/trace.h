#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "reports/answer.h"

namespace isochrone::reports {

/// The timeline of `answer` as Chrome JSON for Perfetto and chrome://tracing: one process per rank, one track per
/// stream, so that spans on a track nest; times in microseconds. Spans bear the names of Megatron-LM's timers
/// (forward-compute, backward-compute, forward-send-recv, all-grads-sync, optimizer) with the microbatch behind.
///
/// Format  "Trace Event Format", Google 2016, complete events ("X") and metadata ("M").
/// Throws  Error where the answer has no timeline.
std::string RenderChromeTrace(const Answer& answer);

/// The same for speedscope: one evented profile per rank and stream.
/// Format  https://www.speedscope.app/file-format-schema.json
std::string RenderSpeedscope(const Answer& answer);

/// What Megatron-LM would call a span: its timer where there is one, else the span's own words.
std::string MegatronName(const nlohmann::json& timeline, const nlohmann::json& span);

}  // namespace isochrone::reports
