#include "costmodel/collective_profile.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/json.h"

namespace isochrone::costmodel {

namespace {

constexpr const char* kCrossingFile = "inter_node.json";
constexpr int kMessages = kMeasuredKinds;  // index of messages after the kinds
const std::vector<std::string> kKinds = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "message"};
const std::vector<std::string> kLinks = {"none", "nvswitch", "nvlink_mesh", "nvlink_pairs", "pcie"};
const std::vector<std::string> kShapes = {"ring", "switch_reduce", "direct"};

Seconds Microseconds(const Json& at, const char* key) { return Seconds(at.At(key).Number(0, 1e6) * 1e-6); }
BytesPerSecond Gigabytes(const Json& at, const char* key) {
  return BytesPerSecond(at.At(key).Number(1e-3, 1e6) * kGiga);
}

CollectiveForm ReadForm(const Json& at) {
  at.Allow({"name", "shape", "latency_us", "hop_us", "fill_us", "bandwidth_gb_per_s", "local_gb_per_s", "least_group"});
  CollectiveForm form;
  form.name = at.At("name").String();
  form.shape = static_cast<FormShape>(at.At("shape").OneOf(kShapes));
  form.latency = Microseconds(at, "latency_us");
  form.hop = Microseconds(at, "hop_us");
  form.fill = Microseconds(at, "fill_us");
  form.bandwidth = Gigabytes(at, "bandwidth_gb_per_s");
  form.local_bandwidth = Gigabytes(at, "local_gb_per_s");
  form.least_group = static_cast<int>(at.At("least_group").Int(2, 1 << 20));
  return form;
}

CrossingForm ReadCrossingForm(const Json& at) {
  at.Allow({"name", "tree", "latency_us", "hop_us", "hop_between_us", "fill_us", "bandwidth_share"});
  CrossingForm form;
  form.name = at.At("name").String();
  form.tree = at.At("tree").Bool();
  form.latency = Microseconds(at, "latency_us");
  form.hop = Microseconds(at, "hop_us");
  form.hop_between = Microseconds(at, "hop_between_us");
  form.fill = Microseconds(at, "fill_us");
  form.bandwidth_share = at.At("bandwidth_share").Number(1e-3, 1);
  return form;
}

std::vector<CollectiveForm> ReadForms(const Json& at, bool needs_ring) {
  std::vector<CollectiveForm> forms;
  bool any_group = false, ring = false;
  for (const Json& item : at.Items()) {
    forms.push_back(ReadForm(item));
    any_group |= forms.back().least_group == 2;
    ring |= forms.back().shape == FormShape::kRing;
  }
  if (!any_group) at.Fail("holds no form for groups of 2", "one with \"least_group\": 2");
  if (needs_ring && !ring) at.Fail("holds no ring", "groups that span nodes pass through a ring");
  return forms;
}

std::string PrintForm(const CollectiveForm& form) {
  std::ostringstream out;
  out.precision(4);
  out << "{\"name\": \"" << form.name << "\", \"shape\": \"" << kShapes[static_cast<std::size_t>(form.shape)]
      << "\", \"least_group\": " << form.least_group << ", \"latency_us\": " << form.latency.value * 1e6
      << ", \"hop_us\": " << form.hop.value * 1e6 << ", \"fill_us\": " << form.fill.value * 1e6
      << ", \"bandwidth_gb_per_s\": " << form.bandwidth.value / kGiga
      << ", \"local_gb_per_s\": " << form.local_bandwidth.value / kGiga << "}";
  return out.str();
}

std::string PrintForms(const std::string& key, const std::vector<CollectiveForm>& forms) {
  std::string text = "  \"" + key + "\": [";
  for (std::size_t i = 0; i < forms.size(); ++i) text += (i ? ",\n    " : "\n    ") + PrintForm(forms[i]);
  return text + "\n  ],\n";
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

/// How far a profile's link is from the node's: another architecture costs more than any bandwidth, another mesh more
/// than that.
double Distance(const CollectiveProfile& profile, const plan::Node& node) {
  return (profile.mesh_gpus == 0 || profile.mesh_gpus == node.gpus ? 0 : 1000) +
         (profile.architecture == node.gpu.architecture ? 0 : 100) +
         std::abs(std::log(node.link_bandwidth / profile.link_bandwidth));
}

std::vector<std::string> LinkFiles(const std::string& folder) {
  std::vector<std::string> files;
  if (!std::filesystem::is_directory(folder)) throw Error(folder, "is no folder", "the catalogue's profiles/links");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json" && entry.path().filename() != kCrossingFile) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void ReadSources(const Json& json, CollectiveProfile& profile) {
  const Json sources = json.At("sources");
  std::vector<std::string> known = kKinds;
  known.insert(known.end(), {"tables", "command"});
  sources.Allow(known);
  for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
    profile.link_sources[kind].text = profile.name + ": " + sources.At(kKinds[kind]).String();
  }
  for (const Json& kind : json.At("measured").Items()) {
    Source& source = profile.link_sources[kind.OneOf(kKinds)];
    source.measured = true;
    source.text += "; " + sources.At("tables").String() + "; " + sources.At("command").String();
  }
}

}  // namespace

Source LinkSource(const CollectiveProfile& profile, plan::CollectiveKind kind) {
  if (kind == plan::CollectiveKind::kBroadcast) {
    const Source& borrowed = profile.link_sources[static_cast<int>(plan::CollectiveKind::kAllGather)];
    return {"borrowed from all-gather: " + borrowed.text, false};
  }
  return profile.link_sources[kind == plan::CollectiveKind::kRing ? kMessages : static_cast<int>(kind)];
}

