#pragma once

#include <string>
#include <vector>

#include "study/rows.h"

namespace isochrone::study {

/// Passes of one microbatch over the layers of one pipeline rank, mean over ranks: what a source printed beside what
/// they are priced at.
struct StageScore {
  std::string id;
  StageProfile measured, priced;
};

/// Of rows that have a profile and a scenario; of rows with the same profile the first.
std::vector<StageScore> StagesOf(const std::vector<Row>& rows);

}  // namespace isochrone::study
