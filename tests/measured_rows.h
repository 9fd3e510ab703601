#pragma once

#include <filesystem>
#include <string>

namespace isochrone::tests {

/// reference/training_rows.json of the folder `shared` beside the source tree or one above it; empty if there is none.
inline std::string RowsFile() {
  for (auto folder = std::filesystem::absolute(ISO_SOURCE_DIR).lexically_normal(); folder != folder.root_path();
       folder = folder.parent_path()) {
    const auto file = folder.parent_path() / "shared" / "reference" / "training_rows.json";
    if (std::filesystem::exists(file)) return file.string();
  }
  return "";
}

}  // namespace isochrone::tests
