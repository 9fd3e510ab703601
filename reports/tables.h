#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/table.h"
#include "reports/answer.h"

namespace isochrone::reports {

/// People read "12.3 ms" and "80.0 GiB"; programs get SI numbers with all their digits.
enum class Reader { kPeople, kPrograms };

/// A table of an answer under the question that it answers: what the Markdown and the CSV form print.
struct Section {
  std::string question;
  Table table;
};

/// All that `answer` has, in the order of the page's views. A part that the answer lacks is left out.
std::vector<Section> SectionsOf(const Answer& answer, Reader reader);

/// One row per answer, one column per headline number: every hole shows.
Section EvaluatedSection(const std::vector<Answer>& answers, Reader reader);

}  // namespace isochrone::reports
