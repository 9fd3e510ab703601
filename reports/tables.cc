#include "reports/tables.h"

#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace isochrone::reports {

namespace {

using nlohmann::json;

enum class Quantity { kPlain, kSeconds, kBytes, kFlops, kFraction, kPercent };

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

/// What the numbers under `key` are, by its last word.
Quantity QuantityOf(std::string_view key) {
  static const std::set<std::string_view> kBytes = {"parameters", "gradients",     "optimizer", "activations",
                                                    "workspace",  "communication", "framework", "total"};
  static const std::set<std::string_view> kFractions = {
      "mfu", "hfu", "share", "bubble_over_ideal", "bubble_over_total", "load", "utilisation", "efficiency"};
  const std::size_t dot = key.rfind('.');
  if (dot != std::string_view::npos) key = key.substr(dot + 1);
  if (EndsWith(key, "_per_s")) return Quantity::kPlain;
  if (EndsWith(key, "_s") || key == "seconds") return Quantity::kSeconds;
  if (EndsWith(key, "_bytes") || kBytes.count(key) > 0) return Quantity::kBytes;
  if (EndsWith(key, "_flops")) return Quantity::kFlops;
  if (EndsWith(key, "_pct")) return Quantity::kPercent;
  return kFractions.count(key) > 0 || EndsWith(key, "_share") ? Quantity::kFraction : Quantity::kPlain;
}

std::string Readable(double value, Quantity quantity) {
  switch (quantity) {
    case Quantity::kSeconds:
      return value < 0 ? "-" + HumanTime(Seconds(-value)) : HumanTime(Seconds(value));
    case Quantity::kBytes:
      return HumanBytes(Bytes(value));
    case Quantity::kFlops:
      return HumanScaled(value, "FLOP");
    case Quantity::kFraction:
      return Percent(value);
    case Quantity::kPercent:
      return Percent(value / 100);
    case Quantity::kPlain:
      return value == std::floor(value) && std::abs(value) < 1e15 ? Grouped(static_cast<std::int64_t>(value))
                                                                  : ThreeDigits(value);
  }
  return "";
}

/// Text as text: one line, and no character that Markdown or HTML reads.
std::string MarkdownText(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\n' || c == '\r' || c == '\t') out += ' ';
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (std::string_view("\\`*_[]#~").find(c) != std::string_view::npos) (out += '\\') += c;
    else out += c;
  }
  return out;
}

/// A spreadsheet runs a cell that starts with one of these.
std::string CsvText(std::string text) {
  if (!text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos) text.insert(0, 1, '\'');
  return text;
}

Cell TextCell(const std::string& text, Reader reader) {
  return reader == Reader::kPeople ? MarkdownText(text) : CsvText(text);
}

Cell CellOf(const json& value, Quantity quantity, Reader reader) {
  if (value.is_null()) return {};
  if (value.is_number()) {
    if (reader == Reader::kPeople) return Readable(value.get<double>(), quantity);
    return value.is_number_integer() ? Cell(value.get<std::int64_t>()) : Cell(Number{value.get<double>()});
  }
  if (value.is_boolean()) return std::string(value.get<bool>() ? "yes" : "no");
  if (value.is_string()) return TextCell(value.get<std::string>(), reader);
  return TextCell(value.dump(-1, ' ', false, json::error_handler_t::replace), reader);
}

/// The keys of `rows`: `first` ahead of the others, those in alphabetical order.
std::vector<std::string> KeysOf(const std::vector<json>& rows, const std::vector<std::string>& first) {
  std::set<std::string> present;
  for (const json& row : rows) {
    for (const auto& [key, value] : row.items()) present.insert(key);
  }
  std::vector<std::string> keys;
  for (const std::string& key : first) {
    if (present.erase(key) > 0) keys.push_back(key);
  }
  keys.insert(keys.end(), present.begin(), present.end());
  return keys;
}

/// Builds the sections of one answer for one reader.
class Writer {
 public:
  explicit Writer(Reader reader) : reader_(reader) {}

