// The colours of a place filter: rows of what follows luma, and of one cell what is added to it.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "layer_kernels.hpp"

namespace kodec {
namespace {

constexpr float kRedBlue = 1 / 1.4142135623730951f, kGreen = 1 / 2.449489742783178f;
constexpr float kWhole = 1 / 1.7320508075688772f;
constexpr float kMiddle = 0.8660254037844386f;

// Four pixels of a cell: (0, 0), (0, 1), (1, 0), (1, 1).
inline __m128 pixels_at(const float *x, std::size_t step) {
  const __m128 upper = _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64 *>(x));
  return _mm_loadh_pi(upper, reinterpret_cast<const __m64 *>(x + step));
}

inline __m256 both_at(const float *first, const float *second) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(first)), _mm_loadu_ps(second), 1);
}

inline __m256 both_of(float first, float second) {
  return _mm256_set_m128(_mm_set1_ps(second), _mm_set1_ps(first));
}

// Sums of the taps of a cell's four pixels: of the first colour, then of the second.
inline __m256 filter_colours(const PlaceColours &c, std::size_t at, const float *taps) {
  const float *const first = c.rows + at, *const second = first + c.plane;
  const __m256 most = both_of(c.clips[0], c.clips[1]);
  const __m256 least = _mm256_sub_ps(_mm256_setzero_ps(), most);
  __m256 sums[4];
#pragma GCC unroll 4
  for (std::size_t p = 0; p < 4; ++p) {
    const std::size_t own = p / 2 * c.step + p % 2, middle = own + c.step + 1;
    const __m256 centre = both_of(first[middle], second[middle]);
    sums[p] = _mm256_setzero_ps();
#pragma GCC unroll 3
    for (std::size_t r = 0; r < kPlaceColourTaps; ++r) {
      const std::size_t from = own + r * c.step;
      const __m256 difference = _mm256_sub_ps(both_at(first + from, second + from), centre);
      sums[p] = _mm256_fmadd_ps(difference, _mm256_loadu_ps(taps + r * kPlaceColumns), sums[p]);
      const __m256 bounded = _mm256_max_ps(_mm256_min_ps(difference, most), least);
      const float *const clipped = taps + (kPlaceColourTaps + r) * kPlaceColumns;
      sums[p] = _mm256_fmadd_ps(bounded, _mm256_loadu_ps(clipped), sums[p]);
    }
  }
  return _mm256_hadd_ps(_mm256_hadd_ps(sums[0], sums[1]), _mm256_hadd_ps(sums[2], sums[3]));
}

// What is added to four pixels of a component: slope * luma + level - weight * own.
struct Guided {
  __m128 slopes, levels, weights;  // of luma, then of both colours

  template <int component>
  __m128 added(__m128 luma, __m128 own) const {
    constexpr int kAll = component * 0x55;
    const __m128 found = _mm_fmadd_ps(_mm_shuffle_ps(slopes, slopes, kAll), luma,
                                      _mm_shuffle_ps(levels, levels, kAll));
    return _mm_fnmadd_ps(_mm_shuffle_ps(weights, weights, kAll), own, found);
  }
};

// Of the regressions of one cell's components on luma, by weights of guides (3, kPlaceGuides), and
// their sums. Lanes are guides: of the smaller neighbourhood with both floors, then of the larger.
inline Guided guide(const PlaceColours &c, std::size_t cell, const float *weights) {
  const auto mean = [&](std::size_t moment) {
    const float *const both = c.moments + 2 * (moment * c.moment_step + cell);
    const __m128 read = _mm_loadl_pi(_mm_setzero_ps(), reinterpret_cast<const __m64 *>(both));
    return _mm_unpacklo_ps(read, read);
  };
  const __m128 luma = mean(0);
  const __m128 floors = _mm_setr_ps(c.floors[0], c.floors[1], c.floors[0], c.floors[1]);
  __m128 slopes[3], levels[3], scale = luma;
  for (std::size_t k = 0; k < 3; ++k) {
    const __m128 w = _mm_loadu_ps(weights + k * kPlaceGuides), level = k ? mean(k) : luma;
    const __m128 covariance = _mm_fnmadd_ps(luma, level, mean(3 + k));
    if (k == 0) scale = _mm_add_ps(_mm_max_ps(covariance, _mm_setzero_ps()), floors);
    slopes[k] = _mm_mul_ps(w, _mm_div_ps(covariance, scale));
    levels[k] = _mm_fnmadd_ps(slopes[k], luma, _mm_mul_ps(w, level));
  }
  const auto sums = [](const __m128 *x) {
    return _mm_hadd_ps(_mm_hadd_ps(x[0], x[1]), _mm_hadd_ps(x[2], _mm_setzero_ps()));
  };
  return {sums(slopes), sums(levels), _mm_loadu_ps(weights + 3 * kPlaceGuides)};
}

}  // namespace
}  // namespace kodec
