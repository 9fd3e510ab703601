#pragma once

#include <string>

#include "study/search/space.h"
#include "tests/folder.h"

namespace isochrone::study {

/// A sweep file that goes with its test.
class SpaceFile {
  tests::Folder folder_;

 public:
  const std::string path = folder_ / "space.json";
  Space Read(const std::string& text) const { return ReadSpace(folder_.Write("space.json", text)); }
};

}  // namespace isochrone::study
