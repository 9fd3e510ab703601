#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "study/search/space.h"

namespace isochrone::study {

/// A sweep file that goes with its test.
struct SpaceFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      ("isochrone_space_" + std::to_string(::getpid()) + "_" + std::to_string(Next()) + ".json");
  ~SpaceFile() { std::filesystem::remove(path); }
  Space Read(const std::string& text) const {
    std::ofstream(path) << text;
    return ReadSpace(path.string());
  }

 private:
  static int Next() {
    static int next = 0;
    return next++;
  }
};

}  // namespace isochrone::study
