#pragma once

#include <vector>

#include "base/units.h"
#include "costmodel/collective_profile.h"
#include "plan/layout.h"
#include "plan/op.h"
#include "plan/scenario.h"

namespace isochrone::costmodel {

struct Term;

/// Time of a collective over a group of n ranks: of the forms that the library may choose from, the one it takes for
/// the fastest.
///
/// Inside a node, for each form (algorithm and protocol):
///
///   t = latency + hops hop + x + local / local_bandwidth + 2 sqrt(fill x),   x = wire / (bandwidth share ratio)
///
///                    hops     wire (bytes over one link)   local (bytes through a rank's own memory)
///   ring all-reduce  2(n-1)   2(n-1)/n size                size
///   ring all-gather, reduce-scatter
///                    n-1      (n-1)/n size                 size/n
///   ring broadcast   n-1      size                         0
///   switch reduce    1        (1 + 1/n) size               0             (all-reduce by NVLink SHARP)
///   direct           n-1      (n-1)/n size imbalance       size/n        (all-to-all)
///
/// size    plan::Collective::bytes; n ranks; 1 costs nothing
/// share   usable_share of the group size (meshes give small groups few links), ratio: link_ratio of the profile
/// fill    a message cut into k chunks over d hops takes (k + d) chunk times; with the best k the excess over x is
///         2 sqrt(fill x), fill = d times the cost of starting a chunk
///
/// Between nodes (N of them, p ranks in each):
///
///   t = latency + hops hop + hops_between hop_between + x + 2 sqrt(fill x),   x = max(inside, wire / nic_group) /
///   share
///
///                    hops        hops_between    wire
///   ring all-reduce  2(n-N)      2(N-1)          2(n-1)/n size
///   ring all-gather, reduce-scatter, broadcast: half of it; broadcast's wire is size
///   tree all-reduce  2(p-1)      2 ceil(log2 N)  2(N-1)/N size; 1.85 size when the library chooses
///
///   nic_group = min(nics / sharing, p max(1, nics / gpus)) nic_bandwidth efficiency
///
/// efficiency  by nics nic_bandwidth / gpus: see NicShare
/// inside  time of the wire bytes on the in-node links by the profile's widest ring; 0 where p = 1
/// tree    a double binary tree: N-1 edges carry half of the data up and down in each of two trees, so that the mean
///         node sends 2(N-1)/N of it. NCCL's tuner takes 2, and so prefers rings for large sizes even where the tree is
///         faster: the form is chosen by that belief, then priced
/// All-to-all between nodes: the share (n-p)/n of each rank's bytes leaves by the NICs, over the fabric's
/// oversubscription, beside the part that stays inside; each peer costs a message.
///
/// Source  Hu et al., "Demystifying NCCL", arXiv 2507.04786, for forms; NCCL src/graph/tuning.cc for hop counts;
///         Sanders, Speck & Träff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", 2009;
///         Thakur, Rabenseifner & Gropp, IJHPCA 19(1), 2005, for ring costs. The constants are fitted: see the profile.
/// Groups inside a node do not slow each other (exact for a switch), but where cards on two sockets talk over PCIe:
/// groups that reach from one to the other share what a group of the whole node gets.
/// Assumes rings cross each leaf switch once, so that oversubscription touches all-to-all and messages only.
/// Allocates nothing. Throws nothing.
Seconds CollectiveTime(const CollectiveProfile& profile, const plan::Cluster& cluster, plan::GroupShape group,
                       plan::CollectiveKind kind, Bytes size, double imbalance = 1);

/// The same number: the chosen form, its parts and where the constants come from.
std::vector<Term> ExplainCollective(const CollectiveProfile& profile, const plan::Cluster& cluster,
                                    plan::GroupShape group, plan::CollectiveKind kind, Bytes size,
                                    double imbalance = 1);

/// Where a message runs. `senders`: GPUs of a node that send over its NICs at once.
struct MessagePath {
  bool crosses_nodes = false;
  int senders = 1;
};

/// One message from a GPU to another.
///
///   inside a node   latency + x + 2 sqrt(fill x),   x = size / (bandwidth share(2) ratio)
///   between nodes   latency + size oversubscription / min(nics / senders, max(1, nics / gpus)) nic_bandwidth
///   efficiency
Seconds PointToPointTime(const CollectiveProfile& profile, const plan::Cluster& cluster, MessagePath path, Bytes size);
std::vector<Term> ExplainMessage(const CollectiveProfile& profile, const plan::Cluster& cluster, MessagePath path,
                                 Bytes size);

/// A pipeline message of `size` bytes that each of `tensor` ranks holds whole. Without scattering each rank sends all
/// of it to its own peer; with it, each sends 1/tensor and the receivers gather over their node's links.
///
/// Source  Narayanan et al., arXiv 2104.04473, section 4.1 (scatter/gather optimisation).
Seconds PipelineMessageTime(const CollectiveProfile& profile, const plan::Cluster& cluster, MessagePath path,
                            Bytes size, int tensor, bool scatter);

/// What a group that spans nodes gets of the NICs of one node, one direction.
BytesPerSecond GroupNicBandwidth(const CollectiveProfile& profile, const plan::Node& node,
                                 const plan::GroupShape& group);

/// Hops and bytes of one in-node form; the table above.
struct FormWork {
  double hops = 0, wire = 0, local = 0;
};
FormWork WorkOf(FormShape shape, plan::CollectiveKind kind, int n, double size, double imbalance);
/// Seconds of one in-node form with `ratio` of its bandwidth.
double FormTime(const CollectiveForm& form, const FormWork& work, double ratio);

}  // namespace isochrone::costmodel
