#pragma once

#include <string>

#include "base/error.h"
#include "plan/scenario.h"
#include "tests/folder.h"

namespace isochrone::tests {

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
