#include "reports/html.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"

using nlohmann::json;
using namespace isochrone::reports;

namespace {

/// What stands between the tags that hold the data.
std::string DataOf(const std::string& page) {
  const std::string tag = "id=\"data\">";
  const std::size_t start = page.find(tag) + tag.size();
  return page.substr(start, page.find("</script>", start) - start);
}

std::size_t Count(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("embedded JSON is ASCII without < > & and reads back as it was", "[html]") {
  const json value = {{"a", "</script><!-- & \u2028\u2029 😀 \"'\\"}, {"b", {1, 2.5, nullptr, true}}};
  const std::string text = EmbeddableJson(value);
  CHECK(text.find_first_of("<>&") == std::string::npos);
  CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
  CHECK(json::parse(text) == value);
}

TEST_CASE("bytes that are no UTF-8 become replacement characters instead of an error", "[html]") {
  CHECK(EmbeddableJson("a\xff") == "\"a\\ufffd\"");
}

TEST_CASE("the page carries the answers, and a name with </script> opens no tag", "[html]") {
  if (kPage.empty()) {
    WARN("skipped: " << kWhyNoPage);
    return;
  }
  const std::string hostile = "</script><script>alert(1)</script>";
  const std::string calm = RenderReport({{"a", R"({"kind":"prediction"})"}}, Format::kHtml);
  const std::string page = RenderReport({{hostile, R"({"kind":"prediction","step_time_s":1.5})"}}, Format::kHtml);
  CHECK(Count(page, "<script") == Count(calm, "<script"));
  CHECK(Count(page, "</script") == Count(calm, "</script"));
  const json data = json::parse(DataOf(page));
  CHECK(data["title"] == hostile);
  CHECK(data["answers"][0]["name"] == hostile);
  CHECK(data["answers"][0]["answer"] == json{{"kind", "prediction"}, {"step_time_s", 1.5}});
}

TEST_CASE("the page fetches nothing and lets only its own script run", "[html]") {
  if (kPage.empty()) return;
  const std::string page(kPage);
  CHECK(page.find("default-src 'none'") != std::string::npos);
  CHECK(page.find("script-src 'sha256-") != std::string::npos);
  CHECK(page.find("<script src") == std::string::npos);
  CHECK(page.find("<link") == std::string::npos);
}

TEST_CASE("a report names the forms that it has", "[report]") {
  CHECK(FormatOf("a/b.html") == Format::kHtml);
  CHECK(FormatOf("b.md") == Format::kMarkdown);
  CHECK(FormatOf("b.csv") == Format::kCsv);
  CHECK(FormatOf("b.trace.json") == Format::kChromeTrace);
  CHECK(FormatOf("b.speedscope.json") == Format::kSpeedscope);
  CHECK_THROWS_WITH(FormatOf("b.pdf"),
                    "--out b.pdf\n  ends in no form that a report has\n"
                    "  use .html, .md, .csv, .trace.json (for Perfetto) or .speedscope.json");
}

TEST_CASE("an input that no verb printed is refused with what would do", "[report]") {
  CHECK_THROWS_WITH(RenderReport({{"x.json", "{}"}}, Format::kMarkdown),
                    "x.json\n  lacks the key \"kind\", so it is no answer of a verb\n"
                    "  make it with --json, for example isochrone predict SCENARIO --json > answer.json");
  CHECK_THROWS_WITH(RenderReport({{"x.json", R"({"kind":"cake"})"}}, Format::kMarkdown),
                    "x.json: /kind = \"cake\"\n  is not a kind that a report can show\n"
                    "  give prediction, run, sweep, score, inference_score, comparison, generation, serving, advise or "
                    "network");
}

TEST_CASE("an answer is told from a scenario by its outermost member kind, wherever it stands", "[report]") {
  CHECK(LooksLikeAnswer(R"({"schema_version":1,"kind":"run"})"));
  CHECK(LooksLikeAnswer(R"({"a":{"b":[1,{"c":2}]},"kind":"run","cut off)"));
  CHECK_FALSE(LooksLikeAnswer(R"({"fabric":{"kind":"fat_tree"},"model":"gpt"})"));
  CHECK_FALSE(LooksLikeAnswer(R"([{"kind":"run"}])"));
  CHECK_FALSE(LooksLikeAnswer("kind"));
  CHECK_FALSE(LooksLikeAnswer(""));
}
