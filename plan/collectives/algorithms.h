#pragma once

#include <array>
#include <vector>

#include "plan/collectives/step_list.h"

namespace isochrone::plan::collectives {

/// Each function lists the messages of one collective over `ranks`. Buffers, in blocks:
///
///   all-reduce      every rank starts with its own values of all blocks and ends with the sum over ranks of all
///   reduce-scatter  as all-reduce, but rank r ends with the sums of its own share [r, r+1) blocks / ranks only
///   all-gather      rank r starts with its own share and ends with all shares
///   all-to-all      block r ranks + q starts on rank r and ends on rank q
///   broadcast       rank 0 starts with all blocks, every rank ends with them
///
/// One rank needs no message.

/// 2 (ranks-1) steps of size / ranks.
/// Source  Patarasuk & Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69(2), 2009.
StepList RingAllReduce(int ranks);
StepList RingReduceScatter(int ranks);
StepList RingAllGather(int ranks);

/// Reduce-scatter rings inside each group of `per_group` consecutive ranks, all-reduce rings between ranks of the same
/// place in each group, all-gather rings inside the groups: 2 (g-1) steps of size / g and 2 (G-1) of size / (g G).
/// Requires  per_group divides ranks.
StepList HierarchicalAllReduce(int ranks, int per_group);
/// The reduce-scatter half: a ring inside each group, then one between the groups. Rank r = place + g group ends with
/// share `place G + group`, so the all-gather half starts with that.
StepList HierarchicalReduceScatter(int ranks, int per_group);
StepList HierarchicalAllGather(int ranks, int per_group);

/// Recursive vector halving, distance doubling, then the way back: 2 log2(ranks) steps. Beyond a power of two, the
/// last ranks first hand their values to the first ones and get the sums at the end.
/// Source  Thakur, Rabenseifner & Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19(1),
///         2005, section 4.5.
StepList HalvingDoublingAllReduce(int ranks);

/// Reduces `chunks` pieces one after the other up a tree and sends the sums back down, in a pipeline.
/// parent  of each rank; -1 for the root
StepList TreeAllReduce(const std::vector<int>& parent, int chunks);

/// Two trees, each for half of the buffer in `chunks` pieces; a rank that is inner in one is a leaf in the other, so
/// every rank sends and receives 2 size in all.
/// Source  Sanders, Speck & Traff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", Parallel
///         Computing 35(12), 2009; the trees are those of NCCL's src/graph/trees.cc.
StepList DoubleBinaryTreeAllReduce(int ranks, int chunks);
/// Parents in the first of the two trees.
std::vector<int> BinaryTree(int ranks);
/// Parents in both.
std::array<std::vector<int>, 2> DoubleBinaryTree(int ranks);

/// Step s: rank r sends to rank r + s. ranks - 1 steps of size / ranks.
/// `StepList::Blocks` counts the blocks of all ranks, so `BytesOf` takes ranks x the bytes that one rank holds.
StepList PairwiseAllToAll(int ranks);

/// Rank r passes each of `chunks` pieces on to rank r + 1 as soon as it has it: ranks + chunks - 2 steps.
StepList ChainBroadcast(int ranks, int chunks);

/// One message from rank 0 to rank 1.
StepList PointToPoint();

}  // namespace isochrone::plan::collectives
