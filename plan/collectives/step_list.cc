#include "plan/collectives/step_list.h"

#include <algorithm>

#include "base/error.h"
#include "plan/collectives/step_builder.h"

namespace isochrone::plan::collectives {

int StepList::Steps() const {
  int last = -1;
  for (const Message& m : messages_) last = std::max(last, m.step);
  return last + 1;
}

int StepList::Add(const Message& message, std::span<const int> after) {
  ISO_CHECK(message.src != message.dst && message.src >= 0 && message.src < ranks_ && message.dst >= 0 &&
            message.dst < ranks_);
  ISO_CHECK(message.first_block >= 0 && message.blocks > 0 && message.first_block + message.blocks <= blocks_);
  for (const int earlier : after) {
    ISO_CHECK(earlier < Size());
    if (earlier >= 0) after_.push_back(earlier);
  }
  messages_.push_back(message);
  first_.push_back(static_cast<int>(after_.size()));
  return Size() - 1;
}

void StepBuilder::Send(int src, int dst, int first_block, int blocks, Effect effect) {
  const int after[] = {sent_[src], received_[src]};
  list_.Add({src, dst, step_, first_block, blocks, effect}, after);
}

void StepBuilder::EndStep() {
  for (int i = first_of_step_; i < list_.Size(); ++i) {
    sent_[list_.At(i).src] = i;
    received_[list_.At(i).dst] = i;
  }
  first_of_step_ = list_.Size();
  ++step_;
}

}  // namespace isochrone::plan::collectives
