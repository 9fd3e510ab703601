#include "reports/digest.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace isochrone::reports {

std::string Sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  ISO_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  static constexpr char kLetters[] = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out += kLetters[digest[i] >> 4];
    out += kLetters[digest[i] & 15];
  }
  return out;
}

}  // namespace isochrone::reports
