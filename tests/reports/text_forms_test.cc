#include "reports/text_forms.h"

#include <catch2/catch.hpp>

#include "reports/report.h"

using namespace isochrone::reports;

namespace {

const char* kPrediction = R"({
  "kind": "prediction", "step_time_s": 18.125, "tokens_per_s": 5423.5, "fidelity": "event",
  "attribution_s": {"bubble": 4.53125, "compute": 13.59375},
  "memory": {"peak_bytes": 64424509440, "capacity_bytes": 85899345920, "fits": true, "stages": [{"stage": 0, "total": 64424509440}]},
  "warnings": ["a | b <i>"], "provenance": {"version": "0.1.0"}})";

}  // namespace

TEST_CASE("the Markdown of a prediction says what the page says, in numbers that people read", "[markdown]") {
  CHECK(RenderReport({{"gpt.json", kPrediction}}, Format::kMarkdown, {"", "isochrone report gpt.json --out a.md"}) ==
        R"(# gpt.json

## gpt.json (prediction)

### Is it fast, does it fit, what bounds it?

| figure | value |
| --- | ---: |
| fidelity | event |
| step\_time\_s | 18.1 s |
| tokens\_per\_s | 5,424 |
| peak\_bytes | 60.0 GiB |
| capacity\_bytes | 80.0 GiB |
| fits | yes |

### Where does the step go?

| part | value | share |
| --- | ---: | ---: |
| bubble | 4.53 s | 25.0% |
| compute | 13.6 s | 75.0% |

### What fills the memory of each stage?

| stage | total |
| ---: | ---: |
| 0 | 60.0 GiB |

### What should be known?

| warning |
| --- |
| a \| b &lt;i&gt; |

### Where does this come from?

| part | value |
| --- | --- |
| version | 0.1.0 |

Made by isochrone report gpt.json --out a.md
)");
}

TEST_CASE("the CSV of a prediction keeps every digit, one table after another", "[csv]") {
  CHECK(RenderReport({{"gpt.json", kPrediction}}, Format::kCsv) ==
        "# gpt.json: Is it fast, does it fit, what bounds it?\r\n"
        "figure,value\r\nfidelity,event\r\nstep_time_s,18.125\r\ntokens_per_s,5423.5\r\npeak_bytes,64424509440\r\n"
        "capacity_bytes,85899345920\r\nfits,yes\r\n\r\n"
        "# gpt.json: Where does the step go?\r\n"
        "part,value,share\r\nbubble,4.53125,0.25\r\ncompute,13.59375,0.75\r\n\r\n"
        "# gpt.json: What fills the memory of each stage?\r\n"
        "stage,total\r\n0,64424509440\r\n\r\n"
        "# gpt.json: What should be known?\r\n"
        "warning\r\na | b <i>\r\n\r\n"
        "# gpt.json: Where does this come from?\r\n"
        "part,value\r\nversion,0.1.0\r\n\r\n");
}

TEST_CASE("a text that a spreadsheet would run is quoted, a number is not", "[csv]") {
  const std::string csv = RenderReport(
      {{"n", R"json({"kind":"network","links":[{"name":"=cmd()","load":-0.5},{"name":"a,\"b\"","load":1}]})json"}},
      Format::kCsv);
  CHECK(csv == "# n: Which links are busy?\r\nname,load\r\n'=cmd(),-0.5\r\n\"a,\"\"b\"\"\",1\r\n\r\n");
}

TEST_CASE("several answers begin with a table in which every hole shows", "[markdown]") {
  const std::string text = RenderReport(
      {{"a", R"({"kind":"prediction","step_time_s":2})"}, {"b", R"({"kind":"sweep"})"}}, Format::kMarkdown);
  CHECK(text.find("| a | prediction | 2.00 s | - | - | - | - | - |\n| b | sweep | - | - | - | - | - | - |\n") !=
        std::string::npos);
}

TEST_CASE("a long table is cut in Markdown with a note, and whole in CSV", "[markdown]") {
  std::string rows;
  for (int i = 0; i < 250; ++i) rows += (i ? "," : "") + std::string(R"({"tensor":)") + std::to_string(i) + "}";
  const Input sweep{"s", R"({"kind":"sweep","results":[)" + rows + "]}"};
  CHECK(RenderReport({sweep}, Format::kMarkdown).find("50 more rows are left out; the CSV form has them.") !=
        std::string::npos);
  CHECK(RenderReport({sweep}, Format::kCsv).find("\r\n249\r\n") != std::string::npos);
}

TEST_CASE("a hostile name stays one line of text in Markdown", "[markdown]") {
  const std::string text = RenderReport({{"a\n# b <script>*", R"({"kind":"prediction"})"}}, Format::kMarkdown);
  CHECK(text == "# a # b &lt;script>\\*\n\n## a # b &lt;script>\\* (prediction)\n\n");
}

TEST_CASE("a report of nothing says so", "[markdown]") {
  CHECK(RenderReport({}, Format::kMarkdown) == "# An empty report\n\nNothing was evaluated: no answer was given.\n");
}