  /// A list of objects as a table.
  void List(const json& list, const std::string& question, const std::vector<std::string>& first) {
    if (!list.is_array() || list.empty()) return;
    std::vector<json> rows;
    for (const json& row : list) rows.push_back(FlattenedRow(row));
    const std::vector<std::string> keys = KeysOf(rows, first);
    std::vector<isochrone::Column> columns;
    for (const std::string& key : keys) columns.push_back(ColumnOf(key, Member(rows.front(), key).is_string()));
    if (columns.empty()) return;
    Table table(std::move(columns));
    for (const json& row : rows) {
      std::vector<Cell> cells;
      for (const std::string& key : keys) cells.push_back(CellOf(Member(row, key), QuantityOf(key), reader_));
      table.AddRow(std::move(cells));
    }
    sections.push_back({question, std::move(table)});
  }

  /// An object's plain members, one a row; with `whole` > 0 also each one's share of it.
  void Parts(const json& object, const std::string& question, Quantity quantity, double whole) {
    if (!object.is_object() || object.empty()) return;
    std::vector<isochrone::Column> columns = {ColumnOf("part", true), ColumnOf("value", whole <= 0)};
    if (whole > 0) columns.push_back(ColumnOf("share", false));
    Table table(std::move(columns));
    for (const auto& [key, value] : object.items()) {
      std::vector<Cell> cells = {TextCell(key, reader_), CellOf(value, quantity, reader_)};
      if (whole > 0) {
        const json share = value.is_number() ? json(value.get<double>() / whole) : json();
        cells.push_back(CellOf(share, Quantity::kFraction, reader_));
      }
      table.AddRow(std::move(cells));
    }
    sections.push_back({question, std::move(table)});
  }

  /// The plain figures at the top of an answer, and whether it fits.
  void Headline(const json& body) {
    Table table({ColumnOf("figure", true), ColumnOf("value", false)});
    const auto add = [&](const std::string& key, const json& value) {
      if (!value.is_primitive() || value.is_null() || key == "kind" || key == "schema_version") return;
      table.AddRow({TextCell(key, reader_), CellOf(value, QuantityOf(key), reader_)});
    };
    for (const auto& [key, value] : body.items()) add(key, value);
    for (const char* key : {"peak_bytes", "capacity_bytes", "fits"}) add(key, Member(Member(body, "memory"), key));
    if (!table.rows().empty()) sections.push_back({"Is it fast, does it fit, what bounds it?", std::move(table)});
  }

  std::vector<Section> sections;

 private:
  isochrone::Column ColumnOf(const std::string& key, bool left) const {
    const std::string title = reader_ == Reader::kPeople ? MarkdownText(key) : key;
    return {key, title, "", left ? Align::kLeft : Align::kRight};
  }

  Reader reader_;
};

void WriteStep(const json& body, Writer& out) {
  const double step = NumberOf(body, "step_time_s").value_or(0);
  out.Headline(body);
  out.Parts(Member(body, "attribution_s"), "Where does the step go?", Quantity::kSeconds, step);
  out.Parts(Member(body, "exposed_communication_s"), "Which communication is exposed?", Quantity::kSeconds, step);
  out.List(Member(Member(body, "memory"), "stages"), "What fills the memory of each stage?", {"stage"});
  out.List(Member(body, "operations"), "Which operations take the time?",
           {"name", "phase", "program", "stream", "count", "seconds", "share", "formula", "inputs", "source"});
  out.List(Member(body, "what_if"), "What would make it faster?", {"kind", "gain_s"});
  out.List(Member(body, "links"), "Which links are busy?", {"name", "load", "busy_s"});
}

void WriteSweep(const json& body, Writer& out) {
  const std::vector<std::string> first = {"step_time_s", "memory_bytes", "tokens_per_s", "mfu"};
  out.Headline(body);
  out.List(Member(body, "best"), "Which configuration is best?", first);
  out.List(Member(body, "pareto"), "Which trade time for memory?", first);
  out.List(Member(body, "results"), "What was evaluated?", first);
}

void WriteScore(const json& body, Writer& out) {
  out.Headline(body);
  out.List(Member(body, "families"), "How far off is each family?",
           {"family", "role", "rows", "scored", "mape_pct", "median_ape_pct", "bias_pct", "max_ape_pct", "regret_pct",
            "coverage_pct", "interval_width_pct"});
  out.List(Member(body, "rows"), "Was each prediction right?",
           {"id", "family", "role", "predicted_s", "measured_s", "error_pct", "low_s", "high_s", "status", "reason"});
}

