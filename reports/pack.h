#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace isochrone::reports {

/// Long lists as columns of base64 bytes, so that a page with 100,000 rows stays small and opens fast. All bytes are
/// little-endian. A column is one of
///
///   {"values": [...]}                                    as it is
///   {"dictionary": [...], "bits": 0|8|16, "data": ...}   an index into the dictionary per row; bits 0: all the same
///   {"float": 32|64, "data": ...}                        a number per row; NaN stands for null
///   {"varint": seconds, "delta": bool, "data": ...}      whole multiples of `varint`, zigzag LEB128; with `delta` each
///                                                        row adds to the one before
///
/// The page's other half is reports/web/src/columns.ts.

/// Up to this many configurations of a sweep, and spans of a timeline, reach the page; `omitted` counts the others.
inline constexpr std::size_t kMostConfigurations = 110'000;
inline constexpr std::size_t kMostSpans = 300'000;
/// Points of memory over time per stage; of more, each bucket of time keeps its least and greatest.
inline constexpr std::size_t kMostMemoryPoints = 1'000;

std::string Base64(std::string_view bytes);

/// A list of objects as {"rows": n, "columns": {...}, "omitted": n, "single_precision": bool}. Of more than `most` rows
/// the fastest half of `most` stays, and an even sample of the rest. Above 10,000 rows fractions are rounded to 24
/// bits.
nlohmann::json PackRows(const nlohmann::json& rows, std::size_t most);

/// A timeline's spans the same way, sorted by rank, stream, start; times in whole nanoseconds. Of more than `most`
/// spans every k-th rank stays, and the last.
nlohmann::json PackTimeline(const nlohmann::json& timeline, std::size_t most);

/// [{stage, time_s, bytes}] with `time_s` and `bytes` as 64-bit columns.
nlohmann::json PackMemoryOverTime(const nlohmann::json& stages);

}  // namespace isochrone::reports
