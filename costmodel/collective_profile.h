#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "base/units.h"
#include "costmodel/profile.h"
#include "plan/op.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

/// The way that a collective takes through the links of one NVLink domain (or PCIe tree).
enum class FormShape : std::uint8_t { kRing, kSwitchReduce, kDirect };

/// One algorithm with one protocol inside a node; collective.h has the formula that it enters.
struct CollectiveForm {
  std::string name;  // "ring_ll128", "nvls"
  FormShape shape = FormShape::kRing;
  Seconds latency;                 // of a call, before the first hop
  Seconds hop;                     // of each hop
  Seconds fill;                    // pipeline fill: see collective.h
  BytesPerSecond bandwidth;        // on the link, one direction, of a profile's own link
  BytesPerSecond local_bandwidth;  // of each rank's own part through its own memory
  int least_group = 2;             // smallest group that the library uses it for
};

/// One algorithm with one protocol for groups that span nodes.
struct CrossingForm {
  std::string name;
  bool tree = false;         // else ring
  Seconds latency;           // of a call
  Seconds hop, hop_between;  // inside a node, between nodes
  Seconds fill;
  double bandwidth_share = 1;  // of what ring_simple reaches: low-latency protocols carry flags
};

/// What NICs really carry: shares of their line rate for collectives and for one-to-one messages, by the NIC bandwidth
/// of a node over its GPUs.
struct NicShare {
  BytesPerSecond rate;  // a GPU
  double collective = 1, message = 1;
};

/// Kinds that have measured forms of their own inside a node.
inline constexpr int kMeasuredKinds = 4;  // all-reduce, all-gather, reduce-scatter, all-to-all

/// Constants of the collectives of one cluster: inside a node by link, between nodes by NIC. Immutable.
struct CollectiveProfile {
  std::string name;  // "nvlink3_nvswitch"
  plan::NodeLink link = plan::NodeLink::kNvswitch;
  std::string architecture;  // of the GPUs it was measured on
  BytesPerSecond link_bandwidth;
  int mesh_gpus = 0;  // GPUs of the mesh whose usable_share this is; 0: not a mesh
  std::array<std::vector<CollectiveForm>, kMeasuredKinds> forms;  // by CollectiveKind
  std::vector<CollectiveForm> message;                            // one GPU to another of its node
  std::vector<double> usable_share;  // of the link bandwidth, for groups of 2, 3, … GPUs; the last holds beyond

  std::vector<CrossingForm> crossing;
  std::vector<NicShare> nics;  // ascending by rate
  Seconds crossing_message;    // latency of one message between nodes
  Seconds crossing_peer;       // of each further peer of an all-to-all

  double link_ratio = 1;                                // this node's link over the profile's; bandwidths scale by it
  std::array<Source, kMeasuredKinds + 1> link_sources;  // by kind, then of messages
  Source crossing_source;
};

/// The profile for `node`: of the files of `folder` (scenarios/profiles/links) the one of its kind of link whose mesh
/// size, architecture and bandwidth, in this order, are nearest, and inter_node.json. A node of another bandwidth or
/// architecture than the profile's has bandwidths scaled by the links' ratio and counts as not measured. Throws Error
/// when no file has that kind of link, or a file is wrong.
CollectiveProfile ReadCollectiveProfile(const plan::Node& node, const std::string& folder);

/// Where the in-node price of `kind` comes from. Broadcasts borrow the forms of all-gathers and so are not measured.
Source LinkSource(const CollectiveProfile& profile, plan::CollectiveKind kind);

/// One file, bandwidths as measured. Throws Error on unknown or missing keys.
CollectiveProfile ReadLinkProfile(const std::string& path);

/// Adds what inter_node.json says to `profile`.
void ReadCrossing(const std::string& path, CollectiveProfile& profile);

/// The document that ReadLinkProfile reads back as the same profile; `sources` by what they speak of.
std::string PrintLinkProfile(const CollectiveProfile& profile, const std::map<std::string, std::string>& sources);

}  // namespace isochrone::costmodel
