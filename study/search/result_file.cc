#include "study/search/result_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "costmodel/profile.h"
#include "study/search/objective.h"

namespace isochrone::study {
namespace {

bool EndsIn(const std::string& text, const char* end) {
  return text.size() >= std::strlen(end) && text.compare(text.size() - std::strlen(end), std::string::npos, end) == 0;
}

[[noreturn]] void FailSystem(const std::string& path, const std::string& what, const std::string& instead) {
  throw Error(path, what + ": " + std::strerror(errno), instead);
}

std::string HeaderOf(const Space& space, int shard, int shards, bool csv) {
  return std::string(csv ? "# " : "") + "{\"kind\":\"sweep_results\",\"schema_version\":1,\"digest\":\"" +
         space.digest + "\",\"shard\":" + std::to_string(shard) + ",\"shards\":" + std::to_string(shards) + "}\n";
}

std::string ColumnsOf(const Space& space) {
  std::string line = "index";
  for (const auto& [key, value] : VariedOf(space, 0)) line += "," + key;
  return line + ",gpus,sequences,step_time_s,memory_bytes,tokens_per_s,mfu,bubble_over_total,fits\n";
}

std::string FooterOf(std::int64_t rows, bool csv) {
  return std::string(csv ? "# " : "") + "{\"complete\":true,\"rows\":" + std::to_string(rows) + "}\n";
}

struct Figures {
  double tokens_per_s, mfu, bubble;
};

Figures FiguresOf(const Space& space, const Candidate& c) {
  const plan::Scenario& base = space.bases[BaseOf(space, c.index)];
  const double peak = costmodel::PeakRate(base.cluster.node.gpu, base.strategy.precision).value;
  const double time = c.estimate.step_time;
  return {static_cast<double>(c.sequences) * static_cast<double>(base.model.sequence) / time,
          c.model_flops / time / c.gpus / peak, c.estimate.bubble / time};
}

void AppendLine(const Space& space, const Candidate& c, bool csv, std::string& text) {
  const Figures f = FiguresOf(space, c);
  const auto add = [&](const char* key, const std::string& value) {
    text += csv ? "," : std::string(",\"") + key + "\":";
    text += value;
  };
  text += (csv ? "" : "{\"index\":") + std::to_string(c.index);
  for (const auto& [key, value] : VariedOf(space, c.index)) add(key.c_str(), csv ? value : AsJson(value));
  add("gpus", std::to_string(c.gpus));
  add("sequences", std::to_string(c.sequences));
  add("step_time_s", Exact(c.estimate.step_time));
  add("memory_bytes", Exact(c.estimate.memory));
  add("tokens_per_s", Exact(f.tokens_per_s));
  add("mfu", Exact(f.mfu));
  add("bubble_over_total", Exact(f.bubble));
  add("fits", c.fits ? "true" : "false");
  text += csv ? "\n" : "}\n";
}

/// Reads what AppendLine wrote; false where the line is damaged.
bool ReadLine(const Space& space, const std::string& line, bool csv, Candidate& c) {
  const auto number = [](const char*& at, const char* end, auto& into) {
    const auto read = std::from_chars(at, end, into);
    at = read.ptr;
    return read.ec == std::errc{};
  };
  const char *at = line.data(), *end = at + line.size();
  if (!csv) {
    if (!line.starts_with("{\"index\":") || line.back() != '}') return false;
    at += std::strlen("{\"index\":");
  }
  if (!number(at, end, c.index) || c.index < 0) return false;
  // The figures stand last; their keys are known, so they are found from the end.
  std::size_t fields[9];
  std::size_t from = line.size();
  for (int i = 8; i > 0; --i) {
    const std::size_t comma = line.rfind(',', from - 1);
    if (comma == std::string::npos || comma == 0) return false;
    fields[i] = comma + 1;
    from = comma;
  }
  const auto value = [&](int field) {
    const std::size_t colon = csv ? std::string::npos : line.find(':', fields[field]);
    return line.data() + (csv ? fields[field] : colon == std::string::npos ? line.size() : colon + 1);
  };
  const auto read = [&](int field, auto& into) {
    const char* begin = value(field);
    return number(begin, end, into) && begin < end && *begin == ',';
  };
  double tokens = 0, mfu = 0, bubble = 0;
  const bool good = read(1, c.gpus) && read(2, c.sequences) && read(3, c.estimate.step_time) &&
                    read(4, c.estimate.memory) && read(5, tokens) && read(6, mfu) && read(7, bubble);
  const std::string fits(value(8), end - (csv ? 0 : 1));
  if (!good || (fits != "true" && fits != "false")) return false;
  c.fits = fits == "true";
  c.estimate.bubble = bubble * c.estimate.step_time;
  const std::size_t base_number = BaseOf(space, c.index);
  const plan::Scenario& base = space.bases[base_number];
  c.model_flops =
      mfu * c.estimate.step_time * c.gpus * costmodel::PeakRate(base.cluster.node.gpu, base.strategy.precision).value;
  plan::Scenario scenario = base;
  scenario.batch.sequences = c.sequences;
  scenario.strategy.tensor = scenario.strategy.context = scenario.strategy.data = 1;
  scenario.strategy.pipeline = c.gpus;
  c.score = ScoreOf(space, base_number, scenario, c.estimate.step_time, c.model_flops);
  return true;
}

void Count(const Space& space, const Candidate& c, SweepResult& into) {
  ++into.legal;
  ++into.priced;
  if (!c.fits) ++into.out_of_memory;
  if (space.constraints.fits && !c.fits) return;
  KeepBest(c, space.best, into.best);
  KeepPareto(c, into.pareto);
}

}  // namespace

std::int64_t UnitOf(const Space& space, std::int64_t index) {
  std::int64_t unit = 0;
  for (const auto& axes : space.axes) {
    std::int64_t units = 1, each = 1;
    for (const Axis& axis : axes)
      (axis.level == Level::kBlock ? units : each) *= static_cast<std::int64_t>(axis.values.size());
    if (index < units * each) return unit + index / each;
    index -= units * each;
    unit += units;
  }
  return unit;
}

std::vector<std::pair<std::string, std::string>> VariedOf(const Space& space, std::int64_t index) {
  const std::size_t base = TakeBaseOf(space, index);
  std::vector<std::pair<std::string, std::string>> varied;
  for (std::size_t k = 0; k < space.base_keys.size(); ++k)
    varied.emplace_back(space.base_keys[k], space.base_values[base][k]);
  const std::size_t first = varied.size();
  const std::vector<Axis>& axes = space.axes[base];
  varied.resize(first + axes.size());
  for (std::size_t a = axes.size(); a-- > 0;) {
    const auto n = static_cast<std::int64_t>(axes[a].values.size());
    varied[first + a] = {axes[a].key, axes[a].values[static_cast<std::size_t>(index % n)]};
    index /= n;
  }
  return varied;
}

std::string AsJson(const std::string& value) {
  double number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if ((read.ec == std::errc{} && read.ptr == value.data() + value.size()) || value == "true" || value == "false")
    return value;
  std::string quoted = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

ResultFile::ResultFile(const Space& space, const std::string& path, int shard, int shards, bool resume)
    : space_(space), path_(path), csv_(EndsIn(path, ".csv")) {
  header_ = HeaderOf(space, shard, shards, csv_) + (csv_ ? ColumnsOf(space) : "");
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | (resume ? 0 : O_EXCL), 0666);
  if (file_ < 0 && errno == EEXIST)
    throw Error("--out " + path, "exists already", "add --resume to go on with it, or name another file");
  if (file_ < 0) FailSystem("--out " + path, "cannot be written", "name a file in a folder that you may write");
  struct stat what {};
  if (::fstat(file_, &what) != 0 || !S_ISREG(what.st_mode)) {
    ::close(file_);
    file_ = -1;
    throw Error("--out " + path, "is not a file", "name a file that --resume can read again");
  }
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    ::close(file_);
    file_ = -1;
    throw Error("--out " + path, "is being written by another process", "wait for it, or name another file");
  }
  try {
    ReadEarlier();
  } catch (...) {
    ::close(file_);
    file_ = -1;
    throw;
  }
}

