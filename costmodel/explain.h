#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "costmodel/attention.h"
#include "costmodel/elementwise.h"
#include "costmodel/gemm.h"
#include "costmodel/profile.h"
#include "costmodel/recurrent.h"

namespace isochrone::costmodel {

/// One step of an explanation: a formula, the numbers put in, the result.
struct Term {
  std::string name;     // "tiles on tensor cores"
  std::string formula;  // "load (k/s step + prologue + tm tn output / epilogue)"
  std::string inputs;   // "tile 256 x 128, 576 tiles, 6 on the busiest multiprocessor"
  Seconds time;
  Source source;
};

/// Time of data on a link: a collective, a message, a transfer to the host.
struct LinkPrice {
  Seconds total;
  Bytes bytes;
  BytesPerSecond bandwidth;
  Seconds latency;
};

/// A price as terms that add up to its total. Of two limits that overlap the larger one is the term and the smaller one
/// is named in its inputs.
std::vector<Term> TermsOf(const GemmPrice& price, const Source& source);
std::vector<Term> TermsOf(const AttentionPrice& price, const Source& source);
std::vector<Term> TermsOf(const StreamPrice& price, const Source& source);
std::vector<Term> TermsOf(const MixedPrice& price, const Source& source);
std::vector<Term> TermsOf(const LinkPrice& price, const Source& source);

}  // namespace isochrone::costmodel
