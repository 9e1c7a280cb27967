// What fitted pictures are made of, with gradients: networks at each position, context models of
// grids, learned upsampling, small convolutions, soft rounding; all in float32.
//
// Planes lie one behind the other: (channels, height, width). Partial sums are the same, and added
// in the same order, whatever the number of threads; instruction sets differ by rounding.
#pragma once

#include <cstddef>
#include <vector>

#include "grid_shapes.hpp"

namespace kodec {

// Layers one after the other, and a branch beside all of them from the same inputs, of as many
// outputs, if there is one.
struct Network {
  std::vector<NetworkLayer> layers;
  std::vector<NetworkLayer> branch;  // one or none

  std::size_t inputs() const { return layers.front().inputs; }
  std::size_t outputs() const { return layers.back().outputs; }
  // Weights and biases of all layers, the branch's behind: the order in which gradients lie.
  std::size_t weights() const;
};

// x: (inputs, positions). out, branch_out: (outputs, positions).
void run_network(const Network &network, const float *x, std::size_t positions, float *out,
                 float *branch_out, std::size_t threads);

// Gradients of x (or none) and of weights from those of what it gave; it runs again for them.
void differentiate_network(const Network &network, const float *x, std::size_t positions,
                           const float *gradient, const float *branch_gradient, float *x_gradient,
                           float *weight_gradient, std::size_t threads);

struct Offset {
  std::ptrdiff_t down, right;
};

// A grid of values, with features that contexts are followed by: each stands for 2x2 positions.
struct Grid {
  std::size_t height, width;
  const float *values;            // (height, width)
  const float *features;          // (features, ceil(height / 2), ceil(width / 2)), or none
  float charge;                   // what gradients of its bits are multiplied by
  float *gradient;                // (height, width)
  float *feature_gradient;        // of features' shape, or none
  float *position_bits;           // (height, width), or none
};

// Bits of each grid's values by a network of two outputs, its branch added: it sees the values at
// `offsets` (zero outside the grid), then `features` features, zero where a grid has none.
// Gradients, of the sum of all bits times their grid's charge, only with a `weight_gradient`.
void context_rate(const Network &network, const std::vector<Offset> &offsets, std::size_t features,
                  const Coding &coding, const std::vector<Grid> &grids, double *bits,
                  float *weight_gradient, std::size_t threads);

void small_convolution(const SmallConvolution &shape, const float *x, const float *weight,
                       const float *bias, float *out, std::size_t threads);
// out: what it gave (asked for where `rectified`). weight_gradient: weights, then biases.
void small_convolution_gradient(const SmallConvolution &shape, const float *x, const float *weight,
                                const float *out, const float *gradient, float *x_gradient,
                                float *weight_gradient, std::size_t threads);

struct PyramidLevel {
  std::size_t height, width;
  const float *values;   // (height, width)
  float *gradient;       // of values; backward
  float *stack;          // (levels from here on, height, width): made forward, read backward
};
// Levels from the finest. Each but the coarsest: its own values filtered, then all that comes from
// the next level upsampled. upsampling: (levels - 1, up_taps); refinement: (levels - 1, own_taps).
struct Pyramid {
  std::vector<PyramidLevel> levels;
  const float *upsampling, *refinement;
  std::size_t up_taps, own_taps;
  bool residual;
};
void build_pyramid(const Pyramid &pyramid, std::size_t threads);
// gradient: of the finest level's stack.
void differentiate_pyramid(const Pyramid &pyramid, const float *gradient, float *up_gradient,
                           float *own_gradient, std::size_t threads);

// One of a stack's grids, whose values are repeated 2^times times along rows and columns and cut off
// at the stack's size.
struct RepeatedGrid {
  std::size_t height, width, times;
  const float *values;
  float *gradient;
};
// stack: (grids, height, width).
void stack_grids(const std::vector<RepeatedGrid> &grids, std::size_t height, std::size_t width,
                 float *stack, std::size_t threads);
void differentiate_stack(const std::vector<RepeatedGrid> &grids, std::size_t height,
                         std::size_t width, const float *gradient, std::size_t threads);

void soft_round(const float *x, const float *noise, const SoftRounding &rounding, float *out,
                float *slope, std::size_t count, std::size_t threads);

}  // namespace kodec
