#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/inference/inference_scenario.h"

namespace isochrone::study {

/// One published measurement of generation, and the scenario that it measured.
struct InferenceRow {
  int line = 0;  // of the file, from 1
  std::string source;
  std::string
      key;  // "llama2_70b a100_sxm_80gb tp 2 pp 1 fp16 batch 8 prompt 512 output 128": what engines list as fitted
  std::optional<plan::InferenceScenario> scenario;  // none: `reason` says why the row cannot be expressed
  std::string reason;
  bool steady = false;    // the batch is a steady concurrency, and the first token's time holds queueing
  bool one_step = false;  // a lone step: of prompts where prompt > 0, else of decoding
  std::optional<double> first_token, per_token, step, total;  // measured, s
};

/// Reads a table in the schema of published generations (docs/inference.md): one measurement a row, fields as RFC 4180
/// quotes them. A row that cannot be expressed is returned with its reason; only a file that is no such table throws.
///
/// The replica is made of the usual node of the row's GPU. A prediction depends on the row's shapes, GPU, precision and
/// engine; never on `source`, `model` or the line.
///
/// What a row leaves open: precision "unstated" is bf16; a decode step whose cached context is not stated has
/// kUnstatedContext tokens in each sequence; the cache is as wide as activations, or fp8 where the engine keeps it so.
std::vector<InferenceRow> ReadInferenceRows(const std::string& path);

inline constexpr double kUnstatedContext = 1024;

}  // namespace isochrone::study
