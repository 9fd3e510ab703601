#pragma once

#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "plan/scenario.h"

namespace isochrone::tests {

/// A folder that lives as long as a test.
class Folder {
 public:
  Folder() {
    static int made = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("isochrone_plan_" + std::to_string(::getpid()) + "_" + std::to_string(made++));
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string Path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// What `read` complains about, with the folder's name taken out.
template <class Read>
std::string Complaint(const Folder& folder, Read read) {
  try {
    read();
  } catch (const Error& error) {
    return Replaced(error.what(), folder.Path() + "/", "");
  }
  return "no complaint";
}

}  // namespace isochrone::tests
