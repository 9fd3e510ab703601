#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "base/error.h"
#include "base/json.h"

using namespace isochrone;

namespace {

constexpr char kScenario[] = R"({
  "question": "How long is one step, µs or hours?",
  "model": "models/gpt3_175b.json",
  "cluster": { "node": "hardware/dgx_a100_80gb.json", "nodes": 8 },
  "batch": { "sequences": 64, "microbatch": 1, "shares": [0.25, 1e-3, -2.5E+2, null] },
  "strategy": { "tensor": 8, "sequence_parallel": false, "note": "a \"quoted\" \u00b5" }
})";

/// Bytes that mean something to a parser, more often than chance would bring them.
constexpr char kTelling[] = "{}[],:\"\\ \n0123456789eE+-.truefalsn/*\x01\x7f\x80\xc3\xff";

std::string Damaged(std::string text, std::mt19937* random) {
  const auto below = [&](std::size_t n) { return (*random)() % n; };
  for (std::size_t changes = 1 + below(4); changes > 0 && !text.empty(); --changes) {
    const std::size_t at = below(text.size()), length = 1 + below(12);
    switch (below(5)) {
      case 0:
        text[at] = kTelling[below(sizeof kTelling - 1)];
        break;
      case 1:
        text.insert(at, 1, kTelling[below(sizeof kTelling - 1)]);
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(below(text.size()), text.substr(at, length * 4));
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

/// Reads everything in every way, so that each reader meets each kind of value.
int ReadAll(const Json& json) {
  int read = 0;
  const auto attempt = [&](auto reader) {
    try {
      reader();
      ++read;
    } catch (const Error& e) {
      CHECK(std::string(e.what()).starts_with("fuzz.json"));
    }
  };
  attempt([&] { json.String(); });
  attempt([&] { json.Bool(); });
  attempt([&] { json.Int(-100, 100); });
  attempt([&] { json.Number(-100, 100); });
  attempt([&] { json.OneOf({"none", "full"}); });
  if (json.IsObject()) {
    for (const std::string& key : json.Keys()) read += ReadAll(json.At(key));
    attempt([&] { json.Allow({"model", "batch"}); });
  }
  if (json.IsArray()) {
    for (const Json& item : json.Items()) read += ReadAll(item);
  }
  return read;
}

}  // namespace

TEST_CASE("damaged documents are read or refused with their name, never worse", "[json]") {
  std::mt19937 random(20260101);
  int refused = 0, read = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string text = Damaged(kScenario, &random);
    try {
      read += ReadAll(Json::Text(text, "fuzz.json")) > 0;
    } catch (const Error& e) {
      CHECK(std::string(e.what()).starts_with("fuzz.json\n  "));
      CHECK(!e.instead.empty());
      ++refused;
    }
  }
  CHECK(refused > 1000);  // the damage is real, and not always fatal
  CHECK(read > 100);
}

TEST_CASE("a document cut anywhere is refused", "[json]") {
  const std::string whole = kScenario;
  CHECK_NOTHROW(Json::Text(whole, "fuzz.json"));
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(Json::Text(whole.substr(0, n), "fuzz.json"), Error);
}

TEST_CASE("whole numbers beyond 2^63 and numbers beyond 1e308 are refused, none wraps", "[json]") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const auto read = [](const std::string& number) {
    return Json::Text("[" + number + "]", "n.json")
        .At(std::size_t{0})
        .Int(std::numeric_limits<std::int64_t>::min(), kMost);
  };
  CHECK(read("9223372036854775807") == kMost);
  CHECK(read("9007199254740993") == 9007199254740993);  // 2^53 + 1 has no double
  CHECK(read("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(read("1e18") == 1000000000000000000);
  for (const char* number :
       {"9223372036854775808", "18446744073709551615", "1e19", "-1e19", "99999999999999999999", "1e400"}) {
    CHECK_THROWS_AS(read(number), Error);
  }
  const Json limit = Json::Text("[9007199254740993]", "n.json").At(std::size_t{0});
  CHECK_THROWS_AS(limit.Int(0, 9007199254740992), Error);
}
