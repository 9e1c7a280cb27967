// Loops over tokens in float64, once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kodec {

// Columns of a panel: `panel_columns` outputs' weights, side by side for each input.
struct ProductWork {
  const double *x;       // (rows, inputs)
  std::size_t inputs, outputs;
  const double *panels;  // (ceil(outputs / columns), inputs, columns), zero beyond the outputs
  const double *bias;    // (outputs), or none
  bool curved;           // GELU
  const double *plus;    // (rows, outputs), or none: added behind all else
  double *out;           // (rows, outputs)
};

// A depthwise convolution of k x k taps, k odd, over rows of positions with their channels side by side.
struct DepthwiseWork {
  const double *x;  // (height, width, channels)
  std::size_t height, width, channels, side;
  const double *taps;  // (side, side, channels)
  const double *bias;  // (channels)
  double *out;         // (height, width, channels)
};

// What is known around a position: for each tap that sees something, its place among the taps, and how far
// from the position it looks.
struct SeenTap {
  std::size_t tap;
  std::ptrdiff_t offset;  // in doubles
};
struct KnownWork {
  std::size_t channels;
  const double *taps;  // (taps, channels)
  const double *bias;  // (channels)
};

struct TokenKernels {
  std::size_t panel_columns;
  // weight: (outputs, inputs). Panels `first` to `last` - 1.
  void (*pack)(const double *weight, std::size_t inputs, std::size_t outputs, std::size_t first,
               std::size_t last, double *panels);
  void (*multiply)(const ProductWork &work, std::size_t first_row, std::size_t last_row);
  void (*gelu)(const double *x, double *out, std::size_t count);
  void (*magnitudes)(const double *x, std::size_t channels, double *out);
  void (*depthwise_row)(const DepthwiseWork &work, std::size_t row);
  void (*known_position)(const KnownWork &work, const double *at, const SeenTap *seen,
                         std::size_t count, double *out);
};

extern const TokenKernels kScalarTokens, kAvx2Tokens, kAvx512Tokens;

}  // namespace kodec
