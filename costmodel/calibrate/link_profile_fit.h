#pragma once

#include <string>
#include <vector>

#include "costmodel/calibrate/collective_fit.h"

namespace isochrone::costmodel {

/// What is known of a link before the fit, and the tables to fit it to.
struct LinkFitRequest {
  std::string name, architecture;
  plan::NodeLink link = plan::NodeLink::kNvswitch;
  BytesPerSecond bandwidth;    // of one GPU, one direction, by data sheet
  bool switch_reduce = false;  // the switch reduces (NVLink SHARP)
  int mesh_gpus = 0;           // of a mesh: how many GPUs it joins
  std::vector<double> usable_share{1};
  std::vector<std::string> tables;  // files; "FILE:3": the groups of 3 GPUs, where a table has others or does not say
  std::string base;                 // profile file whose constants, scaled, stand in for what no table measures
  std::string command = "costmodel_tests \"[fit-links]\"";  // that reproduces the fit
};

struct LinkFit {
  std::string profile;  // JSON that ReadLinkProfile reads
  std::string report;   // residuals by kind and size region, and with each group size left out
};

/// Fits every kind that the tables hold. Throws Error when a kind has neither samples nor a base, or a file is wrong.
LinkFit FitLinkProfile(const LinkFitRequest& request);

}  // namespace isochrone::costmodel
