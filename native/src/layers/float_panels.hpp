// Products of rows with a panel of sixteen columns, in float32: what convolutions come down to.
// For files compiled with AVX2 and FMA.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "layers.hpp"

namespace kodec {
namespace {

constexpr std::size_t kColumns = 16, kLanes = 8;

inline std::size_t rounded_up(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

// Adds rows (ROWS, depth), `row_step` floats apart, times a panel (depth, 16) to sums (ROWS, 16),
// `sum_step` apart. Every sum goes over the depth in order: its bits depend on nothing else.
template <int ROWS>
inline void add_few_products(const float *rows, std::size_t row_step, const float *panel,
                             std::size_t depth, float *sums, std::size_t sum_step) {
  __m256 low[ROWS], high[ROWS];
#pragma GCC unroll 6
  for (int r = 0; r < ROWS; ++r) {
    low[r] = _mm256_loadu_ps(sums + r * sum_step);
    high[r] = _mm256_loadu_ps(sums + r * sum_step + kLanes);
  }
  for (std::size_t k = 0; k < depth; ++k) {
    const __m256 first = _mm256_loadu_ps(panel + k * kColumns);
    const __m256 second = _mm256_loadu_ps(panel + k * kColumns + kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < ROWS; ++r) {
      const __m256 value = _mm256_broadcast_ss(rows + r * row_step + k);
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
inline void add_products(std::size_t count, const float *rows, std::size_t row_step,
                         const float *panel, std::size_t depth, float *sums, std::size_t sum_step) {
  for (; count >= 6; count -= 6, rows += 6 * row_step, sums += 6 * sum_step)
    add_few_products<6>(rows, row_step, panel, depth, sums, sum_step);
  switch (count) {
    case 5: return add_few_products<5>(rows, row_step, panel, depth, sums, sum_step);
    case 4: return add_few_products<4>(rows, row_step, panel, depth, sums, sum_step);
    case 3: return add_few_products<3>(rows, row_step, panel, depth, sums, sum_step);
    case 2: return add_few_products<2>(rows, row_step, panel, depth, sums, sum_step);
    case 1: return add_few_products<1>(rows, row_step, panel, depth, sums, sum_step);
    default: return;
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
