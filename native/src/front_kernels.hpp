// The arithmetic of front programs: small layers over many positions at once. All values are integers
// that float64 holds exactly, in whatever order they are added, fused or not; so every instruction set
// gives the same.
#pragma once

#include <cstddef>

namespace kodec {

// Positions of a tile at most; rows of activations have so many values.
constexpr std::size_t kTile = 32;
// Outputs come in fours, the last ones filled up with zeros.
constexpr std::size_t kOutputsAtOnce = 4;

// y = floor((W x + b) 2^-shift), then max(y, 0) if rectified. Nothing here is a function: what one
// instruction set's flags made of it might be linked for another.
struct LayerView {
  std::size_t inputs, outputs, padded;  // padded: outputs when filled up
  const double *weights;                // by input, then by output, these filled up
  const double *biases;
  int shift;
  bool rectified;
};

struct FrontKernels {
  // x: inputs rows of kTile values; y: outputs rows. `width` of each row are computed, and perhaps some
  // more; others are left alone.
  void (*layer)(const LayerView &layer, const double *x, double *y, std::size_t width);
};

extern const FrontKernels kScalarFrontKernels;
#if defined(KODEC_X86_KERNELS)
extern const FrontKernels kAvx2FrontKernels;
extern const FrontKernels kAvx512FrontKernels;
#endif

// Those that go with kernels(). Throws as it does.
const FrontKernels &front_kernels();

}  // namespace kodec
