#include "costmodel/calibrate/link_profile_fit.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "base/error.h"

namespace isochrone::costmodel {

namespace {

constexpr int kMessages = kMeasuredKinds;  // index of messages after the kinds
const std::array<std::string, kMeasuredKinds + 1> kNames = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all",
                                                            "message"};

using SamplesByKind = std::array<std::vector<CollectiveSample>, kMeasuredKinds + 1>;

/// "FILE:3" as file and group.
std::pair<std::string, int> FileAndGroup(const std::string& table) {
  const std::size_t colon = table.rfind(':');
  if (colon == std::string::npos || colon + 2 != table.size()) return {table, 0};
  return {table.substr(0, colon), table.back() - '0'};
}

SamplesByKind ReadTables(const std::vector<std::string>& tables) {
  SamplesByKind by_kind;
  for (const std::string& table : tables) {
    const auto [file, group] = FileAndGroup(table);
    std::ifstream in(file);
    if (!in) throw Error(file, "cannot be read", "a table of measured collectives, decompressed");
    for (const CollectiveSample& sample : ReadCollectiveTable(in, file, group)) {
      if (group && sample.group != group) continue;
      by_kind[sample.message ? kMessages : static_cast<int>(sample.kind)].push_back(sample);
    }
  }
  return by_kind;
}

std::string FileNames(const std::vector<std::string>& tables) {
  std::string names;
  for (const std::string& table : tables) {
    names += (names.empty() ? "" : ", ") + std::filesystem::path(FileAndGroup(table).first).filename().string();
  }
  return names;
}

std::string Percent(double ratio) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * ratio);
  return text;
}

std::string Describe(const FitResidual& r) {
  if (r.count == 0) return "none";
  return "median " + Percent(r.median) + ", p90 " + Percent(r.ninth_decile) + " of " + std::to_string(r.count);
}

std::vector<CollectiveForm> Borrowed(const CollectiveProfile& base, int kind, double ratio) {
  std::vector<CollectiveForm> forms = kind == kMessages ? base.message : base.forms[kind];
  for (CollectiveForm& form : forms) form.bandwidth *= ratio;
  return forms;
}

}  // namespace

LinkFit FitLinkProfile(const LinkFitRequest& request) {
  const auto share = [&](int group) {
    return request.usable_share[std::min<std::size_t>(group - 2, request.usable_share.size() - 1)];
  };
  std::optional<CollectiveProfile> base;
  if (!request.base.empty()) base = ReadLinkProfile(request.base);
  const SamplesByKind samples = ReadTables(request.tables);
  CollectiveProfile profile;
  profile.name = request.name;
  profile.link = request.link;
  profile.architecture = request.architecture;
  profile.link_bandwidth = request.bandwidth;
  profile.mesh_gpus = request.mesh_gpus;
  profile.usable_share = request.usable_share;
  std::map<std::string, std::string> sources;
  LinkFit result;
  for (int kind = 0; kind <= kMessages; ++kind) {
    auto& forms = kind == kMessages ? profile.message : profile.forms[kind];
    if (samples[kind].empty()) {
      if (!base) throw Error(request.name, "has no table of " + kNames[kind], "such a table, or a base profile");
      forms = Borrowed(*base, kind, request.bandwidth / base->link_bandwidth);
      sources[kNames[kind]] = "not measured: " + base->name + " scaled by link bandwidth";
      continue;
    }
    profile.link_sources[kind].measured = true;
    const CollectiveFit fit = FitCollective(samples[kind], request.bandwidth, request.switch_reduce, share);
    forms = fit.forms;
    sources[kNames[kind]] =
        "fit; residual below 1 MiB: " + Describe(fit.small) + "; from 1 MiB: " + Describe(fit.large);
    result.report += kNames[kind] + ": " + sources[kNames[kind]] + "\n";
    for (const LeftOut& left : CrossValidate(samples[kind], request.bandwidth, request.switch_reduce, share)) {
      result.report += "  without groups of " + std::to_string(left.group) + ", predicting them: below 1 MiB " +
                       Describe(left.small) + "; from 1 MiB " + Describe(left.large) + "\n";
    }
  }
  if (!request.tables.empty()) sources["tables"] = FileNames(request.tables);
  sources["command"] = request.command;
  result.profile = PrintLinkProfile(profile, sources);
  return result;
}

}  // namespace isochrone::costmodel
