// The text form of a schedule, both ways. docs/words.md, section "Schedule notation", shows it.
#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "plan/schedule.h"
#include "plan/schedules/family.h"

namespace isochrone::plan {

namespace {

constexpr char kPhaseLetters[] = {'F', 'R', 'B', 'I', 'W'};  // in the order of Phase; overlapped tasks join two

void PrintPass(std::string& out, char letter, int microbatch, int chunk) {
  out += letter;
  out += std::to_string(microbatch);
  if (chunk != 0) {
    out += '.';
    out += std::to_string(chunk);
  }
}

void PrintTask(std::string& out, const Task& task) {
  if (task.phase != Phase::kOverlapped) {
    PrintPass(out, kPhaseLetters[static_cast<int>(task.phase)], task.microbatch, task.chunk);
    return;
  }
  PrintPass(out, 'F', task.microbatch, task.chunk);
  out += '&';
  PrintPass(out, 'B', task.microbatch_b, task.chunk_b);
}

/// Words of one line, and errors that name it.
class Line {
 public:
  Line(std::string_view text, std::string place) : rest_(text), place_(std::move(place)) {}

  std::optional<std::string_view> Word() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r"), rest_.size()));
    if (rest_.empty()) return std::nullopt;
    const auto word = rest_.substr(0, rest_.find_first_of(" \t\r"));
    rest_.remove_prefix(word.size());
    return word;
  }

  std::string_view Need(const std::string& what) {
    const auto word = Word();
    if (!word) Fail("ends where " + what + " should be", "write " + what);
    return *word;
  }

