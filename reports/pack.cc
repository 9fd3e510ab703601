#include "reports/pack.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "reports/answer.h"

namespace isochrone::reports {

namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "columns are written as they lie in memory");

constexpr std::size_t kFewRows = 256;  // below, a plain list is as small
constexpr std::size_t kSinglePrecisionFrom = 10'000;
constexpr double kNanosecond = 1e-9;

template <class T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

json Numbers(const std::vector<double>& values, bool single) {
  if (!single) return {{"float", 64}, {"data", Base64(BytesOf(values))}};
  const std::vector<float> rounded(values.begin(), values.end());
  return {{"float", 32}, {"data", Base64(BytesOf(rounded))}};
}

void AppendVarint(std::int64_t value, std::string& out) {
  auto bits = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  while (bits >= 0x80) {
    out += static_cast<char>(bits | 0x80);
    bits >>= 7;
  }
  out += static_cast<char>(bits);
}

std::int64_t Nanoseconds(double seconds) { return static_cast<std::int64_t>(std::llround(seconds / kNanosecond)); }

/// Whole nanoseconds, each as the step from the one before.
json Starts(const std::vector<double>& seconds) {
  std::string bytes;
  std::int64_t last = 0;
  for (double s : seconds) {
    const std::int64_t now = Nanoseconds(s);
    AppendVarint(now - last, bytes);
    last = now;
  }
  return {{"varint", kNanosecond}, {"delta", true}, {"data", Base64(bytes)}};
}

template <class T>
std::string Indices(const std::vector<std::uint32_t>& index) {
  return BytesOf(std::vector<T>(index.begin(), index.end()));
}

/// The dictionary form, or nothing where more than `most` (at most 65,536) values differ.
std::optional<json> Dictionary(const std::vector<json>& values, std::size_t most) {
  std::map<json, std::uint32_t> seen;
  std::vector<std::uint32_t> index;
  index.reserve(values.size());
  json words = json::array();
  for (const json& value : values) {
    const auto [at, fresh] = seen.emplace(value, static_cast<std::uint32_t>(seen.size()));
    if (fresh) words.push_back(value);
    if (seen.size() > most) return std::nullopt;
    index.push_back(at->second);
  }
  if (words.size() == 1) return json{{"dictionary", std::move(words)}, {"bits", 0}};
  const bool small = seen.size() <= 256;
  return json{{"dictionary", std::move(words)},
              {"bits", small ? 8 : 16},
              {"data", Base64(small ? Indices<std::uint8_t>(index) : Indices<std::uint16_t>(index))}};
}

bool AllNumbers(const std::vector<json>& values) {
  return std::all_of(values.begin(), values.end(), [](const json& v) { return v.is_number() || v.is_null(); });
}

/// Whole nanoseconds: an index where few durations differ, as they do in a prediction.
json Durations(const std::vector<double>& seconds) {
  std::vector<json> rounded;
  rounded.reserve(seconds.size());
  std::string bytes;
  for (double s : seconds) {
    rounded.push_back(static_cast<double>(Nanoseconds(s)) * kNanosecond);
    AppendVarint(Nanoseconds(s), bytes);
  }
  if (auto dictionary = Dictionary(rounded, 4096)) return *dictionary;
  return {{"varint", kNanosecond}, {"delta", false}, {"data", Base64(bytes)}};
}

json Column(std::vector<json> values, bool single) {
  if (values.size() < kFewRows) return {{"values", std::move(values)}};
  const bool numbers = AllNumbers(values);
  if (const auto dictionary = Dictionary(values, numbers ? 4096 : 65536)) return *dictionary;
  if (!numbers) return {{"values", std::move(values)}};
  std::vector<double> out;
  out.reserve(values.size());
  for (const json& v : values) out.push_back(v.is_null() ? std::numeric_limits<double>::quiet_NaN() : v.get<double>());
  return Numbers(out, single);
}

/// Which of `rows` stay, in their order: the fastest half of `most`, and an even sample of the others.
std::vector<std::size_t> Kept(const std::vector<json>& rows, std::size_t most) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  if (rows.size() <= most) return order;
  const double never = std::numeric_limits<double>::infinity();
  std::vector<double> time;
  time.reserve(rows.size());
  for (const json& row : rows) time.push_back(NumberOf(row, "step_time_s").value_or(never));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return time[a] < time[b]; });
  const std::size_t best = most / 2, sample = most - best, rest = rows.size() - best;
  std::vector<std::size_t> kept(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(best));
  for (std::size_t i = 0; i < sample; ++i) kept.push_back(order[best + i * rest / sample]);
  std::sort(kept.begin(), kept.end());
  return kept;
}

/// The index of each named column of a timeline; a missing one is an error where a view cannot do without.
struct SpanColumns {
  explicit SpanColumns(const json& timeline) {
    const json& names = Member(timeline, "columns");
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i].is_string()) at[names[i].get<std::string>()] = i;
    }
    for (const char* needed : {"rank", "stream", "start_s", "duration_s"}) {
      if (at.count(needed) == 0) {
        throw Error("/timeline/columns", std::string("lacks \"") + needed + "\"", "predict it again with --timeline");
      }
    }
  }
  const json& Of(const json& span, const std::string& column) const {
    static const json nothing;
    const auto found = at.find(column);
    return found == at.end() || found->second >= span.size() ? nothing : span[found->second];
  }
  double Number(const json& span, const std::string& column) const {
    const json& value = Of(span, column);
    return value.is_number() ? value.get<double>() : 0;
  }
  std::map<std::string, std::size_t> at;
};

