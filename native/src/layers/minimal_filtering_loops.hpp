// 3x3 convolutions by minimal filtering: a tile of 6x6 outputs, which sees 8x8 inputs, takes 64
// products for 324. Points of evaluation: 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.
// Source: "Fast algorithms for convolutional neural networks" (2016).
#pragma once

#include "panel_loops.hpp"

namespace kodec {
namespace {

// Floats. Tiles are read and written a few channels at a time, in no order that a processor would
// foresee: so the lines that the next tile needs are asked for.
constexpr std::size_t kCacheLine = 16;

// What eight products in a row see of eight inputs.
inline void see(const Lanes d[kSeen], Lanes out[kSeen]) {
  out[0] = plus(minus(d[0], d[6]), minus(d[4], d[2]), 5.25f);
  out[7] = plus(minus(d[7], d[1]), minus(d[3], d[5]), 5.25f);
  const Lanes even1 = plus(plus(d[2], d[6]), d[4], -4.25f);
  const Lanes odd1 = plus(plus(d[1], d[5]), d[3], -4.25f);
  out[1] = plus(even1, odd1);
  out[2] = minus(even1, odd1);
  const Lanes even2 = plus(plus(d[6], d[2], 0.25f), d[4], -1.25f);
  const Lanes odd2 = plus(plus(times(d[1], 0.5f), d[3], -2.5f), d[5], 2);
  out[3] = plus(even2, odd2);
  out[4] = minus(even2, odd2);
  const Lanes even3 = plus(plus(d[6], d[2], 4), d[4], -5);
  const Lanes odd3 = plus(plus(times(d[1], 2), d[3], -2.5f), d[5], 0.5f);
  out[5] = plus(even3, odd3);
  out[6] = minus(even3, odd3);
}

// What they see of three taps.
inline void see_taps(const Lanes g[3], Lanes out[kSeen]) {
  out[0] = g[0];
  out[7] = g[2];
  const Lanes even1 = times(plus(g[0], g[2]), -2.0f / 9), odd1 = times(g[1], -2.0f / 9);
  out[1] = plus(even1, odd1);
  out[2] = minus(even1, odd1);
  const Lanes even2 = plus(times(g[0], 1.0f / 90), g[2], 2.0f / 45), odd2 = times(g[1], 1.0f / 45);
  out[3] = plus(even2, odd2);
  out[4] = minus(even2, odd2);
  const Lanes even3 = plus(times(g[0], 32.0f / 45), g[2], 8.0f / 45);
  const Lanes odd3 = times(g[1], 16.0f / 45);
  out[5] = plus(even3, odd3);
  out[6] = minus(even3, odd3);
}

// The six outputs that eight products make.
inline void make(const Lanes m[kSeen], Lanes out[kMade]) {
  const Lanes sum1 = plus(m[1], m[2]), difference1 = minus(m[1], m[2]);
  const Lanes sum2 = plus(m[3], m[4]), difference2 = minus(m[3], m[4]);
  const Lanes sum3 = plus(m[5], m[6]), difference3 = minus(m[5], m[6]);
  out[0] = plus(plus(m[0], sum1), plus(sum2, sum3));
  out[1] = plus(plus(difference1, difference2, 2), difference3, 0.5f);
  out[2] = plus(plus(sum1, sum2, 4), sum3, 0.25f);
  out[3] = plus(plus(difference1, difference2, 8), difference3, 0.125f);
  out[4] = plus(plus(sum1, sum2, 16), sum3, 0.0625f);
  out[5] = plus(plus(plus(difference1, difference2, 32), difference3, 0.03125f), m[7]);
}

// What the gradients of six outputs are to eight products: the transpose of `make`.
inline void spread(const Lanes o[kMade], Lanes out[kSeen]) {
  out[0] = o[0];
  out[7] = o[5];
  const Lanes even1 = plus(plus(o[0], o[2]), o[4]), odd1 = plus(plus(o[1], o[3]), o[5]);
  out[1] = plus(even1, odd1);
  out[2] = minus(even1, odd1);
  const Lanes even2 = plus(plus(o[0], o[2], 4), o[4], 16);
  const Lanes odd2 = plus(plus(times(o[1], 2), o[3], 8), o[5], 32);
  out[3] = plus(even2, odd2);
  out[4] = minus(even2, odd2);
  const Lanes even3 = plus(plus(o[0], o[2], 0.25f), o[4], 0.0625f);
  const Lanes odd3 = plus(plus(times(o[1], 0.5f), o[3], 0.125f), o[5], 0.03125f);
  out[5] = plus(even3, odd3);
  out[6] = minus(even3, odd3);
}

// What the gradients of eight products are to three taps: the transpose of `see_taps`.
inline void gather_taps(const Lanes u[kSeen], Lanes out[3]) {
  const Lanes sum1 = plus(u[1], u[2]), difference1 = minus(u[1], u[2]);
  const Lanes sum2 = plus(u[3], u[4]), difference2 = minus(u[3], u[4]);
  const Lanes sum3 = plus(u[5], u[6]), difference3 = minus(u[5], u[6]);
  out[0] = plus(plus(plus(u[0], sum1, -2.0f / 9), sum2, 1.0f / 90), sum3, 32.0f / 45);
  out[1] = plus(plus(times(difference1, -2.0f / 9), difference2, 1.0f / 45), difference3, 16.0f / 45);
  out[2] = plus(plus(plus(u[7], sum1, -2.0f / 9), sum2, 2.0f / 45), sum3, 8.0f / 45);
}

// Where a tile begins: its first output.
struct Tile {
  std::size_t top, left;
  Tile(const TileLayout &l, std::size_t number)
      : top(number / l.columns * kMade), left(number % l.columns * kMade) {}
};

// A tile's inputs as products see them, into its place among others'.
void see_tile(const float *x, const TileLayout &l, Tile tile, float *seen) {
  const Filtering &s = l.shape;
  const std::size_t period = s.period;
  const std::size_t step = period * s.inputs;
  for (std::size_t phase = 0; phase < period * period; ++phase) {
    const std::size_t down = phase / period, across = phase % period;
    // Inputs begin one position before outputs.
    const bool within = tile.top > 0 && tile.left > 0 &&
                        (tile.top + kMade) * period + down < s.source_height &&
                        (tile.left + kMade) * period + across < s.source_width;
    for (std::size_t channel = 0; channel < l.inputs; channel += kLanes) {
      const std::size_t count = smaller(kLanes, s.inputs - channel);
      Lanes part[kSeen][kSeen];
      for (std::size_t i = 0; i < kSeen; ++i) {
        Lanes row[kSeen];
        if (within) {
          const float *from = x +
                              (((tile.top + i - 1) * period + down) * s.source_width +
                               (tile.left - 1) * period + across) *
                                  s.inputs +
                              channel;
          if (channel % kCacheLine == 0)
            for (std::size_t j = kSeen - kMade; j < kSeen; ++j) fetch(from + (j + kMade) * step);
          for (std::size_t j = 0; j < kSeen; ++j, from += step) row[j] = load(from, count);
        } else {
          const std::size_t y = (tile.top + i) * period + down;  // One position further down.
          const float *const from = x + (y - period) * s.source_width * s.inputs + channel;
          for (std::size_t j = 0; j < kSeen; ++j) {
            const std::size_t z = (tile.left + j) * period + across;
            const bool exists = y >= period && z >= period && y - period < s.source_height &&
                                z - period < s.source_width;
            row[j] = exists ? load(from + (z - period) * s.inputs, count) : none();
          }
        }
        see(row, part[i]);
      }
      const std::size_t room = l.inputs - channel;
      float *const to = seen + phase * l.inputs + channel;
      for (std::size_t j = 0; j < kSeen; ++j) {
        Lanes column[kSeen], out[kSeen];
        for (std::size_t i = 0; i < kSeen; ++i) column[i] = part[i][j];
        see(column, out);
        for (std::size_t i = 0; i < kSeen; ++i)
          store(to + (i * kSeen + j) * l.seen_step, out[i], room);
      }
    }
  }
}

// What the gradient of a tile's outputs is to each product, into its place among others'.
void spread_tile(const float *gradient, const TileLayout &l, Tile tile, float *to) {
  const Filtering &s = l.shape;
  const std::size_t rows = smaller(kMade, s.height - tile.top);
  const std::size_t columns = smaller(kMade, s.width - tile.left);
  for (std::size_t k = 0; k < l.width; k += kLanes) {
    const std::size_t count = k < s.outputs ? smaller(kLanes, s.outputs - k) : 0;
    Lanes part[kMade][kSeen];
    for (std::size_t i = 0; i < kMade; ++i) {
      const float *const from = gradient + ((tile.top + i) * s.width + tile.left) * s.outputs + k;
      Lanes row[kMade];
      for (std::size_t j = 0; j < kMade; ++j)
        row[j] = i < rows && j < columns && count > 0 ? load(from + j * s.outputs, count)
                                                      : none();
      spread(row, part[i]);
    }
    for (std::size_t j = 0; j < kSeen; ++j) {
      Lanes column[kMade], out[kSeen];
      for (std::size_t i = 0; i < kMade; ++i) column[i] = part[i][j];
      spread(column, out);
      for (std::size_t i = 0; i < kSeen; ++i)
        store(to + k + (i * kSeen + j) * l.made_step, out[i]);
    }
  }
}

// A tile's outputs, from its place among products.
void make_tile(const float *made, const float *bias, const Finish &finish, const TileLayout &l,
               Tile tile, float *out) {
  const Filtering &s = l.shape;
  const std::size_t period = s.out_period;
  const std::size_t rows = smaller(kMade, s.height - tile.top);
  const std::size_t columns = smaller(kMade, s.width - tile.left);
  for (std::size_t phase = 0; phase < period * period; ++phase)
    for (std::size_t channel = 0; channel < s.outputs; channel += kLanes) {
      const std::size_t down = phase / period, across = phase % period;
      const std::size_t count = smaller(kLanes, s.outputs - channel);
      const std::size_t output = phase * s.outputs + channel;
      const float *const from = made + phase * l.outputs + channel;
      const Lanes first = load(bias + output, count);
      Lanes part[kSeen][kMade];
      for (std::size_t i = 0; i < kSeen; ++i) {
        Lanes row[kSeen];
        for (std::size_t j = 0; j < kSeen; ++j) row[j] = load(from + (i * kSeen + j) * l.made_step);
        make(row, part[i]);
      }
      for (std::size_t j = 0; j < columns; ++j) {
        Lanes column[kSeen], values[kMade];
        for (std::size_t i = 0; i < kSeen; ++i) column[i] = part[i][j];
        make(column, values);
        for (std::size_t i = 0; i < rows; ++i) {
          const std::size_t y = (tile.top + i) * period + down;
          const std::size_t z = (tile.left + j) * period + across;
          const std::size_t place = (y * s.width * period + z) * s.outputs + channel;
          if (channel % kCacheLine == 0) {
            const std::size_t next = place + kMade * period * s.outputs;
            fetch(out + next);
            if (finish.plus != nullptr) fetch(finish.plus + next);
          }
          finish_floats(finish, out, place, output, plus(values[i], first), count);
        }
      }
    }
}

void see_filters(const float *weight, const TileLayout &l, std::size_t panel, float *filters) {
  const Filtering &s = l.shape;
  const std::size_t all = s.inputs * s.period * s.period, phases = s.out_period * s.out_period;
  for (std::size_t column = panel * kColumns; column < (panel + 1) * kColumns; column += kLanes)
    for (std::size_t k = 0; k < l.depth; ++k) {
      alignas(64) float tap[9][kLanes] = {};
      const std::size_t input = k / l.inputs * s.inputs + k % l.inputs;
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const std::size_t phase = (column + lane) / l.outputs, output = (column + lane) % l.outputs;
        if (k % l.inputs >= s.inputs || phase >= phases || output >= s.outputs) continue;
        const float *const from = weight + ((phase * s.outputs + output) * all + input) * 9;
        for (std::size_t t = 0; t < 9; ++t) tap[t][lane] = from[t];
      }
      Lanes down[3][kSeen];
      for (std::size_t j = 0; j < 3; ++j) {
        const Lanes taps[3] = {load(tap[j]), load(tap[3 + j]), load(tap[6 + j])};
        see_taps(taps, down[j]);
      }
      float *const place = filters + (panel * l.depth + k) * kColumns + column % kColumns;
      for (std::size_t i = 0; i < kSeen; ++i) {
        const Lanes taps[3] = {down[0][i], down[1][i], down[2][i]};
        Lanes seen[kSeen];
        see_taps(taps, seen);
        for (std::size_t j = 0; j < kSeen; ++j)
          store(place + (i * kSeen + j) * l.filter_step, seen[j]);
      }
    }
}

void filter_tiles(const float *x, const float *filters, const float *bias, const Finish &finish,
                  const TileLayout &l, std::size_t part, float *seen, float *made, float *out) {
  const std::size_t first = part * l.tiles;
  const std::size_t count = smaller(l.tiles, l.rows * l.columns - first);
  for (std::size_t t = 0; t < count; ++t) see_tile(x, l, Tile(l, first + t), seen + t * l.depth);
  for (std::size_t product = 0; product < kProducts; ++product)
    products<false>(count, seen + product * l.seen_step, l.width / kColumns,
                    filters + product * l.filter_step, made + product * l.made_step,
                    {l.depth, l.depth, l.width, l.depth * kColumns});
  for (std::size_t t = 0; t < count; ++t)
    make_tile(made + t * l.width, bias, finish, l, Tile(l, first + t), out);
}

void see_for_gradient(const float *x, const float *gradient, const TileLayout &l, std::size_t tile,
                      float *seen, float *spread_to) {
  see_tile(x, l, Tile(l, tile), seen);
  spread_tile(gradient, l, Tile(l, tile), spread_to);
}

void add_gradient(const float *seen, const float *spread_from, const TileLayout &l,
                  std::size_t tiles, float *sums) {
  products<true>(l.depth, seen, l.width / kColumns, spread_from, sums,
                 {tiles, 1, l.width, kColumns, l.depth, l.width});
}

void make_gradient(const float *sums, const TileLayout &l, float *gradient) {
  const Filtering &s = l.shape;
  for (std::size_t k = 0; k < s.inputs; ++k)
    for (std::size_t first = 0; first < s.outputs; first += kLanes) {
      Lanes down[kSeen][3];
      for (std::size_t i = 0; i < kSeen; ++i) {
        Lanes row[kSeen];
        for (std::size_t j = 0; j < kSeen; ++j)
          row[j] = load(sums + (i * kSeen + j) * l.filter_step + k * l.width + first);
        gather_taps(row, down[i]);
      }
      for (std::size_t j = 0; j < 3; ++j) {
        Lanes column[kSeen], taps[3];
        for (std::size_t i = 0; i < kSeen; ++i) column[i] = down[i][j];
        gather_taps(column, taps);
        for (std::size_t i = 0; i < 3; ++i) {
          alignas(64) float lane[kLanes];
          store(lane, taps[i]);
          for (std::size_t o = 0; o < smaller(kLanes, s.outputs - first); ++o)
            gradient[((first + o) * s.inputs + k) * 9 + i * 3 + j] = lane[o];
        }
      }
    }
}

}  // namespace
}  // namespace kodec
