// What entropy models are made of, in float64 and without gradients: products of tokens, GELU,
// depthwise convolutions, whole or of what is known so far.
//
// A token is the channels of a position, side by side. Results don't depend on the number of threads
// or of tokens; instruction sets differ by rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "token_kernels.hpp"

namespace kodec {

// x (rows, inputs) times weight (outputs, inputs); the rest as in ProductWork.
void token_product(const double *x, const double *weight, std::size_t rows, std::size_t inputs,
                   std::size_t outputs, const double *bias, bool curved, const double *plus,
                   double *out, std::size_t threads);

void token_gelu(const double *x, double *out, std::size_t count, std::size_t threads);

// x (tokens, channels) -> (tokens, 2 channels): log(1 + |x|), and the same with x's sign.
void token_magnitudes(const double *x, std::size_t tokens, std::size_t channels, double *out,
                      std::size_t threads);

// Zero-padded.
void depthwise(const DepthwiseWork &work, std::size_t threads);

// A grid of positions with `margin` rows and columns of zeros around it, (height + 2 margin,
// width + 2 margin, channels), known where the phase of a position is below `phase`: phases repeat
// in cells (cell, cell), row by row. The rest may hold anything.
struct KnownGrid {
  const double *values;
  std::size_t height, width, channels, margin;
  const std::int64_t *phases;
  std::size_t cell;
  std::int64_t phase;
};
// The sum over known positions in the window of side x side taps around each of `places` (row *
// width + column), out: (places, channels). taps: (side, side, channels).
void depthwise_of_known(const KnownGrid &grid, const std::int64_t *places, std::size_t count,
                        const double *taps, std::size_t side, const double *bias, double *out,
                        std::size_t threads);

}  // namespace kodec
