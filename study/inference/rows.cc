#include "study/inference/rows.h"

#include <cstdlib>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "costmodel/inference/engine.h"
#include "plan/scenario_names.h"
#include "study/usual_nodes.h"

namespace isochrone::study {
namespace {

constexpr std::size_t kMostBytes = std::size_t{256} << 20;

/// The records of a text as RFC 4180 writes them; each with the line that it starts on.
struct Record {
  int line = 1;
  std::vector<std::string> fields;
};

std::vector<Record> Records(const std::string& text) {
  std::vector<Record> records;
  Record record;
  std::string field;
  int line = 1;
  bool quoted = false, any = false;
  const auto end_record = [&] {
    record.fields.push_back(std::move(field));
    if (record.fields.size() > 1 || !record.fields.front().empty()) records.push_back(std::move(record));
    record = {}, field = {}, any = false;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!any) record.line = line, any = true;
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') field += c;
      else if (i + 1 < text.size() && text[i + 1] == '"') field += '"', ++i;
      else quoted = false;
    } else if (c == '"' && field.empty()) {
      quoted = true;
    } else if (c == ',') {
      record.fields.push_back(std::move(field)), field = {};
    } else if (c == '\n') {
      end_record();
    } else if (c != '\r') {
      field += c;
    }
  }
  if (any) end_record();
  return records;
}

/// One record by column name.
class Row {
 public:
  Row(const std::map<std::string, std::size_t>& columns, const Record& record) : columns_(columns), record_(record) {}

  const std::string& Text(const std::string& column) const { return record_.fields[columns_.at(column)]; }
  std::optional<double> Number(const std::string& column) const {
    const std::string& text = Text(column);
    if (text.empty()) return std::nullopt;
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (*end != '\0' || !(value >= 0 && value < 1e12)) throw Error(column + " = " + text, "is no number of at least 0");
    return value;
  }
  std::int64_t Whole(const std::string& column, std::int64_t least) const {
    const auto value = Number(column);
    const double whole = value ? *value : -1;
    if (whole < static_cast<double>(least) || whole != static_cast<double>(static_cast<std::int64_t>(whole)))
      throw Error(column + " = " + Text(column), "is no whole number of at least " + std::to_string(least));
    return static_cast<std::int64_t>(whole);
  }
  template <class Names>
  std::size_t OneOf(const std::string& column, const Names& names) const {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == Text(column)) return i;
    }
    throw Error(column + " = " + Text(column), "is not known");
  }

 private:
  const std::map<std::string, std::size_t>& columns_;
  const Record& record_;
};

plan::Model ModelOf(const Row& row) {
  plan::Model m;
  m.name = row.Text("model"), m.file = "the row";
  m.layers = static_cast<int>(row.Whole("layers", 1));
  m.hidden = row.Whole("hidden", 1), m.heads = row.Whole("heads", 1), m.kv_heads = row.Whole("kv_heads", 1);
  m.head_dim = row.Whole("head_dim", 1), m.ffn = row.Whole("ffn", 1), m.vocabulary = row.Whole("vocab", 1);
  m.mlp = static_cast<plan::MlpKind>(row.OneOf("mlp", plan::MlpNames()));
  const bool gated = m.mlp == plan::MlpKind::kSwiglu || m.mlp == plan::MlpKind::kGeglu;
  m.normalization = gated ? plan::NormKind::kRms : plan::NormKind::kLayer;
  m.position = gated ? plan::PositionKind::kRotary : plan::PositionKind::kLearned;
  m.linear_bias = !gated, m.tied_embeddings = !gated;
  m.sequence = 4096;
  return m;
}

plan::Cluster ClusterOf(const Row& row, int ranks, NodeCache& nodes) {
  plan::Cluster cluster;
  cluster.node = UsualNodeOf(row.Text("hardware"), nodes);
  cluster.nodes = (ranks + cluster.node.gpus - 1) / cluster.node.gpus;
  cluster.name = std::to_string(ranks) + " x " + cluster.node.gpu.name;
  return cluster;
}

