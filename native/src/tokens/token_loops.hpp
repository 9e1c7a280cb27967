// Loops over tokens, for the instruction set of the file that includes this.
//
// Each result is one sum over inputs or taps in their order, whichever rows it is computed with, so that no
// bit depends on tasks, threads or how many tokens there are.
#pragma once

#include "double_lanes.hpp"
#include "token_kernels.hpp"

namespace kodec {
namespace {

// Sums that vector registers hold, with weights and an input beside them.
constexpr std::size_t kVectors = 3, kColumns = kVectors * kLanes;
#if defined(__AVX512F__)
constexpr std::size_t kRows = 8;
#else
constexpr std::size_t kRows = 4;
#endif

void pack_panels(const double *weight, std::size_t inputs, std::size_t outputs, std::size_t first,
                 std::size_t last, double *panels) {
  for (std::size_t panel = first; panel < last; ++panel) {
    double *const to = panels + panel * inputs * kColumns;
    const std::size_t begin = panel * kColumns;
    for (std::size_t column = 0; column < kColumns; ++column) {
      if (begin + column < outputs) {
        const double *const from = weight + (begin + column) * inputs;
        for (std::size_t i = 0; i < inputs; ++i) to[i * kColumns + column] = from[i];
      } else {
        for (std::size_t i = 0; i < inputs; ++i) to[i * kColumns + column] = 0;
      }
    }
  }
}

// Products of R rows with a panel, (R, kColumns).
template <std::size_t R>
inline void multiply_tile(const double *x, std::size_t inputs, const double *panel, double *to) {
  Lanes sums[R][kVectors];
  for (std::size_t r = 0; r < R; ++r)
    for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = Lanes{};
  for (std::size_t i = 0; i < inputs; ++i) {
    Lanes weights[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) weights[v] = load(panel + i * kColumns + v * kLanes);
    for (std::size_t r = 0; r < R; ++r) {
      const Lanes value = all(x[r * inputs + i]);
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] += value * weights[v];
    }
  }
  for (std::size_t r = 0; r < R; ++r)
    for (std::size_t v = 0; v < kVectors; ++v) store(to + r * kColumns + v * kLanes, sums[r][v]);
}

inline void multiply_rows(std::size_t rows, const double *x, std::size_t inputs, const double *panel,
                          double *to) {
  if (rows == kRows) return multiply_tile<kRows>(x, inputs, panel, to);
  for (; rows >= 2; rows -= 2, x += 2 * inputs, to += 2 * kColumns)
    multiply_tile<2>(x, inputs, panel, to);
  if (rows == 1) multiply_tile<1>(x, inputs, panel, to);
}

// A row of a tile: bias, GELU, sum, as far as there are columns.
inline void finish_row(const ProductWork &work, const double *sums, std::size_t row,
                       std::size_t column, std::size_t columns) {
  const std::size_t place = row * work.outputs + column;
  for (std::size_t c = 0; c < columns; c += kLanes) {
    const std::size_t count = columns - c < kLanes ? columns - c : kLanes;
    double bias[kLanes] = {}, plus[kLanes] = {}, found[kLanes];
    const bool whole = count == kLanes;
    const double *b = work.bias == nullptr ? bias : work.bias + column + c;
    const double *p = work.plus == nullptr ? plus : work.plus + place + c;
    if (!whole) {
      for (std::size_t i = 0; i < count; ++i) bias[i] = b[i], plus[i] = p[i];
      b = bias;
      p = plus;
    }
    Lanes value = load(sums + c) + load(b);
    if (work.curved) value = gelu_of(value);
    if (work.plus != nullptr) value += load(p);
    if (whole) {
      store(work.out + place + c, value);
    } else {
      store(found, value);
      for (std::size_t i = 0; i < count; ++i) work.out[place + c + i] = found[i];
    }
  }
}

void multiply(const ProductWork &work, std::size_t first_row, std::size_t last_row) {
  double tile[kRows * kColumns];
  for (std::size_t column = 0; column < work.outputs; column += kColumns) {
    const std::size_t left = work.outputs - column, columns = left < kColumns ? left : kColumns;
    const double *const panel = work.panels + column * work.inputs;
    for (std::size_t row = first_row; row < last_row; row += kRows) {
      const std::size_t rows = last_row - row < kRows ? last_row - row : kRows;
      multiply_rows(rows, work.x + row * work.inputs, work.inputs, panel, tile);
      for (std::size_t r = 0; r < rows; ++r)
        finish_row(work, tile + r * kColumns, row + r, column, columns);
    }
  }
}

void gelu_values(const double *x, double *out, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(out + i, gelu_of(load(x + i)));
  if (i == count) return;
  double last[kLanes] = {};
  for (std::size_t k = 0; i + k < count; ++k) last[k] = x[i + k];
  store(last, gelu_of(load(last)));
  for (std::size_t k = 0; i + k < count; ++k) out[i + k] = last[k];
}

// Of one token: log(1 + |x|) of each channel, then the same with x's sign.
void magnitudes_of_token(const double *x, std::size_t channels, double *out) {
  for (std::size_t c = 0; c < channels; c += kLanes) {
    const std::size_t count = channels - c < kLanes ? channels - c : kLanes;
    double some[kLanes] = {};
    if (count < kLanes)
      for (std::size_t i = 0; i < count; ++i) some[i] = x[c + i];
    const Integers bits = reinterpret_cast<Integers>(load(count < kLanes ? some : x + c));
    const Integers sign = bits & std::int64_t(0x8000000000000000u);
    const Lanes size = logarithm_above_one(reinterpret_cast<Lanes>(bits ^ sign));
    const Lanes with_sign = reinterpret_cast<Lanes>(reinterpret_cast<Integers>(size) | sign);
    if (count == kLanes) {
      store(out + c, size);
      store(out + channels + c, with_sign);
      continue;
    }
    for (std::size_t i = 0; i < count; ++i) {
      out[c + i] = size[i];
      out[channels + c + i] = with_sign[i];
    }
  }
}

inline Lanes load_as(const double *from, Lanes) { return load(from); }
inline double load_as(const double *from, double) { return *from; }
inline void store_as(double *to, Lanes value) { store(to, value); }
inline void store_as(double *to, double value) { *to = value; }

// `Count` positions side by side, `V` of channels from `c` on, by taps from `left` to `right` - 1.
template <typename V, std::size_t Count>
inline void depthwise_positions(const DepthwiseWork &work, std::size_t row, std::size_t column,
                                std::size_t c, std::size_t left, std::size_t right) {
  const std::size_t reach = work.side / 2, channels = work.channels;
  V sums[Count];
  for (std::size_t p = 0; p < Count; ++p) sums[p] = load_as(work.bias + c, V{});
  for (std::size_t dy = 0; dy < work.side; ++dy) {
    if (row + dy < reach || row + dy >= work.height + reach) continue;
    const double *const from = work.x + (row + dy - reach) * work.width * channels + c;
    const double *const taps = work.taps + dy * work.side * channels + c;
    for (std::size_t dx = left; dx < right; ++dx) {
      const V tap = load_as(taps + dx * channels, V{});
      const double *const at = from + (column + dx - reach) * channels;
      for (std::size_t p = 0; p < Count; ++p) sums[p] += load_as(at + p * channels, V{}) * tap;
    }
  }
  double *const to = work.out + (row * work.width + column) * channels + c;
  for (std::size_t p = 0; p < Count; ++p) store_as(to + p * channels, sums[p]);
}

template <typename V>
inline void depthwise_channels(const DepthwiseWork &work, std::size_t row, std::size_t c) {
  constexpr std::size_t kTogether = 8;
  const std::size_t reach = work.side / 2, side = work.side, width = work.width;
  std::size_t x = 0;
  while (x < width) {
    if (x >= reach && x + kTogether + reach <= width) {
      depthwise_positions<V, kTogether>(work, row, x, c, 0, side);
      x += kTogether;
    } else {
      const std::size_t left = x < reach ? reach - x : 0;
      const std::size_t right = x + reach >= width ? width + reach - x : side;
      depthwise_positions<V, 1>(work, row, x, c, left, right);
      ++x;
    }
  }
}

void depthwise_row(const DepthwiseWork &work, std::size_t row) {
  std::size_t c = 0;
  for (; c + kLanes <= work.channels; c += kLanes) depthwise_channels<Lanes>(work, row, c);
  for (; c < work.channels; ++c) depthwise_channels<double>(work, row, c);
}

template <typename V, std::size_t Count>
inline void known_channels(const KnownWork &work, const double *at, const SeenTap *seen,
                           std::size_t count, double *out, std::size_t c) {
  constexpr std::size_t kStep = sizeof(V) / sizeof(double);
  V sums[Count];
  for (std::size_t v = 0; v < Count; ++v) sums[v] = load_as(work.bias + c + v * kStep, V{});
  for (std::size_t s = 0; s < count; ++s) {
    const double *const tap = work.taps + seen[s].tap * work.channels + c;
    const double *const from = at + seen[s].offset + std::ptrdiff_t(c);
    for (std::size_t v = 0; v < Count; ++v)
      sums[v] += load_as(from + v * kStep, V{}) * load_as(tap + v * kStep, V{});
  }
  for (std::size_t v = 0; v < Count; ++v) store_as(out + c + v * kStep, sums[v]);
}

void known_position(const KnownWork &work, const double *at, const SeenTap *seen, std::size_t count,
                    double *out) {
  std::size_t c = 0;
  for (; c + 4 * kLanes <= work.channels; c += 4 * kLanes)
    known_channels<Lanes, 4>(work, at, seen, count, out, c);
  for (; c + kLanes <= work.channels; c += kLanes)
    known_channels<Lanes, 1>(work, at, seen, count, out, c);
  for (; c < work.channels; ++c) known_channels<double, 1>(work, at, seen, count, out, c);
}

constexpr TokenKernels kAllLoops = {kColumns, pack_panels, multiply,
                                    gelu_values, magnitudes_of_token, depthwise_row, known_position};

}  // namespace
}  // namespace kodec
