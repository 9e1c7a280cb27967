// What runs in one instruction set: loops over plain memory, of which grids.cpp makes tasks.
#pragma once

#include <cstddef>

#include "grid_shapes.hpp"

namespace kodec {

// Positions that a network sees at a time, a multiple of all instruction sets' lanes: few enough for
// what its layers make to stay in the caches.
constexpr std::size_t kTile = 128;
// Floats that may be read, or written with zeros, behind a row's last.
constexpr std::size_t kSlack = 2 * kTile;

// A layer, with its weight the other way round as well: (inputs, outputs).
struct LayerWeights {
  NetworkLayer layer;
  const float *turned;
};
struct NetworkWeights {
  const LayerWeights *layers;
  std::size_t count, width;     // width: the most inputs or outputs
  const LayerWeights *branch;   // or none
  std::size_t inputs, outputs, weights;  // weights: all weights and biases, the branch's behind
};


// Positions first to last of planes, `step` floats from plane to plane.
struct NetworkWork {
  const NetworkWeights *network;
  const float *x;
  std::size_t step, first, last;
  float *out, *branch_out;                     // forward; branch_out only with a branch
  const float *gradient, *branch_gradient;     // backward
  float *x_gradient;                           // or none
  float *weight_gradient;                      // of these positions
  float *room;
};

// Rows first to last of one grid.
struct RateWork {
  const NetworkWeights *network;
  const float *values;            // of the first row's first position, zeros all around
  std::size_t stride, width, first_row, last_row;
  const std::ptrdiff_t *offsets;  // of contexts, from a position
  std::size_t contexts;
  const float *features;          // (count, height, width) of half the grid's size, or none
  std::size_t feature_count, feature_height, feature_width;
  Coding coding;
  float charge;
  double bits;                    // result
  float *gradient;                // of values, zeros at first: begins `before` in front of the rows
  std::ptrdiff_t before;
  float *feature_gradient;        // of these rows alone; or none
  float *weight_gradient;
  float *position_bits;           // or none; (height, width)
  float *room;
};

// Rows first to last, for which all around is in `x`'s planes.
struct ConvolutionWork {
  const SmallConvolution *shape;
  const float *x, *weight, *bias;
  std::size_t first, last;
  float *out;                                   // forward
  const float *turned;                          // (inputs, outputs, side, side), taps turned
  const float *gradient;                        // backward
  float *x_gradient, *weight_gradient;
  float *room;
};
std::size_t convolution_room(const SmallConvolution &shape, std::size_t rows);

struct GridKernels {
  void (*run_network)(const NetworkWork &);
  void (*differentiate_network)(const NetworkWork &);
  void (*rate)(RateWork &);
  void (*convolve)(const ConvolutionWork &);
  void (*differentiate_convolution)(const ConvolutionWork &);
  void (*upsample)(const float *x, const Upsampling &shape, const float *taps, float *out,
                   float *room);
  void (*differentiate_upsampling)(const float *x, const float *gradient, const Upsampling &shape,
                                   const float *taps, float *x_gradient, float *tap_gradient,
                                   float *room);
  void (*filter)(const float *x, const Refinement &shape, const float *taps, float *out,
                 float *room);
  void (*differentiate_filter)(const float *x, const float *gradient, const Refinement &shape,
                               const float *taps, float *x_gradient, float *tap_gradient,
                               float *room);
  void (*soft_round)(const float *x, const float *noise, const SoftRounding &rounding, float *out,
                     float *slope, std::size_t count);
};

extern const GridKernels kScalarGrids;
#if defined(KODEC_X86_KERNELS)
extern const GridKernels kAvx2Grids, kAvx512Grids;
#endif

}  // namespace kodec
