// Products of rows with a panel of sixteen columns, in float32: what convolutions come down to.
// For files compiled with AVX2 and FMA.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "layer_kernels.hpp"

namespace kodec {
namespace {

inline std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

// Asks for the cache line that holds *place, or would if it lies behind the end of an array.
inline void fetch(const float *place) {
  _mm_prefetch(reinterpret_cast<const char *>(place), _MM_HINT_T0);
}

// Rows (ROWS, depth), `row_step` floats apart, times a panel (depth, 16): sums (ROWS, 16),
// `sum_step` apart. Every sum goes over the depth in order: its bits depend on nothing else. With
// ADD it begins with what is there, else with zero. With FETCH the panel that lies behind this one
// is asked for. Along the depth, elements of a row are `row_next` floats apart, those of the panel
// `panel_next`.
template <int ROWS, bool ADD, bool FETCH = false>
inline void few_products(const float *rows, std::size_t row_step, const float *panel,
                         std::size_t depth, float *sums, std::size_t sum_step,
                         std::size_t row_next = 1, std::size_t panel_next = kColumns) {
  __m256 low[ROWS], high[ROWS];
#pragma GCC unroll 6
  for (int r = 0; r < ROWS; ++r) {
    low[r] = ADD ? _mm256_loadu_ps(sums + r * sum_step) : _mm256_setzero_ps();
    high[r] = ADD ? _mm256_loadu_ps(sums + r * sum_step + kLanes) : _mm256_setzero_ps();
  }
  for (std::size_t k = 0; k < depth; ++k) {
    if (FETCH) fetch(panel + (depth + k) * kColumns);
    const __m256 first = _mm256_loadu_ps(panel + k * panel_next);
    const __m256 second = _mm256_loadu_ps(panel + k * panel_next + kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < ROWS; ++r) {
      const __m256 value = _mm256_broadcast_ss(rows + r * row_step + k * row_next);
      low[r] = _mm256_fmadd_ps(value, first, low[r]);
      high[r] = _mm256_fmadd_ps(value, second, high[r]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < ROWS; ++r) {
    _mm256_storeu_ps(sums + r * sum_step, low[r]);
    _mm256_storeu_ps(sums + r * sum_step + kLanes, high[r]);
  }
}

// The same for any number of rows: six at a time fill the registers.
template <bool ADD>
inline void products(std::size_t count, const float *rows, std::size_t row_step, const float *panel,
                     std::size_t depth, float *sums, std::size_t sum_step,
                     std::size_t row_next = 1, std::size_t panel_next = kColumns) {
  if (count >= 6) {
    few_products<6, ADD, true>(rows, row_step, panel, depth, sums, sum_step, row_next, panel_next);
    count -= 6;
    rows += 6 * row_step;
    sums += 6 * sum_step;
  }
  for (; count >= 6; count -= 6, rows += 6 * row_step, sums += 6 * sum_step)
    few_products<6, ADD>(rows, row_step, panel, depth, sums, sum_step, row_next, panel_next);
  switch (count) {
    case 5:
      return few_products<5, ADD>(rows, row_step, panel, depth, sums, sum_step, row_next,
                                  panel_next);
    case 4:
      return few_products<4, ADD>(rows, row_step, panel, depth, sums, sum_step, row_next,
                                  panel_next);
    case 3:
      return few_products<3, ADD>(rows, row_step, panel, depth, sums, sum_step, row_next,
                                  panel_next);
    case 2:
      return few_products<2, ADD>(rows, row_step, panel, depth, sums, sum_step, row_next,
                                  panel_next);
    case 1:
      return few_products<1, ADD>(rows, row_step, panel, depth, sums, sum_step, row_next,
                                  panel_next);
    default:
      return;
  }
}

// Up to eight floats, zeros behind them; and back.
inline __m256 load_floats(const float *from, std::size_t count) {
  if (count >= kLanes) return _mm256_loadu_ps(from);
  alignas(32) float few[kLanes] = {};
  std::memcpy(few, from, count * sizeof(float));
  return _mm256_load_ps(few);
}
inline void store_floats(float *to, __m256 value, std::size_t count) {
  if (count >= kLanes) return _mm256_storeu_ps(to, value);
  alignas(32) float few[kLanes];
  _mm256_store_ps(few, value);
  std::memcpy(to, few, count * sizeof(float));
}

// Writes up to eight results to their place in the output, finished.
inline void finish_floats(const Finish &finish, float *out, std::size_t place, __m256 value,
                          std::size_t count) {
  // Of two operands the second is taken where one is not a number, as 0 times infinity.
  value = _mm256_max_ps(_mm256_mul_ps(value, _mm256_set1_ps(finish.slope)), value);
  if (finish.plus != nullptr) value = _mm256_add_ps(value, load_floats(finish.plus + place, count));
  value = _mm256_max_ps(_mm256_mul_ps(value, _mm256_set1_ps(finish.last_slope)), value);
  store_floats(out + place, value, count);
}

}  // namespace
}  // namespace kodec
