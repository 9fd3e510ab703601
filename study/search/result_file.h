#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "study/search/space.h"
#include "study/search/sweep.h"

namespace isochrone::study {

/// A file of results: one line a configuration, in ascending order of index. JSON Lines, or CSV where the name ends in
/// ".csv". The first line names the sweep by its digest, and the shard; the last says that nothing is missing. A
/// process that dies leaves at worst a torn last line: what is before it stands.
class ResultFile {
 public:
  /// `resume`: goes on after the last whole unit of an earlier run; absent, a file that exists is an Error. Throws
  /// Error where the folder cannot be written, the file belongs to another sweep or shard, or a line before the last is
  /// damaged.
  ResultFile(const Space& space, const std::string& path, int shard, int shards, bool resume);
  ~ResultFile();
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;

  /// The unit to go on with; one past the last where the file was complete.
  std::int64_t first_unit() const { return first_unit_; }
  bool complete() const { return complete_; }
  /// What the file held already: counts, best and front. `best` carry index, score, step time, memory, fits.
  const SweepResult& earlier() const { return earlier_; }

  /// Appends; throws Error where the disk is full. What was appended before stays.
  void Append(const std::vector<Candidate>& rows);
  void Complete();

 private:
  void Write(const std::string& text);
  void ReadEarlier();

  const Space& space_;
  std::string path_, header_;
  bool csv_ = false, complete_ = false;
  int file_ = -1;
  std::int64_t first_unit_ = 0, rows_ = 0;
  SweepResult earlier_;
};

/// Joins the complete files of all shards into `path`; returns the rows. Throws Error naming a shard that is missing,
/// incomplete, or of another sweep.
std::int64_t MergeResults(const Space& space, const std::vector<std::string>& parts, const std::string& path);

/// The unit that `index` lies in.
std::int64_t UnitOf(const Space& space, std::int64_t index);

/// Names and values of one configuration as rows show them: what bases and axes vary, in order.
std::vector<std::pair<std::string, std::string>> VariedOf(const Space& space, std::int64_t index);

/// `value` as JSON: a number, true or false bare, anything else quoted.
std::string AsJson(const std::string& value);

}  // namespace isochrone::study