  int Number(std::string_view word, int least, int most) const {
    int value = 0;
    const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (fault != std::errc() || end != word.data() + word.size() || value < least || value > most) {
      Fail("has \"" + std::string(word) + "\" where a number should be",
           "give a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value;
  }

  [[noreturn]] void Fail(const std::string& fault, const std::string& instead) const {
    throw Error(place_, fault, instead);
  }

 private:
  std::string_view rest_;
  std::string place_;
};

struct RankLine {
  std::vector<std::pair<int, int>> stages;  // (stage, direction) of each chunk; empty: by default
  std::vector<Task> tasks;
};

struct Pass {
  char letter;
  int microbatch, chunk;
};

Pass ParsePass(const Line& line, std::string_view word) {
  if (word.empty() || std::string_view("FRBIW").find(word[0]) == std::string_view::npos) {
    line.Fail("has the task \"" + std::string(word) + "\"",
              "write F, B, I, W or R, the microbatch, and .chunk where it is not 0: F3, B0.1, F4&B2.1");
  }
  const auto dot = word.find('.');
  const int microbatch = line.Number(word.substr(1, dot - 1), 0, (1 << 24) - 1);
  const int chunk = dot == std::string_view::npos ? 0 : line.Number(word.substr(dot + 1), 0, 254);
  return {word[0], microbatch, chunk};
}

Task ParseTask(const Line& line, std::string_view word) {
  const auto joint = word.find('&');
  const Pass first = ParsePass(line, word.substr(0, joint));
  const auto phase = std::find(std::begin(kPhaseLetters), std::end(kPhaseLetters), first.letter) - kPhaseLetters;
  Task task = schedules::MakeTask(static_cast<Phase>(phase), first.microbatch, first.chunk);
  if (joint == std::string_view::npos) return task;
  const Pass second = ParsePass(line, word.substr(joint + 1));
  if (first.letter != 'F' || second.letter != 'B')
    line.Fail("overlaps \"" + std::string(word) + "\"", "an overlapped pair is a forward and a backward pass: F4&B2.1");
  task.phase = Phase::kOverlapped;
  task.microbatch_b = second.microbatch;
  task.chunk_b = static_cast<std::uint8_t>(second.chunk);
  return task;
}

/// What follows "rank": its number, its stages if they are not the default, a colon, its tasks.
RankLine ParseRank(Line& line, int expected) {
  RankLine rank;
  auto word = line.Need("a rank number");
  bool colon = word.ends_with(':');
  if (colon) word.remove_suffix(1);
  if (line.Number(word, 0, 32766) != expected)
    line.Fail("is rank " + std::string(word), "give the ranks in order; this is rank " + std::to_string(expected));
  if (!colon) {
    if (line.Need("\"stages\" or a colon") != "stages")
      line.Fail("lacks a colon after its rank", "write \"rank 0: F0 …\" or \"rank 0 stages 0 3: F0 …\"");
    while (!colon) {
      word = line.Need("a stage or a colon");
      colon = word.ends_with(':');
      if (colon) word.remove_suffix(1);
      const bool second = word.ends_with('\'');
      if (second) word.remove_suffix(1);
      rank.stages.emplace_back(line.Number(word, 0, 32766), second);
    }
  }
  while (const auto task = line.Word()) rank.tasks.push_back(ParseTask(line, *task));
  return rank;
}

Placement ParsedPlacement(const std::vector<RankLine>& ranks, int chunks, const std::string& name) {
  const int count = static_cast<int>(ranks.size());
  if (ranks[0].stages.empty() && chunks * count <= 32767) {
    for (const auto& rank : ranks)
      if (!rank.stages.empty()) throw Error(name, "gives stages for some ranks only", "give them for all or for none");
    return schedules::LoopPlacement(count, chunks);
  }
  Placement placement;
  placement.ranks = count;
  placement.chunks = chunks;
  placement.stages = 0;
  for (const auto& rank : ranks) {
    if (static_cast<int>(rank.stages.size()) != chunks)
      throw Error(name, "gives a rank another number of stages than it has chunks", "give each chunk its stage");
    for (const auto& [stage, direction] : rank.stages) {
      placement.stage.push_back(static_cast<std::int16_t>(stage));
      placement.direction.push_back(static_cast<std::int8_t>(direction));
      placement.stages = std::max(placement.stages, stage + 1);
      placement.directions = std::max(placement.directions, direction + 1);
    }
  }
  placement.slot.assign(placement.directions * placement.stages, -1);
  for (int slot = 0; slot < count * chunks; ++slot) {
    auto& at = placement.slot[placement.direction[slot] * placement.stages + placement.stage[slot]];
    if (at != -1)
      throw Error(name, "places stage " + std::to_string(placement.stage[slot]) + " twice", "place each stage once");
    at = slot;
  }
  if (std::count(placement.slot.begin(), placement.slot.end(), -1) != 0)
    throw Error(name, "leaves a stage without a place", "place each stage once, in each direction");
  return placement;
}

/// The first line: "schedule 1f1b microbatches 4 chunks 1", where all but the name may be left out.
void ParseHead(Line& line, Schedule& schedule, int& chunks) {
  const auto& names = ScheduleNames();
  const std::string word(line.Need("the name of a schedule"));
  const auto found = std::find(names.begin(), names.end(), word);
  if (found == names.end()) line.Fail("names the schedule \"" + word + "\"", "take \"text\" for an order of your own");
  schedule.kind = static_cast<ScheduleKind>(found - names.begin());
  while (const auto key = line.Word()) {
    if (*key == "microbatches") schedule.microbatches = line.Number(line.Need("a number"), 1, 1 << 24);
    else if (*key == "chunks") chunks = line.Number(line.Need("a number"), 1, 255);
    else line.Fail("has \"" + std::string(*key) + "\" after the name", "write microbatches or chunks, and a number");
  }
}

}  // namespace

std::string Print(const Task& task) {
  std::string out;
  PrintTask(out, task);
  return out;
}

std::string Print(const Schedule& schedule) {
  const Placement& placement = schedule.placement;
  const bool loop = placement == schedules::LoopPlacement(placement.ranks, placement.chunks);
  std::string out = "schedule " + NameOf(schedule.kind) + " microbatches " + std::to_string(schedule.microbatches) +
                    " chunks " + std::to_string(placement.chunks) + "\n";
  for (int rank = 0; rank < placement.ranks; ++rank) {
    out += "rank " + std::to_string(rank);
    for (int chunk = 0; !loop && chunk < placement.chunks; ++chunk) {
      out += chunk == 0 ? " stages " : " ";
      out += std::to_string(placement.StageOf(rank, chunk));
      if (placement.DirectionOf(rank, chunk) == 1) out += '\'';
    }
    out += ':';
    for (const Task& task : schedule.order[rank]) {
      out += ' ';
      PrintTask(out, task);
    }
    out += '\n';
  }
  return out;
}

Schedule ParseSchedule(std::string_view text, const std::string& name) {
  Schedule schedule;
  schedule.kind = ScheduleKind::kText;
  schedule.microbatches = 0;
  int chunks = 0, number = 0;
  std::vector<RankLine> ranks;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto content = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    Line line(content.substr(0, content.find('#')), name + ": line " + std::to_string(++number));
    const auto first = line.Word();
    if (!first) continue;
    if (*first == "schedule" && ranks.empty()) ParseHead(line, schedule, chunks);
    else if (*first == "rank") ranks.push_back(ParseRank(line, static_cast<int>(ranks.size())));
    else line.Fail("starts with \"" + std::string(*first) + "\"", "write \"rank 0: F0 B0 …\", one line a rank");
  }
  if (ranks.empty()) throw Error(name, "has no rank", "write \"rank 0: F0 B0 …\", one line a rank");
  int most_microbatches = 1, most_chunks = std::max<int>(1, static_cast<int>(ranks[0].stages.size()));
  for (auto& rank : ranks) {
    for (const Task& task : rank.tasks) {
      most_microbatches = std::max({most_microbatches, task.microbatch + 1, task.microbatch_b + 1});
      most_chunks = std::max({most_chunks, task.chunk + 1, task.chunk_b + 1});
    }
    schedule.order.push_back(std::move(rank.tasks));
  }
  if (schedule.microbatches == 0) schedule.microbatches = most_microbatches;
  if (chunks == 0) chunks = most_chunks;
  schedule.placement = ParsedPlacement(ranks, chunks, name);
  return schedule;
}

}  // namespace isochrone::plan
