#include "costmodel/profile.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "tests/folder.h"

using isochrone::Error;
using namespace isochrone::costmodel;
namespace plan = isochrone::plan;
namespace tests = isochrone::tests;

namespace {

std::string Profiles() { return std::string(ISO_SOURCE_DIR) + "/scenarios/profiles"; }

std::string Text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("every profile of the catalogue is named after its file and says where each curve comes from", "[profile]") {
  int profiles = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Profiles())) {
    if (entry.is_directory()) continue;  // links/: collective_profile.h
    INFO(entry.path());
    const EfficiencyProfile profile = ReadProfile(entry.path().string());
    CHECK(profile.name == entry.path().stem().string());
    for (const auto& [dtype, curve] : profile.gemm) CHECK(curve.source.text.size() > 6);
    CHECK(profile.attention_forward.source.text.size() > 6);
    CHECK(profile.attention_backward.source.text.size() > 6);
    CHECK(profile.memory.source.text.size() > 6);
    ++profiles;
  }
  CHECK(profiles >= 2);
}

TEST_CASE("a profile reads back as it was printed", "[profile]") {
  const std::string first = Print(ReadProfile(Profiles() + "/a100_sxm_80gb.json"));
  const tests::Folder folder;
  CHECK(Print(ReadProfile(folder.Write("p.json", first))) == first);
}

TEST_CASE("a profile with a misspelt constant is refused", "[profile]") {
  std::string text = Text(Profiles() + "/a100_sxm_80gb.json");
  text.replace(text.find("sharpness"), 9, "sharpnes");
  const tests::Folder folder;
  const std::string path = folder.Write("p.json", text);
  REQUIRE_THROWS_AS(ReadProfile(path), Error);
  try {
    ReadProfile(path);
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find("did you mean \"sharpness\"?") != std::string::npos);
  }
}

TEST_CASE("a format that the hardware lacks runs at the next wider one's rate", "[profile]") {
  plan::Gpu gpu;
  gpu.fp32 = isochrone::FlopsPerSecond(10), gpu.fp16 = gpu.bf16 = isochrone::FlopsPerSecond(100);
  CHECK(PeakRate(gpu, plan::Dtype::kFp8).value == 100);
  CHECK(PeakRate(gpu, plan::Dtype::kNvfp4).value == 100);
  CHECK(PeakRate(gpu, plan::Dtype::kTf32).value == 10);
  gpu.fp8 = isochrone::FlopsPerSecond(200);
  CHECK(PeakRate(gpu, plan::Dtype::kNvfp4).value == 200);
}

TEST_CASE("a format without a curve borrows one and says so; fp16 and bf16 are one", "[profile]") {
  const EfficiencyProfile profile = ReadProfile(Profiles() + "/a100_sxm_80gb.json");
  CHECK(SourceOf(profile, plan::Dtype::kFp16).measured);
  CHECK_FALSE(SourceOf(profile, plan::Dtype::kTf32).measured);
  CHECK(SourceOf(profile, plan::Dtype::kTf32).text.find("tf32 not measured: data sheet times the fractions of bf16") ==
        0);
}
