#pragma once

#include <array>
#include <string>

#include "study/predict.h"

namespace isochrone::study {

/// Rules by which a model's shape costs time on a GPU.
/// Source  Anthony et al., "The Case for Co-Designing Model Architectures with Hardware", arXiv 2401.14489, section VI.
enum class ShapeRule { kHeadSize, kAlignment, kTile, kWave, kPipeline, kSize };
inline constexpr std::size_t kShapeRules = 6;
const char* NameOf(ShapeRule rule);
const char* MeaningOf(ShapeRule rule);

/// Seconds of a step that each rule costs on the reported rank.
///
///   head size   attention kernels less the same work in heads of 128: t(D) - t(128), heads A D / 128
///   alignment   t (1 - a), a the factor of costmodel::AlignmentOf
///   tile        t a (1 - e), e = m n / (⌈m/tm⌉ tm ⌈n/tn⌉ tn)
///   wave        t a e (1 - w), w = u / load, u tiles a multiprocessor, load what the busiest works through
///   pipeline    bubble: layers that do not divide, microbatches too few or too long
///   size        what is left: time that does not shrink with the shape (launches, communication, maps)
///
/// t is a product's time in the step. Sizes: plan/op.h; tiles: costmodel/gemm.h.
using ShapeLosses = std::array<double, kShapeRules>;
ShapeLosses LossesOf(const Prediction& prediction);

}  // namespace isochrone::study
