#include "base/json.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"

using isochrone::Error;
using isochrone::Json;

namespace {

std::string MessageOf(void (*action)()) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("an unknown key is refused with the nearest known one", "[json]") {
  CHECK(MessageOf([] {
          Json::Text(R"({"tensr": 8})", "s.json").Allow({"tensor", "pipeline"});
        }) == "s.json: /tensr = 8\n  is not a known key\n  did you mean \"tensor\"?");
}

TEST_CASE("a missing key names the key", "[json]") {
  CHECK(MessageOf([] { Json::Text(R"({"a": 8})", "s.json").At("nodes"); }) ==
        "s.json\n  lacks the key \"nodes\"\n  add \"nodes\"");
}

TEST_CASE("a number out of range says which would do", "[json]") {
  CHECK(MessageOf([] { Json::Text(R"({"a": {"b": 0}})", "s.json").At("a").At("b").Int(1, 64); }) ==
        "s.json: /a/b = 0\n  is out of range\n  give a whole number from 1 to 64");
  CHECK(MessageOf([] { Json::Text(R"({"a": 1e30})", "s.json").At("a").Int(1, 64); }) ==
        "s.json: /a = 1e+30\n  is out of range\n  give a whole number from 1 to 64");
}

TEST_CASE("truncated, repeated and deeply nested documents are refused", "[json]") {
  CHECK(MessageOf([] { Json::Text("{\"a\": [1, 2", "s.json"); }).find("ends in the middle") != std::string::npos);
  CHECK(MessageOf([] { Json::Text(R"({"a": 1, "a": 2})", "s.json"); }).find("twice") != std::string::npos);
  CHECK(MessageOf([] { Json::Text(std::string(100000, '['), "s.json"); }).find("nests deeper") != std::string::npos);
  CHECK(MessageOf([] { Json::Text("{\"a\": NaN}", "s.json"); }).find("line 1, column 7") != std::string::npos);
}

TEST_CASE("a list of 200000 objects is read in moments",
          "[json]") {  // minutes, were each object's end to visit the list
  std::string text = "[{}";
  for (int i = 1; i < 200000; ++i) text += ",{\"a\":1}";
  CHECK(Json::Text(text + "]", "s.json").Raw().size() == 200000);
}

TEST_CASE("a number that no double holds is refused", "[json]") {
  CHECK(MessageOf([] { Json::Text("[-1e400]", "s.json"); }) ==
        "s.json\n  holds a number beyond 1.8e308\n  write a finite number");
}

TEST_CASE("a directory is no file", "[json]") {
  CHECK(MessageOf([] { Json::File("/"); }) == "/\n  is a directory\n  name a .json file inside it");
}
