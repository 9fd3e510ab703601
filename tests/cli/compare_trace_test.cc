// `compare --trace`: a recording that PyTorch really made, from the command line.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace isochrone::cli;
using nlohmann::json;

namespace {

const std::string kFolder = "tests/golden/torch_trace/";
const std::string kCompare = "compare " + kFolder + "scenario.json --map " + kFolder + "map.json --trace ";

}  // namespace

TEST_CASE("a step that PyTorch recorded is printed group by group, largest difference first", "[traces]") {
  const Done done = Isochrone(kCompare + kFolder + "trace.json");
  INFO(done.out);
  REQUIRE(done.status == 0);
  for (const char* group : {"products forward", "products backward", "attention", "optimizer", "loss", "elementwise"})
    CHECK(done.out.find(group) != std::string::npos);
  CHECK(done.out.find("(median of 2)") != std::string::npos);
  const json answer = json::parse(Isochrone(kCompare + kFolder + "trace.json --json").out);
  REQUIRE(answer["operations"].size() == 6);
  const auto difference = [&](std::size_t i) {
    const json& group = answer["operations"][i];
    return std::abs(group["measured_s"].get<double>() - group["predicted_s"].get<double>());
  };
  for (std::size_t i = 1; i < 6; ++i) CHECK(difference(i) <= difference(i - 1));
}

TEST_CASE("a compressed recording is refused with what to do", "[traces]") {
  const isochrone::tests::Folder folder;
  std::ofstream(folder / "trace.json.gz") << "\x1f\x8b and what follows";
  const Done done = Isochrone(kCompare + (folder / "trace.json.gz"));
  CHECK(done.status == 1);
  CHECK(done.out.find("is compressed\n  unpack it: gunzip ") != std::string::npos);
}
