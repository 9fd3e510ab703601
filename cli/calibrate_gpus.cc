#include "cli/calibrate_gpus.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cli/inputs.h"
#include "cli/today.h"
#include "costmodel/calibrate/link_profile_fit.h"
#include "costmodel/communication.h"

namespace isochrone::cli {
namespace {

using executor::cuda::GpuTimings;

/// "h100" of "h100.json".
std::string Stem(const std::string& path) { return path.ends_with(".json") ? path.substr(0, path.size() - 5) : path; }

void AddOverlap(const GpuTimings& timings, const std::string& date, costmodel::EfficiencyProfile& profile) {
  if (timings.overlaps.empty()) return;
  const auto& widest = *std::max_element(timings.overlaps.begin(), timings.overlaps.end(),
                                         [](const auto& a, const auto& b) { return a.group < b.group; });
  profile.overlap = {
      widest.compute,
      widest.communication,
      {"measured on " + date + ": products beside all-reduces of " + HumanBytes(isochrone::Bytes(widest.bytes)) +
           " over " + std::to_string(widest.group) + " GPUs",
       true}};
}

costmodel::LinkFitRequest LinkRequest(const plan::Node& node, const GpuCalibration& asked, const std::string& table) {
  costmodel::LinkFitRequest request;
  const auto like = costmodel::CollectiveProfileOf(node);
  request.name = node.name;
  request.architecture = node.gpu.architecture;
  request.link = node.link;
  request.bandwidth = node.link_bandwidth;
  request.switch_reduce = node.link == plan::NodeLink::kNvswitch &&
                          (node.gpu.architecture == "hopper" || node.gpu.architecture == "blackwell");
  request.mesh_gpus = like->mesh_gpus;
  request.usable_share = like->usable_share;
  request.tables = {table};
  request.command = asked.command;
  return request;
}

}  // namespace

GpuCalibrated CalibrateFrom(const GpuTimings& timings, const GpuCalibration& asked) {
  const std::string stem = Stem(asked.out), date = Today();
  GpuCalibrated done;
  done.kernels = stem + ".kernels.csv";
  WriteFile(done.kernels, KernelTable(timings, date, asked.command));
  costmodel::CalibrationRequest request;
  request.gpu = plan::ReadGpu(asked.gpu);
  request.start = *costmodel::ProfileOf(request.gpu);
  request.command = asked.command;
  request.date = date;
  request.folds = asked.folds;
  request.most_samples = asked.most_samples;
  request.tables = {costmodel::ReadSamples(done.kernels)};
  for (const std::string& table : asked.tables) request.tables.push_back(costmodel::ReadSamples(table));
  done.report = costmodel::Calibrate(request);
  AddOverlap(timings, date, done.report.profile);
  WriteFile(asked.out, costmodel::Print(done.report.profile));
  if (timings.collectives.empty()) return done;
  done.links_table = stem + ".links.csv";
  WriteFile(done.links_table, CollectiveTable(timings, date, asked.command));
  if (asked.node.empty()) return done;
  const costmodel::LinkFit fit =
      costmodel::FitLinkProfile(LinkRequest(plan::ReadNode(asked.node), asked, done.links_table));
  done.links_profile = stem + ".links.json";
  done.links_report = fit.report;
  WriteFile(done.links_profile, fit.profile);
  return done;
}

std::string Print(const GpuTimings& timings, const GpuCalibrated& calibrated) {
  std::string text = std::to_string(timings.gpus) + " x " + timings.device.name + ", driver " + timings.device.driver +
                     ", NCCL " + timings.device.nccl + "\n";
  for (const auto& [what, state] : timings.states) text += "clocks during " + what + ": " + Text(state) + "\n";
  text += "launch floor: " + HumanTime(Seconds(timings.launch_s)) + "\n\n" + costmodel::Print(calibrated.report);
  for (const auto& overlap : timings.overlaps) {
    text += "beside each other on " + std::to_string(overlap.group) + " GPUs: products take " +
            ThreeDigits(overlap.compute) + " times, all-reduces " + ThreeDigits(overlap.communication) +
            " times as long\n";
  }
  if (!calibrated.links_report.empty()) text += "\nlinks\n" + calibrated.links_report;
  text += "\nwritten: the profile, " + calibrated.kernels;
  for (const std::string& file : {calibrated.links_table, calibrated.links_profile})
    if (!file.empty()) text += ", " + file;
  return text + "\n";
}

}  // namespace isochrone::cli