CollectiveProfile ReadLinkProfile(const std::string& path) {
  const Json json = Json::File(path);
  json.Allow({"name", "link", "architecture", "link_gb_per_s", "mesh_gpus", "all_reduce", "all_gather",
              "reduce_scatter", "all_to_all", "message", "usable_share", "measured", "sources"});
  CollectiveProfile profile;
  profile.name = json.At("name").String();
  profile.link = static_cast<plan::NodeLink>(json.At("link").OneOf(kLinks));
  profile.architecture = json.At("architecture").String();
  profile.link_bandwidth = Gigabytes(json, "link_gb_per_s");
  profile.mesh_gpus = static_cast<int>(json.At("mesh_gpus").Int(0, 1024));
  for (int kind = 0; kind < kMeasuredKinds; ++kind) {
    profile.forms[kind] = ReadForms(json.At(kKinds[kind]), kind != static_cast<int>(plan::CollectiveKind::kAllToAll));
  }
  profile.message = ReadForms(json.At("message"), false);
  for (const Json& share : json.At("usable_share").Items()) profile.usable_share.push_back(share.Number(1e-3, 1));
  if (profile.usable_share.empty()) json.At("usable_share").Fail("is empty", "[1] for a switch");
  ReadSources(json, profile);
  return profile;
}

void ReadCrossing(const std::string& path, CollectiveProfile& profile) {
  const Json json = Json::File(path);
  json.Allow({"name", "forms", "nics", "message_us", "peer_us", "sources"});
  bool ring = false;
  for (const Json& item : json.At("forms").Items()) {
    profile.crossing.push_back(ReadCrossingForm(item));
    ring |= !profile.crossing.back().tree;
  }
  if (!ring) json.At("forms").Fail("holds no ring", "all but all-reduce need one");
  for (const Json& item : json.At("nics").Items()) {
    item.Allow({"gb_per_s_a_gpu", "collective_share", "message_share"});
    profile.nics.push_back({Gigabytes(item, "gb_per_s_a_gpu"), item.At("collective_share").Number(1e-3, 1),
                            item.At("message_share").Number(1e-3, 1)});
  }
  if (profile.nics.empty()) json.At("nics").Fail("is empty", "shares of at least one rate");
  std::sort(profile.nics.begin(), profile.nics.end(), [](auto& a, auto& b) { return a.rate < b.rate; });
  profile.crossing_message = Microseconds(json, "message_us");
  profile.crossing_peer = Microseconds(json, "peer_us");
  std::string& text = profile.crossing_source.text;
  for (const std::string& key : json.At("sources").Keys()) {
    text += (text.empty() ? "" : "; ") + key + ": " + json.At("sources").At(key).String();
  }
}

CollectiveProfile ReadCollectiveProfile(const plan::Node& node, const std::string& folder) {
  std::optional<CollectiveProfile> best;
  std::vector<std::string> kinds;
  for (const std::string& file : LinkFiles(folder)) {
    CollectiveProfile profile = ReadLinkProfile(file);
    kinds.push_back(kLinks[static_cast<std::size_t>(profile.link)]);
    if (profile.link == node.link && (!best || Distance(profile, node) < Distance(*best, node))) best = profile;
  }
  if (node.link == plan::NodeLink::kNone && !best) {  // one GPU a node: no group lies inside a node
    for (const std::string& file : LinkFiles(folder)) {
      if (!best) best = ReadLinkProfile(file);
    }
    best->link_ratio = 1;
  } else if (!best) {
    std::sort(kinds.begin(), kinds.end());
    kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
    throw Error(folder, "has no profile of the link " + kLinks[static_cast<std::size_t>(node.link)],
                "there are " + JoinedWith(kinds, "and"));
  } else {
    best->link_ratio = node.link_bandwidth / best->link_bandwidth;
    if (best->link == plan::NodeLink::kNvlinkPairs) {  // beyond a pair PCIe is the link, whatever joins the pairs
      for (std::size_t i = 1; i < best->usable_share.size(); ++i) best->usable_share[i] /= best->link_ratio;
    }
    const bool same = best->architecture == node.gpu.architecture && std::abs(best->link_ratio - 1) < 0.02;
    for (Source& source : best->link_sources) {
      if (!same) source = {"scaled by link bandwidth from " + source.text, false};
    }
  }
  ReadCrossing((std::filesystem::path(folder) / kCrossingFile).string(), *best);
  return *best;
}

std::string PrintLinkProfile(const CollectiveProfile& profile, const std::map<std::string, std::string>& sources) {
  std::ostringstream out;
  out.precision(4);
  out << "{\n  \"name\": " << Quoted(profile.name) << ",\n  \"link\": \""
      << kLinks[static_cast<std::size_t>(profile.link)] << "\",\n  \"architecture\": " << Quoted(profile.architecture)
      << ",\n  \"link_gb_per_s\": " << profile.link_bandwidth.value / kGiga
      << ",\n  \"mesh_gpus\": " << profile.mesh_gpus << ",\n  \"measured\": [";
  const char* separator = "";
  for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
    if (!profile.link_sources[kind].measured) continue;
    out << separator << Quoted(kKinds[kind]);
    separator = ", ";
  }
  out << "],\n  \"usable_share\": [";
  for (std::size_t i = 0; i < profile.usable_share.size(); ++i) out << (i ? ", " : "") << profile.usable_share[i];
  out << "],\n";
  for (int kind = 0; kind < kMeasuredKinds; ++kind) out << PrintForms(kKinds[kind], profile.forms[kind]);
  out << PrintForms("message", profile.message) << "  \"sources\": {";
  bool first = true;
  for (const auto& [key, text] : sources) {
    out << (first ? "\n    " : ",\n    ") << Quoted(key) << ": " << Quoted(text);
    first = false;
  }
  out << "\n  }\n}\n";
  return out.str();
}

}  // namespace isochrone::costmodel
