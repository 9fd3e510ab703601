// Hidden: renders what the page's tests ask for. ISO_RENDER names a file with one "OUT IN IN …" a line.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "reports/report.h"

using namespace isochrone::reports;

namespace {

std::string ContentOf(const std::string& path) {
  std::ifstream file(path);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("the pages that the browser opens are rendered", "[.render]") {
  const char* list = std::getenv("ISO_RENDER");
  REQUIRE(list != nullptr);
  std::istringstream lines(ContentOf(list));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string out, in;
    words >> out;
    std::vector<Input> inputs;
    while (words >> in) inputs.push_back({in.substr(in.rfind('/') + 1), ContentOf(in)});
    std::ofstream(out) << RenderReport(inputs, FormatOf(out),
                                       {"", "isochrone report --out " + out.substr(out.rfind('/') + 1)});
  }
}