ResultFile::~ResultFile() {
  if (file_ >= 0) ::close(file_);
}

void ResultFile::ReadEarlier() {
  std::ifstream in(path_, std::ios::binary);
  std::string line, head;
  std::int64_t number = 0, keep = 0, at = 0, last_index = -1, last_unit = -1;
  const std::int64_t header_lines = csv_ ? 2 : 1;
  std::vector<Candidate> unit;  // rows of the last unit: counted once a later one follows
  const auto flush = [&] {
    for (const Candidate& c : unit) Count(space_, c, earlier_);
    rows_ += static_cast<std::int64_t>(unit.size());
    unit.clear();
  };
  while (std::getline(in, line)) {
    if (in.eof()) break;  // no line feed: torn
    ++number;
    const std::int64_t begin = at;
    at += static_cast<std::int64_t>(line.size()) + 1;
    if (number <= header_lines) {
      head += line + "\n";
      if (number == header_lines && head != header_)
        throw Error("--out " + path_, "holds results of another sweep, of a changed one, or of another shard",
                    "name another file");
      keep = at;
      continue;
    }
    if (line.find("\"complete\":true") != std::string::npos) {
      flush();
      complete_ = true;
      break;
    }
    Candidate c;
    if (!ReadLine(space_, line, csv_, c) || c.index <= last_index)
      throw Error("--out " + path_ + ", line " + std::to_string(number), "is damaged",
                  "cut the file before this line and add --resume, or name another file");
    const std::int64_t of = UnitOf(space_, c.index);
    if (of != last_unit) {
      flush();
      keep = begin;
      last_unit = of;
    }
    last_index = c.index;
    unit.push_back(c);
  }
  if (complete_) {
    first_unit_ = UnitOf(space_, last_index) + 1;
    return;
  }
  if (::ftruncate(file_, keep) != 0 || ::lseek(file_, 0, SEEK_END) < 0)
    FailSystem("--out " + path_, "cannot be written", "check the disk");
  if (keep == 0) Write(header_);
  if (last_unit >= 0) first_unit_ = last_unit;
}

