// Activations with their gradients: what training spends its time on besides products.
#pragma once

#include "float_lanes.hpp"
#include "layer_kernels.hpp"

namespace kodec {
namespace {

inline Lanes affine_of(Lanes x, const float *affine, std::size_t channels, std::size_t c,
                       std::size_t count) {
  if (affine == nullptr) return x;
  return fused(x, load(affine + c, count),
                         load(affine + channels + c, count));
}

void gelu_positions(const float *x, const float *affine, float *out, std::size_t positions,
                    std::size_t channels) {
  for (std::size_t p = 0; p < positions; ++p, x += channels, out += channels)
    for (std::size_t c = 0; c < channels; c += kLanes) {
      const std::size_t count = smaller(kLanes, channels - c);
      const Lanes h = affine_of(load(x + c, count), affine, channels, c, count);
      store(out + c, times(h, passing(h, times(h, h))), count);
    }
}

void gelu_gradient_positions(const float *x, const float *affine, const float *gradient, float *out,
                             float *affine_gradient, std::size_t positions, std::size_t channels) {
  for (std::size_t p = 0; p < positions; ++p, x += channels, out += channels, gradient += channels)
    for (std::size_t c = 0; c < channels; c += kLanes) {
      const std::size_t count = smaller(kLanes, channels - c);
      const Lanes given = load(x + c, count);
      const Lanes h = affine_of(given, affine, channels, c, count);
      const Lanes square = times(h, h), part = passing(h, square);
      const Lanes inner =
          times(h, fused(square, all(3 * kInner * kCube), all(kInner)));
      // part + h part (1 - part) d(inner)/dh
      const Lanes slope =
          fused(times(part, minus(all(1.0f), part)), inner, part);
      Lanes change = times(load(gradient + c, count), slope);
      if (affine != nullptr) {
        float *const scale = affine_gradient + c, *const shift = scale + channels;
        store(scale, fused(change, given, load(scale, count)), count);
        store(shift, plus(change, load(shift, count)), count);
        change = times(change, load(affine + c, count));
      }
      store(out + c, change, count);
    }
}

}  // namespace
}  // namespace kodec
