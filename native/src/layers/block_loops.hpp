// Pixels to blocks and back, with filters across the blocks' boundaries.
#pragma once

#include <cstring>

#include "float_lanes.hpp"
#include "layer_kernels.hpp"

namespace kodec {
namespace {

// A row of one component between a plane and its blocks.
struct BlockRow {
  std::size_t side, width, channels, first;

  BlockRow(const PixelBlocks &s, std::size_t component, std::size_t y)
      : side(s.side),
        width(s.width),
        channels(s.components * s.side * s.side),
        first(y / s.side * (s.width / s.side) * channels +
              (component * s.side + y % s.side) * s.side) {}

  void to_blocks(const float *line, float *blocks) const {
    float *to = blocks + first;
    for (std::size_t x = 0; x < width; x += side, to += channels)
      std::memcpy(to, line + x, side * sizeof(float));
  }
  void from_blocks(const float *blocks, float *line) const {
    const float *from = blocks + first;
    for (std::size_t x = 0; x < width; x += side, from += channels)
      std::memcpy(line + x, from, side * sizeof(float));
  }
};

// Across all inner boundaries of a row. turned: the matrix, its columns in rows.
void filter_along_row(const float *line, const float *turned, const PixelBlocks &s, float *out) {
  const std::size_t half = s.side / 2;
  std::memcpy(out, line, half * sizeof(float));
  for (std::size_t x = half; x + half < s.width; x += s.side)
    for (std::size_t v = 0; v < s.side; v += kLanes) {
      const std::size_t count = smaller(kLanes, s.side - v);
      Lanes sum = none();
      for (std::size_t i = 0; i < s.side; ++i)
        sum = fused(all(line[x + i]), load(turned + i * s.side + v, count), sum);
      store(out + x + v, sum, count);
    }
  std::memcpy(out + s.width - half, line + s.width - half, half * sizeof(float));
}

// One row of a strip filtered down its columns. weights: a row of the matrix.
void filter_down(const float *rows, const float *weights, const PixelBlocks &s, float *out) {
  for (std::size_t x = 0; x < s.width; x += kLanes) {
    const std::size_t count = smaller(kLanes, s.width - x);
    Lanes sum = none();
    for (std::size_t i = 0; i < s.side; ++i)
      sum = fused(all(weights[i]), load(rows + i * s.width + x, count), sum);
    store(out + x, sum, count);
  }
}

void filter_strip(const float *from, const BoundaryFilter &filter, const float *plus, float *to,
                  const PixelBlocks &s, bool to_blocks, std::size_t component, std::size_t strip,
                  float *room) {
  const std::size_t half = s.side / 2, plane = component * s.height * s.width;
  // With filters strips begin in the middle of blocks, and the first and the last are halves.
  const std::size_t above = filter.matrix == nullptr || strip == 0 ? 0 : half;
  const std::size_t first = strip * s.side - above;
  const std::size_t last = smaller(strip * s.side + (filter.matrix == nullptr ? s.side : half),
                                   s.height);
  float *const line = room, *const rows = room + s.width;
  for (std::size_t y = first; y < last; ++y) {
    float *const own = rows + (y - first) * s.width;
    float *const unfiltered = filter.matrix == nullptr ? own : line;
    if (to_blocks)
      for (std::size_t x = 0; x < s.width; ++x)
        unfiltered[x] = from[plane + y * s.width + x] + filter.before;
    else
      BlockRow(s, component, y).from_blocks(from, unfiltered);
    if (filter.matrix != nullptr) filter_along_row(line, filter.turned, s, own);
  }
  const bool down = filter.matrix != nullptr && last - first == s.side;
  for (std::size_t y = first; y < last; ++y) {
    const float *ready = rows + (y - first) * s.width;
    if (down) {
      filter_down(rows, filter.matrix + (y - first) * s.side, s, line);
      ready = line;
    }
    if (to_blocks) {
      BlockRow(s, component, y).to_blocks(ready, to);
      continue;
    }
    const std::size_t at = plane + y * s.width;
    if (plus != nullptr)
      for (std::size_t x = 0; x < s.width; ++x)
        to[at + x] = ready[x] + filter.after + plus[at + x];
    else
      for (std::size_t x = 0; x < s.width; ++x) to[at + x] = ready[x] + filter.after;
  }
}

}  // namespace
}  // namespace kodec
