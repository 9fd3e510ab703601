#pragma once

#include <string>
#include <string_view>

namespace isochrone::reports {

/// SHA-256 of `bytes` as 64 hexadecimal letters. FIPS 180-4, by OpenSSL.
std::string Sha256(std::string_view bytes);

}  // namespace isochrone::reports
