#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/units.h"

namespace isochrone::plan::collectives {

enum class Effect : std::uint8_t {
  kCopy,    // the receiver's blocks become the sender's
  kReduce,  // the sender's blocks are added to the receiver's
};

/// `src` sends its blocks [first_block, first_block + blocks) to `dst`. Ranks count within the group.
struct Message {
  int src = 0, dst = 0;
  int step = 0;  // messages of one step are independent of each other; steps only number them
  int first_block = 0, blocks = 1;
  Effect effect = Effect::kCopy;
};

/// A collective as messages: who sends which part of the buffer to whom, after which other messages.
///
/// The buffer is cut into equal blocks. A message carries what its sender holds when every message that it comes
/// after has arrived. Messages stand in an order in which they may be played: each after those that it comes after.
class StepList {
 public:
  StepList(int ranks, int blocks) : ranks_(ranks), blocks_(blocks) {}

  int Ranks() const { return ranks_; }
  int Blocks() const { return blocks_; }
  int Size() const { return static_cast<int>(messages_.size()); }
  int Steps() const;
  const Message& At(int i) const { return messages_[i]; }
  std::span<const int> After(int i) const { return {after_.data() + first_[i], after_.data() + first_[i + 1]}; }
  /// Bytes that message `i` carries where the whole buffer holds `size`.
  Bytes BytesOf(int i, Bytes size) const { return size * (static_cast<double>(messages_[i].blocks) / blocks_); }

  /// Appends a message and returns its index. `after` holds indices of earlier ones; -1 stands for none.
  int Add(const Message& message, std::span<const int> after);

 private:
  int ranks_, blocks_;
  std::vector<Message> messages_;
  std::vector<int> first_{0}, after_;  // CSR
};

}  // namespace isochrone::plan::collectives
