#pragma once

#include <string>
#include <vector>

#include "plan/scenario.h"
#include "study/inference/packrat.h"

namespace isochrone::study {

/// How many instances of a model, of how many threads each, should answer batches on one machine.
struct InstancesScenario {
  std::string file, question;
  plan::Model model;
  plan::Cluster cluster;
  int threads = 1;                // of the machine
  std::vector<int> sizes;         // threads of an instance that may be; each divides `threads`
  std::vector<int> batches;       // that arrive
  std::vector<Instance> profile;  // measured; empty where the file names none
};

/// Reads a file with `"workload": "instances"`. Throws Error.
InstancesScenario ReadInstances(const std::string& path);

/// Reads a profile: lines "threads,batch,seconds" under that header; lines that begin with # say where it comes from.
/// Throws Error with file and line for whatever is damaged.
std::vector<Instance> ReadProfile(const std::string& path, const std::string& name);

/// The profile as ReadProfile reads it, `origin` in its first line.
std::string ProfileText(const std::vector<Instance>& profile, const std::string& origin);

/// Threads and batch of every point that answering the scenario needs: each size with each batch and its parts.
std::vector<Instance> PointsToMeasure(const InstancesScenario& scenario);

/// The machine cut into equal instances of `threads` threads, each with an equal part of the batch.
struct FixedSplit {
  int threads = 1;
  double seconds = 0;  // 0: the batch has fewer items than there are instances, or the profile lacks the part
};

/// One batch: what the programme chooses, against every fixed split.
struct InstancesChoice {
  int batch = 1;
  std::vector<Instance> chosen;
  double seconds = 0;             // of the slowest instance
  std::vector<FixedSplit> fixed;  // in the order of the scenario's sizes
};

struct InstancesAnswer {
  std::vector<InstancesChoice> choices;
  std::vector<double> gain;  // [size]: mean over the batches of fixed over chosen time, batches that the size can split
};

/// Requires  a profile
InstancesAnswer ChooseInstances(const InstancesScenario& scenario);

}  // namespace isochrone::study
