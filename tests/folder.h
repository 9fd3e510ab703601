#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace isochrone::tests {

/// An empty folder of a test's own, gone at its end. Tests run side by side, each in a process of its own: a name that
/// two of them could share is a test that fails on some days.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "isochrone_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error(name + ": cannot be made");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  /// The path of `name` in it, which need not exist.
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes `text` to `name`, making the folders on the way; returns its path.
  std::string Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
    return *this / name;
  }
  std::string Path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace isochrone::tests
