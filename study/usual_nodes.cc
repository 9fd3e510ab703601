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
                                                           {"a100_pcie_80gb", "a100_pcie_80gb_node"},
                                                           {"h100_sxm_80gb", "dgx_h100"},
                                                           {"h100_hbm2e_96gb", "grand_teton_h100_96gb"},
                                                           {"h800", "hgx_h800"},
                                                           {"h200_sxm", "hgx_h200"},
                                                           {"b200_sxm_180gb", "dgx_b200"},
                                                           {"b300_sxm", "dgx_b300"},
                                                           {"gb200", "gb200_nvl72"},
                                                           {"gb300", "gb300_nvl72"},
                                                           {"a6000", "a6000_node"}};
  return nodes;
}

const plan::Node& UsualNodeOf(const std::string& gpu, NodeCache& cache) {
  if (UsualNodes().count(gpu) == 0) {
    std::vector<std::string> known;
    for (const auto& [name, node] : UsualNodes()) known.push_back(name);
    const std::string near = Nearest(gpu, known);
    throw Error("gpu = " + gpu, "is not known",
                near.empty() ? "try " + JoinedWith(known, "or") : "did you mean \"" + near + "\"?");
  }
  auto found = cache.find(gpu);
  if (found == cache.end()) {
    found = cache.emplace(gpu, plan::ReadNode("hardware/" + UsualNodes().at(gpu) + ".json")).first;
  }
  return found->second;
}

}  // namespace isochrone::study
