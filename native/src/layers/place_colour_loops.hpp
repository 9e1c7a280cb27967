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

inline float sum_of(__m128 x) {
  const __m128 pairs = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
}

// Of one cell, the regression of each component on luma around it. Lanes are guides: of the smaller
// neighbourhood with both floors, then of the larger.
class Regression {
 public:
  Regression(const PlaceColours &c, std::size_t cell) : c_(c), cell_(cell), luma_(mean(0)) {
    const __m128 found = _mm_fnmadd_ps(luma_, luma_, mean(3));
    const __m128 variance = _mm_max_ps(found, _mm_setzero_ps());
    const __m128 floors = _mm_setr_ps(c.floors[0], c.floors[1], c.floors[0], c.floors[1]);
    scale_ = _mm_div_ps(_mm_set1_ps(1), _mm_add_ps(variance, floors));
  }

  // What is added to four pixels `own` of a component, by its weights. luma: of these pixels.
  __m128 added(std::size_t component, __m128 luma, __m128 own, const float *weights) const {
    const __m128 w = _mm_loadu_ps(weights), level = mean(component);
    const __m128 covariance = _mm_fnmadd_ps(luma_, level, mean(3 + component));
    const __m128 sloped = _mm_mul_ps(w, _mm_mul_ps(covariance, scale_));
    const float slope = sum_of(sloped);
    const float fixed = sum_of(_mm_fnmadd_ps(sloped, luma_, _mm_mul_ps(w, level)));
    const __m128 found = _mm_fmadd_ps(_mm_set1_ps(slope), luma, _mm_set1_ps(fixed));
    return _mm_fnmadd_ps(_mm_set1_ps(sum_of(w)), own, found);
  }

 private:
  __m128 mean(std::size_t moment) const {
    const float *const small = c_.moments + moment * c_.moment_step + cell_;
    const float *const large = small + kPlaceMoments * c_.moment_step;
    const __m128 sums = _mm_unpacklo_ps(_mm_load_ss(small), _mm_load_ss(large));
    return _mm_mul_ps(_mm_unpacklo_ps(sums, sums),
                      _mm_setr_ps(1 / 36.0f, 1 / 36.0f, 1 / 100.0f, 1 / 100.0f));
  }

  const PlaceColours &c_;
  std::size_t cell_;
  __m128 luma_, scale_;
};

}  // namespace
}  // namespace kodec
