#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "executor/clock.h"
#include "kernels/adamw.h"
#include "plan/op.h"

namespace isochrone::executor {

/// Fills `tokens` (S + 1) of one sequence of one step: what is read, and one more to be guessed.
using TokenSource = std::function<void(std::int64_t step, std::int64_t sequence, std::span<std::int32_t> tokens)>;

/// Uniform tokens from a counter-based generator.
TokenSource RandomTokens(std::uint64_t seed, std::int64_t vocabulary);
/// Windows of a text, byte by byte, at places that step and sequence determine. Throws Error if the text is shorter
/// than a sequence.
TokenSource TextTokens(std::uint64_t seed, const std::string& text, std::int64_t sequence_length);

struct RunOptions {
  ClockKind clock = ClockKind::kVirtual;
  int threads = 1;  // of each rank; several need the wall clock
  int steps = 3;
  std::uint64_t seed = 1;
  TokenSource tokens;
  kernels::AdamWOptions adam;
  double clip_norm = 1;           // 0: no clipping
  double memory_limit_bytes = 0;  // of a rank; 0: none
  double timeout_s = 30;          // without any progress
  bool keep_tensors = false;      // return gradients and parameters in full
  bool take_turns = false;        // ranks meet after every task, as stages of a pipeline wait for each other
  const std::atomic<bool>* interrupted = nullptr;
  /// Time of a simulated cluster (SimGrid's SMPI), in seconds, whose MPI runs the processes: the wall clock shows it
  /// and waits block, since time stands still for who polls. Null: time passes by itself.
  double (*simulated_time)() = nullptr;
  /// Initial weight of element `index` of the full parameter `key`, in place of seeded ones.
  std::function<double(const std::string& key, std::int64_t index)> initial;
  /// Called before every op of a layer, by the rank's thread: (rank, step, op). A test stops or slows a rank here.
  std::function<void(int, int, const plan::Op&)> before_op;
};

}  // namespace isochrone::executor