struct SpanRef {
  double rank, start;
  const json* stream;
  const json* span;
};

std::vector<SpanRef> SortedSpans(const json& spans, const SpanColumns& columns) {
  std::vector<SpanRef> sorted;
  sorted.reserve(spans.size());
  for (const json& span : spans) {
    sorted.push_back(
        {columns.Number(span, "rank"), columns.Number(span, "start_s"), &columns.Of(span, "stream"), &span});
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const SpanRef& a, const SpanRef& b) {
    if (a.rank != b.rank) return a.rank < b.rank;
    if (*a.stream != *b.stream) return *a.stream < *b.stream;
    return a.start < b.start;
  });
  return sorted;
}

/// Keeps every k-th rank and the last, with the least k that leaves at most `most` spans.
std::size_t DropRanks(std::vector<SpanRef>& spans, std::size_t most) {
  const std::size_t before = spans.size();
  if (before <= most) return 0;
  const double last = spans.back().rank;
  std::set<double> ranks;
  for (const SpanRef& s : spans) ranks.insert(s.rank);
  const std::size_t every = (before + most - 1) / most + 1;
  std::size_t i = 0;
  std::set<double> kept;
  for (double rank : ranks) {
    if (i++ % every == 0 || rank == last) kept.insert(rank);
  }
  std::erase_if(spans, [&](const SpanRef& s) { return kept.count(s.rank) == 0; });
  if (spans.size() > most) spans.resize(most);
  return before - spans.size();
}

/// Least and greatest of each bucket, in order; the first and last point stay.
std::vector<std::size_t> Thinned(const std::vector<double>& values, std::size_t most) {
  std::vector<std::size_t> kept;
  const std::size_t n = values.size(), buckets = most / 2;
  for (std::size_t b = 0; b < buckets; ++b) {
    const std::size_t from = b * n / buckets, to = (b + 1) * n / buckets;
    if (from == to) continue;
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(from);
    const auto [least, greatest] = std::minmax_element(first, values.begin() + static_cast<std::ptrdiff_t>(to));
    const auto low = static_cast<std::size_t>(least - values.begin());
    const auto high = static_cast<std::size_t>(greatest - values.begin());
    kept.push_back(std::min(low, high));
    if (low != high) kept.push_back(std::max(low, high));
  }
  return kept;
}

}  // namespace

std::string Base64(std::string_view bytes) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += i + j > bytes.size() ? '=' : kLetters[group >> (18 - 6 * j) & 63u];
    }
  }
  return out;
}

json PackRows(const json& rows, std::size_t most) {
  std::vector<json> flat;
  flat.reserve(rows.size());
  std::vector<std::string> names;
  std::set<std::string> known;
  for (const json& row : rows) {
    flat.push_back(FlattenedRow(row));
    for (const auto& [key, value] : flat.back().items()) {
      if (known.insert(key).second) names.push_back(key);
    }
  }
  const std::vector<std::size_t> kept = Kept(flat, most);
  const bool single = kept.size() > kSinglePrecisionFrom;
  json columns = json::object();
  for (const std::string& name : names) {
    std::vector<json> values;
    values.reserve(kept.size());
    for (std::size_t i : kept) values.push_back(Member(flat[i], name));
    columns[name] = Column(std::move(values), single);
  }
  return {{"rows", kept.size()},
          {"order", names},
          {"columns", std::move(columns)},
          {"omitted", flat.size() - kept.size()},
          {"single_precision", single}};
}

json PackTimeline(const json& timeline, std::size_t most) {
  const SpanColumns names(timeline);
  std::vector<SpanRef> spans = SortedSpans(Member(timeline, "spans"), names);
  const std::size_t omitted = DropRanks(spans, most);
  json columns = json::object();
  std::vector<double> start, duration;
  for (const SpanRef& s : spans) {
    start.push_back(s.start);
    duration.push_back(names.Number(*s.span, "duration_s"));
  }
  columns["start_s"] = Starts(start);
  columns["duration_s"] = Durations(duration);
  for (const auto& [name, index] : names.at) {
    if (columns.contains(name)) continue;
    std::vector<json> values;
    values.reserve(spans.size());
    for (const SpanRef& s : spans) values.push_back(names.Of(*s.span, name));
    columns[name] = Column(std::move(values), false);
  }
  return {{"ranks", Member(timeline, "ranks")},
          {"rank_count", Member(timeline, "rank_count")},
          {"names", Member(timeline, "names")},
          {"packed", {{"rows", spans.size()}, {"columns", std::move(columns)}, {"omitted", omitted}}}};
}

json PackMemoryOverTime(const json& stages) {
  json out = json::array();
  for (const json& stage : stages) {
    const auto time = Member(stage, "time_s").get<std::vector<double>>();
    const auto bytes = Member(stage, "bytes").get<std::vector<double>>();
    const std::size_t points = std::min(time.size(), bytes.size());
    std::vector<double> kept_time, kept_bytes;
    if (points <= kMostMemoryPoints) {
      kept_time = time;
      kept_bytes = bytes;
    } else {
      for (std::size_t i : Thinned(bytes, kMostMemoryPoints)) {
        kept_time.push_back(time[i]);
        kept_bytes.push_back(bytes[i]);
      }
    }
    out.push_back({{"stage", Member(stage, "stage")},
                   {"points", kept_time.size()},
                   {"omitted", points - kept_time.size()},
                   {"time_s", Numbers(kept_time, false)},
                   {"bytes", Numbers(kept_bytes, false)}});
  }
  return out;
}

}  // namespace isochrone::reports
