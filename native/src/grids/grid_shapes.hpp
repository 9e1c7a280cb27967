// Plain sizes and settings of what grids.hpp computes.
#pragma once

#include <cstddef>

namespace kodec {

constexpr std::size_t kMostWidth = 256, kMostLayers = 8, kMostTaps = 16, kMostPieces = 64;

// What follows a layer: nothing, max(0, x), x times the normal distribution's function of x, or a sum
// over pieces k of growth[k] max(0, x - knots[k]), straight lines between knots.
enum class Activation { kNone, kRectifier, kGelu, kPieces };

// out = weight x + bias, + x if `residual` (inputs and outputs are as many), then the activation.
// weight: (outputs, inputs). bias: (outputs). knots, growth: (pieces), of kPieces.
struct NetworkLayer {
  std::size_t inputs, outputs;
  const float *weight, *bias;
  bool residual;
  Activation activation;
  const float *knots, *growth;
  std::size_t pieces;

  bool rectified() const { return activation == Activation::kRectifier; }
  // Whether its derivative has to be kept, as what it gives does not tell.
  bool curved() const { return activation == Activation::kGelu || activation == Activation::kPieces; }
};

// How values are coded: Laplace distributions of mean out[0] and scale exp(clamp(out[1] + shift,
// low, high)), integrated over the unit interval around a value, and at most `most_bits` each.
struct Coding {
  float shift, low, high, most_bits;
};

// A k x k convolution, k odd, of stride 1, edges repeated; + x if `residual`, rectified or not.
struct SmallConvolution {
  std::size_t height, width, inputs, outputs, side;
  bool residual, rectified;
};

// One plane to another of twice its size, or one row or column less, by an even number of taps in
// each direction: what is at x becomes sum_t taps[t] at 2 x + t - taps / 2 + 1, edges repeated.
struct Upsampling {
  std::size_t height, width, out_height, out_width, taps;
};

// One plane by an odd number of taps in each direction, zeros around; + itself if `residual`.
struct Refinement {
  std::size_t height, width, taps;
  bool residual;
};

// r(r(x gain) + noise), r(x) = floor(x) + 1/2 + tanh(d / temperature) / (2 tanh(1 / (2
// temperature))), d = x - floor(x) - 1/2. slope: the derivative by x, or none.
struct SoftRounding {
  float gain, temperature;
};

}  // namespace kodec
