#include "study/usual_nodes.h"

#include "base/error.h"
#include "base/json.h"

namespace isochrone::study {

const std::map<std::string, std::string>& UsualNodes() {
  static const std::map<std::string, std::string> nodes = {{"v100_sxm2_16gb", "dgx1_v100_16gb"},
                                                           {"v100_sxm2_32gb", "dgx1_v100_32gb"},
                                                           {"v100_sxm3_32gb", "dgx_2h"},
                                                           {"a100_sxm_40gb", "dgx_a100_40gb"},
                                                           {"a100_sxm_80gb", "dgx_a100_80gb"},
                                                           {"a100_pcie_40gb", "a100_pcie_40gb_node"},
                                                           {"a100_pcie_80gb", "a100_pcie_80gb_server"},
                                                           {"a100_pcie_80gb_pairwise_nvlink", "a100_pcie_80gb_node"},
                                                           {"h100_sxm_80gb", "dgx_h100"},
                                                           {"h100_hbm2e_96gb", "grand_teton_h100_96gb"},
                                                           {"h800", "hgx_h800"},
                                                           {"h200_sxm", "hgx_h200"},
                                                           {"b200_sxm_180gb", "dgx_b200"},
                                                           {"b300_sxm", "dgx_b300"},
                                                           {"gb200", "gb200_nvl72"},
                                                           {"gb300", "gb300_nvl72"},
                                                           {"a6000", "a6000_node"},
                                                           {"a800_sxm_80gb", "hgx_a800"},
                                                           {"h20", "hgx_h20"},
                                                           {"h100_pcie_80gb", "h100_pcie_80gb_server"},
                                                           {"l40s", "l40s_server"}};
  return nodes;
}

std::string UsualNameOf(const std::string& gpu) {
  if (UsualNodes().count(gpu) > 0) return gpu;
  std::string match;
  for (const auto& [name, node] : UsualNodes()) {
    if (!gpu.starts_with(name + "_") && !name.starts_with(gpu + "_")) continue;
    if (!match.empty()) return "";
    match = name;
  }
  return match;
}

const plan::Node& UsualNodeOf(const std::string& gpu, NodeCache& cache) {
  const std::string name = UsualNameOf(gpu);
  if (name.empty()) {
    std::vector<std::string> known;
    for (const auto& [one, node] : UsualNodes()) known.push_back(one);
    const std::string near = Nearest(gpu, known);
    throw Error("gpu = " + gpu, "is not known",
                near.empty() ? "try " + JoinedWith(known, "or") : "did you mean \"" + near + "\"?");
  }
  auto found = cache.find(name);
  if (found == cache.end()) {
    found = cache.emplace(name, plan::ReadNode("hardware/" + UsualNodes().at(name) + ".json")).first;
  }
  return found->second;
}

}  // namespace isochrone::study
