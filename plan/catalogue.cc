#include "plan/catalogue.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "plan/scenario.h"

namespace isochrone::plan {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
constexpr const char* kShown = "scenarios/";  // the catalogue, in messages

bool Exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// "try models/gpt3_175b.json": the nearest file of the folder that the reference names.
std::string Suggestion(const fs::path& reference) {
  std::vector<std::string> present;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(CatalogueFolder()) / reference.parent_path(), ignored)) {
    present.push_back((reference.parent_path() / entry.path().filename()).generic_string());
  }
  std::sort(present.begin(), present.end());
  const std::string nearest = Nearest(reference.generic_string(), present);
  if (!nearest.empty()) return "did you mean " + nearest + "?";
  return "the catalogue has folders models, hardware, clusters, published, examples, inference and sweeps";
}

std::string WithoutPrefix(const std::string& reference) {
  return reference.starts_with(kShown) ? reference.substr(std::string(kShown).size()) : reference;
}

}  // namespace

std::string CatalogueFolder() {
  if (const char* folder = std::getenv("ISOCHRONE_CATALOGUE")) return folder;
  static const std::string of_program = [] {
    std::error_code ignored;
    const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
    const fs::path installed = program.parent_path().parent_path() / "share/isochrone/scenarios";
    return !program.empty() && Exists(installed) ? installed.string() : std::string(ISO_CATALOGUE);
  }();
  return of_program;
}

Found FindFile(const std::string& reference) {
  if (Exists(reference)) return {reference, reference};
  const std::string inside = WithoutPrefix(reference);
  const fs::path path = fs::path(CatalogueFolder()) / inside;
  if (!inside.empty() && fs::path(inside).is_relative() && Exists(path)) return {path.string(), kShown + inside};
  throw Error(reference, "no such file, here or in the catalogue", Suggestion(inside));
}

Found FindReference(const Json& reference, const Found& beside) {
  const std::string text = reference.String();
  if (text.empty()) reference.Fail("names no file", "write for example \"models/gpt3_175b.json\"");
  const fs::path near_path = fs::path(beside.path).parent_path() / text;
  if (Exists(near_path)) return {near_path.string(), (fs::path(beside.name).parent_path() / text).generic_string()};
  const std::string inside = WithoutPrefix(text);
  const fs::path path = fs::path(CatalogueFolder()) / inside;
  if (fs::path(inside).is_relative() && Exists(path)) return {path.string(), kShown + inside};
  reference.Fail("no such file next to " + beside.name + " or in the catalogue", Suggestion(inside));
}

Json ReadJson(const Found& file) { return Json::File(file.path, kMaxBytes, file.name); }
std::string ReadText(const Found& file) { return Json::FileText(file.path, kMaxBytes, file.name); }

}  // namespace isochrone::plan
