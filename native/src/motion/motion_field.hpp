// What motion is: a vector for each cell of 8x8 pixels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "motion_kernels.hpp"

namespace kodec {

// Sides of pictures.
constexpr std::size_t kMostSide = 1 << 15;

// In quarters of a pixel: where a cell's prediction lies in the reference, seen from the cell.
struct MotionVector {
  std::int16_t down, right;
};
inline bool operator==(MotionVector a, MotionVector b) { return a.down == b.down && a.right == b.right; }
inline bool operator!=(MotionVector a, MotionVector b) { return !(a == b); }

// Blocks along a side.
inline std::size_t blocks_along(std::size_t side) { return (side + kBlock - 1) / kBlock; }

}  // namespace kodec
