#include "study/inference/serving_moments.h"

#include <algorithm>

namespace isochrone::study {
namespace {

using Field = double ServingMoment::*;

/// Adds to every stretch the share of it that lies between `from` and `to`.
void Cover(std::vector<ServingMoment>& moments, double width, double from, double to, Field field) {
  if (to <= from) return;
  const auto last = static_cast<double>(moments.size() - 1);
  const auto first_touched = static_cast<std::size_t>(std::clamp(from / width, 0.0, last));
  const auto last_touched = static_cast<std::size_t>(std::clamp(to / width, 0.0, last));
  for (std::size_t i = first_touched; i <= last_touched; ++i) {
    ServingMoment& m = moments[i];
    m.*field += std::max(0.0, std::min(to, m.end) - std::max(from, m.start)) / width;
  }
}

}  // namespace

std::vector<ServingMoment> MomentsOf(const std::vector<sim::serving::Request>& requests,
                                     const sim::serving::Served& served, int engines, const ServingPower& power,
                                     int parts) {
  if (served.end <= 0) return {};
  const double width = served.end / parts;
  std::vector<ServingMoment> moments(static_cast<std::size_t>(parts));
  for (int i = 0; i < parts; ++i) {
    moments[static_cast<std::size_t>(i)].start = i * width;
    moments[static_cast<std::size_t>(i)].end = i + 1 == parts ? served.end : (i + 1) * width;
  }
  for (const sim::serving::Stretch& s : served.stretches) {
    const bool prompt = s.phase == sim::serving::Phase::kPrompt;
    Cover(moments, width, s.start, s.end, prompt ? &ServingMoment::prompt_share : &ServingMoment::decode_share);
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const sim::serving::Outcome& o = served.outcomes[i];
    if (o.fate == sim::serving::Fate::kTooLong) continue;
    Cover(moments, width, requests[i].arrival, o.first_token, &ServingMoment::waiting);
    Cover(moments, width, o.first_token, o.finish, &ServingMoment::answering);
  }
  for (ServingMoment& m : moments) {
    m.prompt_share /= engines, m.decode_share /= engines;
    m.watts = power.idle + m.prompt_share * (power.prompt - power.idle) + m.decode_share * (power.decode - power.idle);
  }
  return moments;
}

}  // namespace isochrone::study
