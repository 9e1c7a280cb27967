// Prediction of pictures from references and vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "motion_field.hpp"

namespace kodec {

struct Planes {
  std::size_t count, height, width;
};

// out: the reference's planes, moved. One vector for each cell of 8 or 16 pixels, row by row, in whole
// blocks of 16; any vector will do, as the border goes on without end. Where `overlap`, a cell's
// prediction reaches half a cell into its neighbours and fades there ("Overlapped block motion
// compensation: an estimation-theoretic approach", 1994). Throws InvalidInputError, and as kernels() does.
void compensate(const std::uint8_t *reference, const Planes &planes, const MotionVector *vectors,
                std::size_t cell, bool overlap, std::size_t threads, std::uint8_t *out);

}  // namespace kodec
