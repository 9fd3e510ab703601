// Reads distributions of lengths, and traces.
#include "study/inference/lengths.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace isochrone::study {
namespace {

using sim::serving::LengthKind;
using sim::serving::Lengths;
using sim::serving::Request;

constexpr double kMostTokens = 1e8;

/// One number of a line, up to the comma or the end; moves `text` behind it.
double Field(std::string_view& text, const std::string& where, const char* column) {
  const std::size_t comma = text.find(',');
  const std::string_view field = text.substr(0, comma);
  text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  double value = 0;
  const auto [end, fault] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (fault != std::errc() || end != field.data() + field.size() || !(value >= 0) || !std::isfinite(value))
    throw Error(where, std::string(column) + " is \"" + std::string(field) + "\"", "give a number of at least 0");
  return value;
}

std::int32_t Tokens(double value, const std::string& where, const char* column) {
  if (value != std::floor(value) || value > kMostTokens)
    throw Error(where, std::string(column) + " is no whole number of tokens", "give one of at most 100,000,000");
  return static_cast<std::int32_t>(value);
}

}  // namespace

Lengths ReadLengths(const Json& object, bool answers) {
  object.Allow({"distribution", "mean", "deviation", "least", "most", "exponent", "ratio"});
  Lengths lengths;
  const Json kind = object.At("distribution");
  lengths.kind = static_cast<LengthKind>(kind.OneOf(sim::serving::LengthKindNames()));
  const bool zipf = lengths.kind == LengthKind::kZipf, of_prompt = lengths.kind == LengthKind::kOfPrompt;
  const bool uniform = lengths.kind == LengthKind::kUniform || zipf;
  if (of_prompt && !answers) kind.Fail("is of answers, and this is a prompt", "give it a distribution of its own");
  if (of_prompt) lengths.ratio = object.At("ratio").Number(0, 1e6), lengths.most = kMostTokens;
  else if (!uniform) lengths.mean = object.At("mean").Number(0, kMostTokens);
  if (zipf) {
    lengths.exponent = object.At("exponent").Number(0, 10);
    if (lengths.exponent == 1) object.At("exponent").Fail("is the one value without a closed form", "write 0.999");
    object.At("least").Number(1, kMostTokens);  // no power of 0 is finite
  }
  if (lengths.kind == LengthKind::kLognormal) lengths.deviation = object.At("deviation").Number(0, 10);
  if (const auto least = object.Find("least")) lengths.least = least->Number(0, kMostTokens);
  else if (uniform) object.At("least");
  if (const auto most = object.Find("most")) lengths.most = most->Number(lengths.least, kMostTokens);
  else if (uniform) object.At("most");
  if (lengths.kind == LengthKind::kFixed) lengths.least = 0, lengths.most = kMostTokens;
  return lengths;
}

std::vector<Request> ReadTrace(const std::string& path, const std::string& name) {
  static const std::string header = "arrival_s,prompt_tokens,output_tokens";
  const std::string text = Json::FileText(path, std::size_t{1} << 32, name);
  std::vector<Request> requests;
  std::string_view rest = text;
  for (int line = 1; !rest.empty(); ++line) {
    const std::size_t feed = rest.find('\n');
    std::string_view one = rest.substr(0, feed);
    rest = feed == std::string_view::npos ? std::string_view() : rest.substr(feed + 1);
    if (!one.empty() && one.back() == '\r') one.remove_suffix(1);
    const std::string where = name + ":" + std::to_string(line);
    if (line == 1) {
      if (one != header) throw Error(where, "is not a trace's header", "begin with " + header);
      continue;
    }
    if (one.empty()) continue;
    if (std::count(one.begin(), one.end(), ',') != 2) throw Error(where, "has not three fields", "give " + header);
    Request r;
    r.arrival = Field(one, where, "arrival_s");
    r.prompt = Tokens(Field(one, where, "prompt_tokens"), where, "prompt_tokens");
    r.output = Tokens(Field(one, where, "output_tokens"), where, "output_tokens");
    if (!requests.empty() && r.arrival < requests.back().arrival)
      throw Error(where, "arrives before the request above it", "sort the trace by arrival_s");
    requests.push_back(r);
  }
  if (requests.empty()) throw Error(name, "has no request", "give at least one line under the header");
  return requests;
}

}  // namespace isochrone::study
