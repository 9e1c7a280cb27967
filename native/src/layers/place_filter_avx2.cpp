// Filters whose taps follow the kind of place.
#include "float_panels.hpp"
#include "layer_kernels.hpp"

namespace kodec {
namespace {

inline float sum_of(__m256 x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

}  // namespace

void filter_places_row(const float *x, std::size_t step, const unsigned char *kinds,
                       const float *taps, const unsigned char *used, float clip, float *out,
                       std::size_t width) {
  const __m256 most = _mm256_set1_ps(clip), least = _mm256_set1_ps(-clip);
  for (std::size_t c = 0; c < width; ++c) {
    if (!used[kinds[c]]) {
      out[c] = 0;
      continue;
    }
    const float *const plain = taps + kinds[c] * 2 * kPlaceTaps * kLanes;
    const float *const clipped = plain + kPlaceTaps * kLanes;
    const __m256 centre = _mm256_set1_ps(x[kPlaceTaps / 2 * step + kPlaceTaps / 2 + c]);
    __m256 first = _mm256_setzero_ps(), second = _mm256_setzero_ps();
    for (std::size_t r = 0; r < kPlaceTaps; ++r) {
      const __m256 difference = _mm256_sub_ps(_mm256_loadu_ps(x + r * step + c), centre);
      first = _mm256_fmadd_ps(difference, _mm256_loadu_ps(plain + r * kLanes), first);
      const __m256 bounded = _mm256_max_ps(_mm256_min_ps(difference, most), least);
      second = _mm256_fmadd_ps(bounded, _mm256_loadu_ps(clipped + r * kLanes), second);
    }
    out[c] = sum_of(_mm256_add_ps(first, second));
  }
}

}  // namespace kodec