void ResultFile::Write(const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(file_, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      FailSystem("--out " + path_, "cannot be written to its end",
                 "make room, then add --resume: what was written stays");
    written += static_cast<std::size_t>(n);
  }
}

void ResultFile::Append(const std::vector<Candidate>& rows) {
  std::string text;
  for (const Candidate& c : rows) AppendLine(space_, c, csv_, text);
  Write(text);
  rows_ += static_cast<std::int64_t>(rows.size());
}

void ResultFile::Complete() {
  if (!complete_) Write(FooterOf(rows_, csv_));
  complete_ = true;
}

std::int64_t MergeResults(const Space& space, const std::vector<std::string>& parts, const std::string& path) {
  const bool csv = EndsIn(path, ".csv");
  const int shards = static_cast<int>(parts.size());
  struct Part {
    std::ifstream in;
    std::string line;
    std::int64_t index = -1, number = 0;
    bool done = false;
  };
  std::vector<std::unique_ptr<Part>> open(parts.size());
  const auto next = [&](Part& part, const std::string& name) {
    if (!std::getline(part.in, part.line))
      throw Error(name, "is not complete", "go on with it: --resume with its --shard");
    ++part.number;
    if (part.line.find("\"complete\":true") != std::string::npos) {
      part.done = true;
      return;
    }
    Candidate c;
    if (!ReadLine(space, part.line, csv, c) || c.index <= part.index)
      throw Error(name + ", line " + std::to_string(part.number), "is damaged", "run that shard again");
    part.index = c.index;
  };
  for (const std::string& name : parts) {
    if (EndsIn(name, ".csv") != csv)
      throw Error(name, "is of another form than " + path, "merge .csv into .csv, others into others");
    auto part = std::make_unique<Part>();
    part->in.open(name, std::ios::binary);
    std::string head;
    for (int i = 0; i < (csv ? 2 : 1) && std::getline(part->in, part->line); ++i, ++part->number)
      head += part->line + "\n";
    int shard = 1;
    while (shard <= shards && head != HeaderOf(space, shard, shards, csv) + (csv ? ColumnsOf(space) : "")) ++shard;
    if (shard > shards)
      throw Error(name, "is no shard of " + std::to_string(shards) + " of this sweep",
                  "name all shards of one sweep, each once");
    if (open[static_cast<std::size_t>(shard - 1)])
      throw Error(name, "is shard " + std::to_string(shard) + ", which another file is too", "name each shard once");
    next(*part, name);
    open[static_cast<std::size_t>(shard - 1)] = std::move(part);
  }
  ResultFile out(space, path, 1, 1, false);
  std::ofstream to(path, std::ios::binary | std::ios::app);
  std::int64_t rows = 0;
  for (;;) {
    Part* least = nullptr;
    std::size_t which = 0;
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (open[i]->done || (least && least->index < open[i]->index)) continue;
      least = open[i].get();
      which = i;
    }
    if (!least) break;
    to << least->line << '\n';
    ++rows;
    next(*least, "shard " + std::to_string(which + 1));
  }
  to << FooterOf(rows, csv);
  to.flush();
  if (!to) throw Error("--out " + path, "cannot be written to its end", "make room and merge again");
  return rows;
}

}  // namespace isochrone::study
