// Products of rows with panels of sixteen columns, in float32: what convolutions come down to.
#pragma once

#include <cstddef>

#include "float_lanes.hpp"
#include "layer_kernels.hpp"

namespace kodec {
namespace {

// Rows and panels at a time: their sums fill the registers.
#if defined(__AVX512F__)
constexpr int kMostRows = 12, kMostPanels = 2;
#else
constexpr int kMostRows = 6, kMostPanels = 1;
#endif

// Asks for the cache line that holds *place, or would if it lies behind the end of an array.
inline void fetch(const float *place) {
  _mm_prefetch(reinterpret_cast<const char *>(place), _MM_HINT_T0);
}

// Where operands lie. Rows are `row_step` floats apart, their elements along the depth `row_next`;
// panels `panel_step`, their rows of sixteen `panel_next`; rows of sums `sum_step`.
struct ProductLayout {
  std::size_t depth, row_step, sum_step, panel_step, row_next = 1, panel_next = kColumns;
};

// Rows (ROWS, depth) times panels (PANELS, depth, 16): sums (ROWS, PANELS * 16). Every sum goes over
// the depth in order: its bits depend on nothing else. With ADD it begins with what is there, else
// with zero. With FETCH the panels that lie behind these are asked for.
template <int ROWS, int PANELS, bool ADD, bool FETCH = false>
inline void few_products(const float *rows, const float *panels, float *sums,
                         const ProductLayout &l) {
  constexpr int kEach = int(kColumns / kLanes), kVectors = PANELS * kEach;
  Lanes sum[ROWS][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = ADD ? load(sums + r * l.sum_step + v * kLanes) : none();
  for (std::size_t k = 0; k < l.depth; ++k) {
    Lanes column[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const float *const panel = panels + (v / kEach) * l.panel_step;
      if (FETCH && v % kEach == 0) fetch(panel + (PANELS * l.depth + k) * kColumns);
      column[v] = load(panel + k * l.panel_next + (v % kEach) * kLanes);
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; ++r) {
      const Lanes value = all(rows[r * l.row_step + k * l.row_next]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[r][v] = fused(value, column[v], sum[r][v]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) store(sums + r * l.sum_step + v * kLanes, sum[r][v]);
}

// The same for any number of rows.
template <int PANELS, bool ADD>
inline void products_of(std::size_t count, const float *rows, const float *panels, float *sums,
                        const ProductLayout &l) {
  const auto next = [&](std::size_t done) {
    count -= done;
    rows += done * l.row_step;
    sums += done * l.sum_step;
  };
  if (count >= kMostRows) {
    few_products<kMostRows, PANELS, ADD, true>(rows, panels, sums, l);
    next(kMostRows);
  }
  for (; count >= kMostRows; next(kMostRows))
    few_products<kMostRows, PANELS, ADD>(rows, panels, sums, l);
  for (; kMostRows > 6 && count >= 6; next(6)) few_products<6, PANELS, ADD>(rows, panels, sums, l);
  for (; count >= 3; next(3)) few_products<3, PANELS, ADD>(rows, panels, sums, l);
  for (; count >= 1; next(1)) few_products<1, PANELS, ADD>(rows, panels, sums, l);
}

// And for any number of panels.
template <bool ADD>
inline void products(std::size_t count, const float *rows, std::size_t panels_count,
                     const float *panels, float *sums, const ProductLayout &l) {
  std::size_t done = 0;
  for (; kMostPanels > 1 && done + kMostPanels <= panels_count; done += kMostPanels)
    products_of<kMostPanels, ADD>(count, rows, panels + done * l.panel_step, sums + done * kColumns,
                                  l);
  for (; done < panels_count; ++done)
    products_of<1, ADD>(count, rows, panels + done * l.panel_step, sums + done * kColumns, l);
}

// Writes up to kLanes results, of outputs from `output` on, to their place, finished.
inline void finish_floats(const Finish &finish, float *out, std::size_t place, std::size_t output,
                          Lanes value, std::size_t count) {
  if (finish.scale != nullptr)
    value = fused(value, load(finish.scale + output, count), load(finish.shift + output, count));
  if (finish.gelu)
    value = gelu_of(value);
  else
    // Of two operands the second is taken where one is not a number, as 0 times infinity.
    value = larger(times(value, finish.slope), value);
  if (finish.plus != nullptr) value = plus(value, load(finish.plus + place, count));
  value = larger(times(value, finish.last_slope), value);
  store(out + place, value, count);
}

}  // namespace
}  // namespace kodec
