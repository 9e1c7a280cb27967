// From what networks say of latents to means and scales, and from latents to symbols.
#pragma once

#include <cstddef>

namespace kodec {

// Laplace distributed latents, as many of each.
struct LaplaceWork {
  const float *floats;  // the latents, these or
  const double *doubles;
  const double *mean, *log_scale;
  double coded_from;    // log scales below are skipped: 0
  double log_smallest;  // the least log scale that costs bits
  double lagrangian;    // squared steps a bit
  double *out;
};
// Differences from the means, rounded; where (error^2 + lagrangian * bits) is smaller one step towards
// zero, there.
void laplace_symbols(const LaplaceWork &work, std::size_t count, std::size_t threads);

struct LocatedWork {
  std::size_t channels;
  const double *parameters;          // (tokens, 2 channels): relative means, relative log scales
  const double *spread, *log_spread;  // (channels)
  const double *predicted;           // (tokens, channels), or none
  double *mean, *log_scale;          // (tokens, channels)
};
// Means, relative ones times spread, plus what is predicted; log scales, relative ones plus the spread's.
void located(const LocatedWork &work, std::size_t tokens, std::size_t threads);

}  // namespace kodec
