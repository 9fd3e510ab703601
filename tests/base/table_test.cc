#include "base/table.h"

#include <catch2/catch.hpp>
#include <limits>

using namespace isochrone;

namespace {

Table Steps() {
  Table table({{"model", "model", "", Align::kLeft}, {"gpus", "GPUs"}, {"step_time_s", "step", "s"}});
  table.AddRow({std::string("GPT-3 175B"), std::int64_t{1536}, Number{18.126, 2}});
  table.AddRow({std::string("Größe 時"), std::monostate{}, Number{1234.5, 1}});
  return table;
}

}  // namespace

TEST_CASE("text aligns by columns of the terminal and strips what trails", "[table]") {
  CHECK(Steps().Text() ==
        "model        GPUs  step (s)\n"
        "──────────  ─────  ────────\n"
        "GPT-3 175B  1,536     18.13\n"
        "Größe 時        -   1,234.5\n");
}

TEST_CASE("a narrow terminal wraps text and titles and leaves numbers whole", "[table]") {
  CHECK(Steps().Text(21) ==
        "model   GPUs     step\n"
        "                  (s)\n"
        "─────  ─────  ───────\n"
        "GPT-3  1,536    18.13\n"
        "175B\n"
        "Größe      -  1,234.5\n"
        "時\n");
  CHECK(Steps().Text(5) == Steps().Text(21));
  CHECK(Steps().Text(27) == Steps().Text());
}

TEST_CASE("a line feed in a cell starts a new line of its row", "[table]") {
  Table table({{"a", "a", "", Align::kLeft}, {"b", "b"}});
  table.AddRow({std::string("x\nyy"), std::int64_t{-1000}});
  CHECK(table.Text() == "a        b\n──  ──────\nx   -1,000\nyy\n");
}

TEST_CASE("a table without rows is its header", "[table]") {
  const Table empty(std::vector<Column>{{"a", "a"}});
  CHECK(empty.Text() == "a\n─\n");
  CHECK(empty.Markdown() == "| a |\n| ---: |\n");
  CHECK(empty.Csv() == "a\r\n");
  CHECK(empty.Json() == "[]\n");
}

TEST_CASE("Markdown escapes what would end a cell", "[table]") {
  Table table({{"a", "a|b", "", Align::kLeft}, {"n", "n", "GiB"}});
  table.AddRow({std::string("x|y\nz"), Number{79.25, 1}});
  CHECK(table.Markdown() == "| a\\|b | n (GiB) |\n| --- | ---: |\n| x\\|y<br>z | 79.2 |\n");
}

TEST_CASE("CSV quotes as RFC 4180 says and keeps every digit", "[table]") {
  Table table({{"name", "name"}, {"n, \"x\"", "n"}});
  table.AddRow({std::string("plain"), Number{0.1, 0}});
  table.AddRow({std::string("a,b"), std::int64_t{-1536}});
  table.AddRow({std::string("say \"hi\""), std::monostate{}});
  table.AddRow({std::string("two\r\nlines"), Number{std::numeric_limits<double>::infinity(), 1}});
  table.AddRow({std::string(""), Number{1.0 / 3, 2}});
  CHECK(table.Csv() ==
        "name,\"n, \"\"x\"\"\"\r\n"
        "plain,0.1\r\n"
        "\"a,b\",-1536\r\n"
        "\"say \"\"hi\"\"\",\r\n"
        "\"two\r\nlines\",\r\n"
        "\"\",0.3333333333333333\r\n");
}

TEST_CASE("JSON keeps the order of the columns, every digit, and null for nothing", "[table]") {
  Table table({{"z", "z"}, {"a", "a"}, {"m", "m"}});
  table.AddRow({std::string("q\"\n\x01 µ"), Number{0.1, 0}, std::monostate{}});
  table.AddRow({std::string("\xff"), Number{std::numeric_limits<double>::quiet_NaN(), 1}, std::int64_t{7}});
  CHECK(table.Json() ==
        "[\n"
        "  {\n"
        "    \"z\": \"q\\\"\\n\\u0001 µ\",\n"
        "    \"a\": 0.1,\n"
        "    \"m\": null\n"
        "  },\n"
        "  {\n"
        "    \"z\": \"\xEF\xBF\xBD\",\n"
        "    \"a\": null,\n"
        "    \"m\": 7\n"
        "  }\n"
        "]\n");
}
