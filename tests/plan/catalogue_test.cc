#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/json.h"
#include "plan/scenario.h"

using namespace isochrone;
using namespace isochrone::plan;

namespace {

std::vector<std::string> FilesOf(const std::string& folder) {
  std::vector<std::string> files;
  const std::filesystem::path root = std::string(ISO_SOURCE_DIR) + "/scenarios";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
    if (!entry.is_directory()) files.push_back(std::filesystem::relative(entry.path(), root).string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Json Open(const std::string& file) { return Json::File(CatalogueFolder() + "/" + file); }

bool IsGpu(const std::string& file) { return Open(file).Has("architecture"); }

/// Keys that "sources" covers; one entry may name several, separated by commas.
std::set<std::string> Sourced(const Json& file) {
  std::set<std::string> keys;
  for (const std::string& entry : file.At("sources").Keys()) {
    std::stringstream list(entry);
    for (std::string key; std::getline(list, key, ',');) keys.insert(key.substr(key.find_first_not_of(' ')));
  }
  return keys;
}

/// Keys with a number, or with an object that holds one.
std::set<std::string> Numbers(const Json& file) {
  std::set<std::string> keys;
  for (const std::string& key : file.Keys()) {
    if (key == "sources") continue;
    if (file.At(key).IsNumber() || file.At(key).IsObject()) keys.insert(key);
  }
  return keys;
}

}  // namespace

TEST_CASE("every file of the catalogue is read, and is named as it names itself", "[catalogue]") {
  for (const std::string& file : FilesOf("models")) CHECK("models/" + ReadModel(file).name + ".json" == file);
  for (const std::string& file : FilesOf("hardware")) {
    CHECK("hardware/" + (IsGpu(file) ? ReadGpu(file).name : ReadNode(file).name) + ".json" == file);
  }
  for (const std::string& file : FilesOf("clusters")) CHECK(ReadCluster(file).Gpus() > 0);
  for (const std::string& file : FilesOf("examples")) CHECK_FALSE(ReadScenario(file).question.empty());
}

TEST_CASE("every number of models, hardware and clusters has a source, and every source a number", "[catalogue]") {
  for (const char* folder : {"models", "hardware", "clusters"}) {
    for (const std::string& file : FilesOf(folder)) {
      INFO(file);
      std::set<std::string> sourced = Sourced(Open(file));
      sourced.erase("pattern");  // the only sourced text
      CHECK(sourced == Numbers(Open(file)));
    }
  }
}

TEST_CASE("published scenarios have a step time, a source and no idle GPU", "[catalogue]") {
  for (const std::string& file : FilesOf("published")) {
    INFO(file);
    const Scenario s = ReadScenario(file);
    REQUIRE(s.published);
    CHECK(s.published->step_time->value > 0);
    CHECK(s.published->source.find("arXiv:") != std::string::npos);
    CHECK(LayoutOf(s).World() == s.cluster.Gpus());
  }
}

TEST_CASE("the eight rows of arXiv 2205.05198, Table 5, and the ten of 2104.04473, Table 1, are there", "[catalogue]") {
  const auto files = FilesOf("published");
  const auto starting = [&](const std::string& prefix) {
    return std::count_if(files.begin(), files.end(), [&](const std::string& f) { return f.starts_with(prefix); });
  };
  CHECK(starting("published/korthikanti_") == 8);
  CHECK(starting("published/sc21_") == 10);
}

TEST_CASE("rates of a GPU follow from one another", "[catalogue]") {
  for (const std::string& file : FilesOf("hardware")) {
    if (!IsGpu(file)) continue;
    INFO(file);
    const Gpu gpu = ReadGpu(file);
    CHECK(ReadGpu(gpu.name).name == gpu.name);
    if (gpu.architecture == "cpu" || gpu.fp16.value == 0) continue;  // no matrix units: narrow formats are not faster
    CHECK(gpu.fp16.value >= 2 * gpu.tf32.value * 0.99);
    if (gpu.bf16.value > 0) CHECK(gpu.bf16 == gpu.fp16);
    if (gpu.fp8.value > 0) CHECK(gpu.fp8 / gpu.fp16 == Approx(2).epsilon(1e-3));
    CHECK(gpu.fp32.value < gpu.fp16.value);
  }
}

TEST_CASE("network and NVLink of the usual nodes", "[catalogue]") {
  CHECK(ReadNode("hardware/dgx_a100_80gb.json").InterNode().value == 200e9);
  CHECK(ReadNode("hardware/dgx_h100.json").InterNode().value == 400e9);
  CHECK(ReadNode("hardware/dgx_h100.json").link_bandwidth.value == 450e9);
  CHECK(ReadNode("hardware/jean_zay_a100_node.json").InterNode().value == 50e9);
  const Node rack = ReadNode("hardware/gb200_nvl72.json");
  CHECK(rack.domain_gpus == 72);
  CHECK(rack.InterDomain().value == 72 * 50e9);
}
