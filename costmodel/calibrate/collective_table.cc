#include <charconv>
#include <istream>
#include <map>

#include "base/error.h"
#include "costmodel/calibrate/collective_fit.h"

namespace isochrone::costmodel {

namespace {

std::vector<std::string> Split(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',') {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

/// The rows of one table with its header, so that a message can name line and column.
struct Rows {
  std::string name;
  std::vector<std::string> header;
  std::vector<std::string> fields;
  int line = 1;

  std::size_t Column(const std::string& key) const {
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (header[i] == key) return i;
    }
    throw Error(name, "has no column \"" + key + "\"", "one of the tables that collective_fit.h lists");
  }
  const std::string& Text(const std::string& key) const {
    const std::size_t column = Column(key);
    if (column < fields.size()) return fields[column];
    throw Error(name + ", line " + std::to_string(line), "ends before the column \"" + key + "\"", "a complete row");
  }
  double Number(const std::string& key) const {
    const std::string& text = Text(key);
    double value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault == std::errc() && end == text.data() + text.size() && value >= 0) return value;
    throw Error(name + ", line " + std::to_string(line) + ", column " + key, "\"" + text + "\" is no number from 0 up",
                "a plain number");
  }
};

using Samples = std::vector<CollectiveSample>;
using plan::CollectiveKind;

void AddNcclRow(const Rows& row, int, Samples& samples) {
  if (row.Text("nccl_dtype") != "half") return;
  const std::string& op = row.Text("op_name");
  CollectiveSample sample;
  if (op == "all_gather") sample.kind = CollectiveKind::kAllGather;
  if (op == "reduce_scatter") sample.kind = CollectiveKind::kReduceScatter;
  if (op == "alltoall") sample.kind = CollectiveKind::kAllToAll;
  if (op != "all_reduce" && sample.kind == CollectiveKind::kAllReduce) return;
  sample.group = static_cast<int>(row.Number("num_gpus"));
  sample.size = Bytes(2 * row.Number("message_size"));
  sample.time = Seconds(row.Number("latency") * 1e-3);
  samples.push_back(sample);
}

void AddLookupRow(const Rows& row, int group, Samples& samples) {
  CollectiveSample sample;
  sample.group = group;
  sample.size = Bytes(row.Number("size(B)"));
  sample.time = Seconds(row.Number("time(ns)") * 1e-9);
  samples.push_back(sample);
}

void AddStatisticsRow(const Rows& row, int, Samples& samples) {
  const double workers = row.Number("num_workers");
  if (workers != row.Number("devices_per_node") || row.Number("rank") != 0) return;
  CollectiveSample sample;
  sample.message = row.Text("collective") == "send_recv";
  sample.group = static_cast<int>(workers);
  sample.size = Bytes(row.Number("size"));
  sample.time = Seconds(row.Number("time_stats." + row.Text("collective") + ".median") * 1e-3);
  samples.push_back(sample);
}

/// Our own microbenchmarks.
void AddOwnRow(const Rows& row, int, Samples& samples) {
  static const std::map<std::string, CollectiveKind> kinds = {{"all_reduce", CollectiveKind::kAllReduce},
                                                              {"all_gather", CollectiveKind::kAllGather},
                                                              {"reduce_scatter", CollectiveKind::kReduceScatter},
                                                              {"all_to_all", CollectiveKind::kAllToAll}};
  const std::string& name = row.Text("collective");
  const auto kind = kinds.find(name);
  if (kind == kinds.end() && name != "message") {
    throw Error(row.name + ", line " + std::to_string(row.line) + ", column collective", "\"" + name + "\" is none",
                "all_reduce, all_gather, reduce_scatter, all_to_all or message");
  }
  CollectiveSample sample;
  sample.message = kind == kinds.end();
  if (!sample.message) sample.kind = kind->second;
  sample.group = static_cast<int>(row.Number("group"));
  sample.size = Bytes(row.Number("bytes"));
  sample.time = Seconds(row.Number("seconds"));
  samples.push_back(sample);
}

}  // namespace

Samples ReadCollectiveTable(std::istream& in, const std::string& name, int group) {
  Rows row{name, {}, {}, 1};
  std::string line;
  while (std::getline(in, line) && line.starts_with('#')) ++row.line;
  row.header = Split(line);
  auto add = AddNcclRow;
  if (row.header.front() == "size(B)") {
    if (group < 2) throw Error(name, "does not say how many GPUs took part", "a group of 2 or more");
    add = AddLookupRow;
  } else if (row.header.size() > 1 && row.header[1].rfind("time_stats.", 0) == 0) {
    add = AddStatisticsRow;
  } else if (row.header.front() == "collective") {
    add = AddOwnRow;
  } else if (row.header.front() != "framework") {
    throw Error(name, "has the unknown header \"" + line + "\"", "one of the tables that collective_fit.h lists");
  }
  Samples samples;
  while (std::getline(in, line)) {
    ++row.line;
    row.fields = Split(line);
    if (row.fields.size() < 2) continue;
    add(row, group, samples);
  }
  return samples;
}

}  // namespace isochrone::costmodel
