#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/units.h"
#include "costmodel/collective_profile.h"
#include "plan/op.h"

namespace isochrone::costmodel {

/// One measured collective inside a node. `message`: one GPU to another, not a collective of `kind`.
struct CollectiveSample {
  plan::CollectiveKind kind = plan::CollectiveKind::kAllReduce;
  bool message = false;
  int group = 2;
  Bytes size;  // as plan::Collective::bytes
  Seconds time;
};

/// Reads one table of in-node measurements. Known by their header line:
///
///   framework,version,device,op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency   elements, ms; rows of
///       half only, because NVLink SHARP does not reduce 8-bit integers
///   size(B),count,type,time(ns),busbw(GB/s),…   bytes, ns; all-reduce of `group` GPUs, which the file's name tells
///   ,time_stats.all_reduce.min,…,size,collective,devices_per_node,max_devices_per_node   bytes, ms; medians; rows
///   whose
///       GPUs share a node
///   collective,group,bytes,seconds…   bytes, s: of `isochrone calibrate --device cuda`
/// Lines that start with # come before the header.
///
/// `name` is used in messages. Throws Error for another header or a value that is no number.
std::vector<CollectiveSample> ReadCollectiveTable(std::istream& in, const std::string& name, int group = 0);

/// Residuals ln(predicted / measured) of a set of samples, as the absolute relative error |predicted/measured - 1|.
struct FitResidual {
  int count = 0;
  double median = 0, ninth_decile = 0, worst = 0;
};

struct CollectiveFit {
  std::vector<CollectiveForm> forms;
  FitResidual small, large;  // below 1 MiB; from 1 MiB
};

/// Fits the forms of one kind to samples of that kind (or to messages): ring_ll, ring_ll128 and ring_simple — direct
/// for all-to-all and messages — and, where `switch_reduce`, nvls for all-reduces of at least 5 ranks.
///
/// Minimises Σ rho(ln(predicted / measured)) with rho(r) = 2 s^2 (sqrt(1 + (r/s)^2) - 1), s = 0.1, which forgives
/// switch-over points, by Levenberg-Marquardt on the logarithms of the constants. The minimum over forms is a soft one
/// whose exponent grows from 8 to 200, so that no form is lost early. Bandwidths stay below the link's.
///
/// share   usable share of the link by group size; see CollectiveProfile
CollectiveFit FitCollective(const std::vector<CollectiveSample>& samples, BytesPerSecond link, bool switch_reduce,
                            const std::function<double(int group)>& share);

/// Residuals of `forms` on `samples`, from `least` up to below `most` bytes.
FitResidual ResidualOf(const std::vector<CollectiveForm>& forms, const std::vector<CollectiveSample>& samples,
                       const std::function<double(int group)>& share, Bytes least, Bytes most);

/// Each group size left out in turn: residuals of what the rest of the samples predict for it, one entry a size.
struct LeftOut {
  int group = 0;
  FitResidual small, large;
};
std::vector<LeftOut> CrossValidate(const std::vector<CollectiveSample>& samples, BytesPerSecond link,
                                   bool switch_reduce, const std::function<double(int group)>& share);

}  // namespace isochrone::costmodel