void WriteInferenceScore(const json& body, Writer& out) {
  out.List(Member(body, "families"), "How far off is each time?",
           {"source", "metric", "hardware", "role", "status", "rows", "scored", "mape_pct", "median_ape_pct",
            "bias_pct", "max_ape_pct"});
  out.List(Member(body, "rows"), "Was each prediction right?",
           {"line", "source", "metric", "role", "status", "predicted_s", "measured_s", "error_pct", "reason"});
}

void WriteGeneration(const json& body, Writer& out) {
  out.Headline(body);
  out.Parts(Member(body, "prompt_step"), "Where does a prompt step go?", Quantity::kSeconds, 0);
  out.Parts(Member(body, "decode_step"), "Where does a decode step go?", Quantity::kSeconds, 0);
  out.List(Member(Member(body, "memory"), "stages"), "What fills the memory of each stage?", {"stage"});
}

void WriteServing(const json& body, Writer& out) {
  out.Headline(body);
  json waits = json::array();
  for (const char* what : {"ttft", "tpot", "latency"}) {
    json row = Member(body, what);
    if (!row.is_object()) continue;
    row["what"] = what;
    waits.push_back(std::move(row));
  }
  out.List(waits, "How long do users wait?", {"what", "mean_s", "p50_s", "p90_s", "p99_s"});
  out.List(Member(body, "over_time"), "What happens over time?",
           {"start_s", "end_s", "waiting", "answering", "prompt_share", "decode_share", "watts"});
}

void WriteAdvice(const json& body, Writer& out) {
  const std::vector<std::string> first = {"change", "rule", "share_pct", "parameters_1e9", "step_time_s"};
  out.Headline(body);
  const json& model = Member(body, "model");
  if (model.is_object()) out.List(json::array({model}), "How does the model run as it is?", first);
  out.List(Member(body, "better"), "Which shapes run faster?", first);
}

}  // namespace

std::vector<Section> SectionsOf(const Answer& answer, Reader reader) {
  const json& body = answer.Body();
  Writer out(reader);
  if (answer.kind == "prediction" || answer.kind == "run") WriteStep(body, out);
  if (answer.kind == "sweep") WriteSweep(body, out);
  if (answer.kind == "score") WriteScore(body, out);
  if (answer.kind == "inference_score") WriteInferenceScore(body, out);
  if (answer.kind == "generation") WriteGeneration(body, out);
  if (answer.kind == "serving") WriteServing(body, out);
  if (answer.kind == "advise") WriteAdvice(body, out);
  if (answer.kind == "comparison") {
    out.Headline(body);
    out.List(Member(body, "operations"), "Was the prediction of each operation right?",
             {"name", "predicted_s", "measured_s", "error_pct", "count"});
  }
  if (answer.kind == "network") {
    out.Headline(body);
    out.List(Member(body, "links"), "Which links are busy?", {"name", "load", "busy_s"});
  }
  json warnings = json::array();
  for (const json& warning : Member(body, "warnings")) warnings.push_back({{"warning", warning}});
  out.List(warnings, "What should be known?", {});
  out.Parts(Member(body, "provenance"), "Where does this come from?", Quantity::kPlain, 0);
  return std::move(out.sections);
}

Section EvaluatedSection(const std::vector<Answer>& answers, Reader reader) {
  static const std::vector<std::string> kMetrics = {"step_time_s", "tokens_per_s",      "model_tflops_per_gpu",
                                                    "mfu",         "bubble_over_total", "peak_bytes"};
  json rows = json::array();
  for (const Answer& answer : answers) {
    json row = {{"answer", answer.name}, {"kind", answer.kind}};
    for (const std::string& metric : kMetrics) {
      const json& body = answer.Body();
      row[metric] = Member(metric == "peak_bytes" ? Member(body, "memory") : body, metric);
    }
    rows.push_back(std::move(row));
  }
  std::vector<std::string> columns = {"answer", "kind"};
  columns.insert(columns.end(), kMetrics.begin(), kMetrics.end());
  Writer out(reader);
  out.List(rows, "What was evaluated?", columns);
  if (out.sections.empty()) return {"What was evaluated?", Table(std::vector<isochrone::Column>{{"answer", "answer"}})};
  return std::move(out.sections.front());
}

}  // namespace isochrone::reports
