#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "costmodel/calibrate/link_profile_fit.h"

using namespace isochrone;
using namespace isochrone::costmodel;
using plan::NodeLink;

namespace {

const std::string kFolder = std::string(ISO_SOURCE_DIR) + "/scenarios/profiles/links/";

/// What the catalogue's link profiles are fitted to. `tables`: the published tables, decompressed into one folder.
std::vector<LinkFitRequest> KnownLinks(const std::string& tables) {
  const auto gb = [](double value) { return BytesPerSecond(value * kGiga); };
  const auto nccl = [&](const std::string& name) { return tables + name + "_nccl_perf.csv"; };
  const std::string pairs = tables + "a100_pairwise_nvlink_all_reduce.csv";
  std::vector<std::string> volta;
  for (int n = 2; n <= 8; ++n) {
    volta.push_back(tables + "v100_AR_GPU" + std::to_string(n) + "_1M_1024M_LUT.txt:" + std::to_string(n));
  }
  const std::string a100 = kFolder + "nvlink3_nvswitch.json", h100 = kFolder + "nvlink4_nvswitch.json";
  return {{"nvlink3_nvswitch",
           "ampere",
           NodeLink::kNvswitch,
           gb(300),
           false,
           0,
           {1},
           {nccl("a100_sxm_comm_nccl_2.27.3"), tables + "a100_dgx_send_recv.csv"},
           ""},
          {"nvlink4_nvswitch",
           "hopper",
           NodeLink::kNvswitch,
           gb(450),
           true,
           0,
           {1},
           {nccl("h100_sxm_comm_nccl_2.29.2"), nccl("h200_sxm_comm_nccl_2.29.2"), tables + "h100_dgx_send_recv.csv"},
           ""},
          {"nvlink5_nvswitch",
           "blackwell",
           NodeLink::kNvswitch,
           gb(900),
           true,
           0,
           {1},
           {nccl("b200_sxm_comm_nccl_2.29.2"), nccl("b300_sxm_comm_nccl_2.29.2"), nccl("gb200_comm_nccl_2.29.2"),
            nccl("gb300_comm_nccl_2.29.2")},
           h100},
          {"nvlink2_mesh",
           "volta",
           NodeLink::kNvlinkMesh,
           gb(150),
           false,
           8,
           {.168, .335, .635, .276, .340, .647, 1},
           volta,
           a100},
          {"nvlink3_pairs", "ampere", NodeLink::kNvlinkPairs, gb(300), false, 0, {1, .085}, {pairs}, a100},
          {"nvlink3_mesh", "ampere", NodeLink::kNvlinkMesh, gb(300), false, 4, {1 / 3.0, 2 / 3.0, 1}, {}, a100}};
}

std::string ContentOf(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("what no table measures is borrowed from the base, scaled, and says so", "[collective]") {
  const LinkFitRequest request{"half",
                               "ampere",
                               NodeLink::kNvswitch,
                               BytesPerSecond(150e9),
                               false,
                               0,
                               {1},
                               {},
                               kFolder + "nvlink3_nvswitch.json"};
  const LinkFit fit = FitLinkProfile(request);
  CHECK(fit.profile.find("not measured: nvlink3_nvswitch scaled by link bandwidth") != std::string::npos);
  CHECK(fit.profile.find("\"measured\": []") != std::string::npos);
  LinkFitRequest alone = request;
  alone.base = "";
  CHECK_THROWS_AS(FitLinkProfile(alone), Error);
}

// ISOCHRONE_TABLES=FOLDER/ costmodel_tests "[fit-links]" fits again and prints residuals; with ISOCHRONE_WRITE=1 it
// rewrites the profiles, else they must be what the fit gives.
TEST_CASE("the catalogue's link profiles are what the fit gives", "[.fit-links]") {
  const char* tables = std::getenv("ISOCHRONE_TABLES");
  if (!tables) FAIL("set ISOCHRONE_TABLES to the folder of decompressed tables, with a / at its end");
  for (const LinkFitRequest& request : KnownLinks(tables)) {
    const LinkFit fit = FitLinkProfile(request);
    std::cout << request.name << "\n" << fit.report;
    const std::string file = kFolder + request.name + ".json";
    if (std::getenv("ISOCHRONE_WRITE")) std::ofstream(file) << fit.profile;
    CHECK(fit.profile == ContentOf(file));
  }
}
