// Soft rounding, noise, and soft rounding again.
#pragma once

#include "grid_kernels.hpp"
#include "lanes.hpp"

namespace kodec {
namespace {

// r(x), and what its derivative is multiplied with.
inline Lanes soft_rounded(Lanes x, float sharpness, float scale, Lanes &slope) {
  const Lanes whole = floor_of(x), d = (x - whole) - 0.5f;
  const Exponential found = exponential(magnitude(d) * (-2.0f * sharpness));
  const Lanes sum = found.whole + 1.0f, size = -found.above / sum;
  slope *= found.whole * (4.0f * scale * sharpness) / (sum * sum);
  return whole + (signed_as(size * scale, d) + 0.5f);
}

void soft_round_values(const float *x, const float *noise, const SoftRounding &rounding, float *out,
                       float *slope, std::size_t count) {
  const float sharpness = 1.0f / rounding.temperature;
  const Exponential edge = exponential(all(-sharpness));
  const float scale = ((0.5f + 0.5f * edge.whole) / -edge.above)[0];  // 1 / (2 tanh(1 / (2 T)))
  for (std::size_t at = 0; at < count; at += kLanes) {
    const std::size_t some = count - at < std::size_t(kLanes) ? count - at : kLanes;
    Lanes value{}, added{};
    if (some == std::size_t(kLanes)) {
      value = load(x + at);
      added = load(noise + at);
    } else {
      for (std::size_t i = 0; i < some; ++i) value[i] = x[at + i], added[i] = noise[at + i];
    }
    Lanes derivative = all(rounding.gain);
    value = soft_rounded(value * rounding.gain, sharpness, scale, derivative);
    value = soft_rounded(value + added, sharpness, scale, derivative);
    if (some == std::size_t(kLanes)) {
      store(out + at, value);
      if (slope != nullptr) store(slope + at, derivative);
      continue;
    }
    for (std::size_t i = 0; i < some; ++i) {
      out[at + i] = value[i];
      if (slope != nullptr) slope[at + i] = derivative[i];
    }
  }
}

}  // namespace
}  // namespace kodec