void ReadFormats(const Row& row, const costmodel::EngineProfile& engine, plan::InferenceStrategy& s) {
  using plan::Dtype;
  static const std::map<std::string, Dtype> formats = {
      {"fp32", Dtype::kFp32}, {"fp16", Dtype::kFp16},   {"bf16", Dtype::kBf16},     {"fp8", Dtype::kFp8},
      {"fp4", Dtype::kNvfp4}, {"nvfp4", Dtype::kNvfp4}, {"unstated", Dtype::kBf16}, {"", Dtype::kBf16}};
  const auto format = formats.find(row.Text("precision"));
  if (format == formats.end()) throw Error("precision = " + row.Text("precision"), "is not known");
  s.precision = s.weights = format->second;
  const bool wide = s.precision == Dtype::kFp16 || s.precision == Dtype::kBf16 || s.precision == Dtype::kFp32;
  s.kv_cache = wide ? s.precision : engine.narrow_cache ? Dtype::kFp8 : Dtype::kBf16;
}

plan::InferenceScenario ScenarioOf(const Row& row, NodeCache& nodes) {
  plan::InferenceScenario scenario;
  plan::InferenceStrategy& s = scenario.strategy;
  s.tensor = static_cast<int>(row.Whole("tp", 1)), s.pipeline = static_cast<int>(row.Whole("pp", 1));
  scenario.base.model = ModelOf(row);
  scenario.base.cluster = ClusterOf(row, s.tensor * s.pipeline, nodes);
  s.engine = costmodel::EngineNamed(row.Text("engine"));
  const costmodel::EngineProfile engine = costmodel::EngineOf(s.engine, scenario.base.cluster.node.gpu);
  s.token_budget = engine.token_budget;
  ReadFormats(row, engine, s);
  const auto output = row.Number("output_tokens");
  scenario.generation = {row.Whole("prompt_tokens", 0), output ? row.Whole("output_tokens", 0) : 1,
                         row.Whole("batch", 1)};
  plan::Settle(scenario);
  return scenario;
}

std::string KeyOf(const Row& row) {
  return row.Text("model") + " " + row.Text("hardware") + " tp " + row.Text("tp") + " pp " + row.Text("pp") + " " +
         row.Text("precision") + " batch " + row.Text("batch") + " prompt " + row.Text("prompt_tokens") + " output " +
         row.Text("output_tokens");
}

InferenceRow RowOf(const Row& row, int line, NodeCache& nodes) {
  InferenceRow r;
  r.line = line, r.source = row.Text("source"), r.key = KeyOf(row);
  try {
    r.first_token = row.Number("ttft_s"), r.per_token = row.Number("tpot_s");
    r.step = row.Number("step_s"), r.total = row.Number("total_s");
    r.steady = row.Text("note").find("steady concurrency") != std::string::npos;
    r.one_step = r.step.has_value();
    // A time per token without a stated length: over the first 128, which is what most rows have.
    r.scenario = ScenarioOf(row, nodes);
    if (row.Text("output_tokens").empty()) r.scenario->generation.output = 128;
  } catch (const Error& e) {
    r.scenario.reset();
    r.reason = e.where + " " + e.fault;
  }
  return r;
}

}  // namespace

std::vector<InferenceRow> ReadInferenceRows(const std::string& path) {
  const std::vector<Record> records = Records(Json::FileText(path, kMostBytes, path));
  static const std::vector<std::string> needed = {
      "source",        "model",         "layers",   "hidden", "heads",  "kv_heads",  "head_dim", "ffn",
      "mlp",           "vocab",         "hardware", "tp",     "pp",     "precision", "engine",   "batch",
      "prompt_tokens", "output_tokens", "ttft_s",   "tpot_s", "step_s", "total_s",   "note"};
  if (records.empty()) throw Error(path, "is empty", "give a table of generations, schema in docs/inference.md");
  std::map<std::string, std::size_t> columns;
  for (std::size_t i = 0; i < records.front().fields.size(); ++i) columns[records.front().fields[i]] = i;
  for (const std::string& name : needed) {
    if (columns.count(name) == 0)
      throw Error(path + ":1", "lacks the column \"" + name + "\"", "give the columns that docs/inference.md lists");
  }
  std::vector<InferenceRow> rows;
  NodeCache nodes;
  for (std::size_t i = 1; i < records.size(); ++i) {
    const Record& record = records[i];
    if (record.fields.size() != records.front().fields.size()) {
      throw Error(path + ":" + std::to_string(record.line),
                  "has " + std::to_string(record.fields.size()) + " fields, the header " +
                      std::to_string(records.front().fields.size()),
                  "separate fields by commas and quote those that hold one");
    }
    rows.push_back(RowOf(Row(columns, record), record.line, nodes));
  }
  return rows;
}

}  // namespace isochrone::study
