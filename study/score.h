#pragma once

#include <string>
#include <vector>

#include "study/rows.h"

namespace isochrone::study {

/// One published row with what was predicted for it.
struct ScoredRow {
  std::string id, family;
  std::string role = "held_out";  // "fit" where a constant was fitted to this row
  std::string status;             // "scored", or why not: "skipped"
  std::string reason;             // of "skipped"
  double predicted_s = 0, measured_s = 0, low_s = 0, high_s = 0;
  std::vector<std::string> assumed;
  std::string group;  // rows that differ in strategy only share it
  std::string locus;  // where the source prints it
  int tensor = 1;
  bool experts = false;
  double unmeasured = 0;  // share of compute that rests on no measurement
  double Error() const { return predicted_s / measured_s - 1; }
};

/// One family and role; fit and held_out are never pooled. Ratios, not percent.
struct FamilyScore {
  std::string family, role;
  int rows = 0, scored = 0;
  double mean = 0, median = 0, bias = 0, worst = 0;  // absolute relative error; bias is signed
  double regret =
      0;           // mean, over groups that vary the strategy only, of time(predicted best) / time(measured best) - 1
  int groups = 0;  // of such groups
  double coverage = 0, width = 0, winkler = 0;  // of the 80 % interval; width and score relative to the measured time
};

struct Score {
  std::vector<ScoredRow> rows;
  std::vector<FamilyScore> families;
};

/// The figures of some rows of one family and role.
FamilyScore Summarise(const std::string& family, const std::string& role, const std::vector<const ScoredRow*>& rows);

/// The catalogue's scenarios that carry a published step time, as rows: family is the source's paper, id the file's
/// name.
std::vector<Row> PublishedRows();

/// Predicts each row and compares. A row that cannot be expressed or predicted is counted as skipped with its reason.
///
/// progress  called with (done, all) after each row
Score ScoreRows(const std::vector<Row>& rows, void (*progress)(std::size_t done, std::size_t all));

}  // namespace isochrone::study
