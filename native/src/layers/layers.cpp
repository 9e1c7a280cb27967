#include "layers.hpp"

#include <algorithm>
#include <vector>

#include "buffer.hpp"
#include "layer_kernels.hpp"
#include "tasks.hpp"

namespace kodec {

#if defined(KODEC_X86_KERNELS)
bool has_layers() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
bool has_layers() { return false; }
void convolve_row(const float *, const float *, const float *, const Finish &, float *,
                  const Convolution &, std::size_t) {}
void normalise_positions(const float *, const float *, const float *, float *, std::size_t,
                         std::size_t, bool, float *) {}
void see_filters(const float *, const TileLayout &, float *) {}
void filter_tiles(const float *, const float *, const float *, const Finish &, const TileLayout &,
                  std::size_t, float *, float *, float *) {}
void see_for_gradient(const float *, const float *, const TileLayout &, std::size_t, float *,
                      float *) {}
void add_gradient(const float *, const float *, const TileLayout &, std::size_t, float *) {}
void make_gradient(const float *, const TileLayout &, float *) {}
void gelu_positions(const float *, const float *, float *, std::size_t, std::size_t) {}
void gelu_gradient_positions(const float *, const float *, const float *, float *, float *,
                             std::size_t, std::size_t) {}
#endif

namespace {

// Tiles at a time: few enough for what their products see to stay in the caches, enough for the
// filters to be worth reading.
constexpr std::size_t kTiles = 24;
// Of a weight's gradient, where every product's sums are read and written for so many tiles.
constexpr std::size_t kGradientTiles = 256;
// Between products, besides what they hold: powers of two apart, they would share cache sets.
constexpr std::size_t kGap = 16;

// (outputs, inputs, side, side) -> (panels, side, side * inputs, 16), zeros behind the last output.
Buffer packed(const float *weight, std::size_t outputs, std::size_t inputs, std::size_t taps) {
  Buffer out(rounded_up(outputs, kColumns) * taps * inputs);
  float *to = out.data();
  for (std::size_t first = 0; first < outputs; first += kColumns)
    for (std::size_t tap = 0; tap < taps; ++tap)
      for (std::size_t i = 0; i < inputs; ++i)
        for (std::size_t o = first; o < first + kColumns; ++o)
          *to++ = o < outputs ? weight[(o * inputs + i) * taps + tap] : 0.0f;
  return out;
}

std::vector<Buffer> one_each(std::size_t workers, std::size_t floats) {
  std::vector<Buffer> buffers;
  for (std::size_t worker = 0; worker < workers; ++worker) buffers.emplace_back(floats);
  return buffers;
}

TileLayout layout_of(const Filtering &s, std::size_t most_tiles = kTiles, std::size_t items = 1) {
  TileLayout l;
  l.shape = s;
  l.rows = (s.height + kMade - 1) / kMade;
  l.columns = (s.width + kMade - 1) / kMade;
  l.tiles = std::min(most_tiles, items * l.rows * l.columns);
  l.inputs = rounded_up(s.inputs, kLanes);
  l.depth = l.inputs * s.period * s.period;
  l.outputs = rounded_up(s.outputs, kLanes);
  l.width = rounded_up(l.outputs * s.out_period * s.out_period, kColumns);
  l.seen_step = l.tiles * l.depth + kGap;
  l.made_step = l.tiles * l.width + kGap;
  l.filter_step = l.depth * l.width + kGap;
  return l;
}

}  // namespace

void convolution(const float *x, const float *weight, const float *bias, const Finish &finish,
                 float *out, const Convolution &shape, std::size_t threads) {
  const Buffer panels = packed(weight, shape.outputs, shape.inputs, shape.side * shape.side);
  share_tasks(shape.out_height(), threads, [&](std::size_t row, std::size_t) {
    convolve_row(x, panels.data(), bias, finish, out, shape, row);
  });
}

void minimal_filtering(const float *x, const float *weight, const float *bias, const Finish &finish,
                       float *out, const Filtering &shape, std::size_t threads) {
  const TileLayout l = layout_of(shape);
  const Buffer filters(kProducts * l.filter_step);
  see_filters(weight, l, filters.data());
  const std::size_t parts = (l.rows * l.columns + l.tiles - 1) / l.tiles;
  const std::size_t workers = std::min(threads, parts);
  const std::vector<Buffer> seen = one_each(workers, kProducts * l.seen_step);
  const std::vector<Buffer> made = one_each(workers, kProducts * l.made_step);
  share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
    filter_tiles(x, filters.data(), bias, finish, l, part, seen[worker].data(), made[worker].data(),
                 out);
  });
}

void filter_gradient(const float *x, const float *gradient, float *out, std::size_t items,
                     const Filtering &shape, std::size_t threads) {
  const TileLayout l = layout_of(shape, kGradientTiles, items);
  const std::size_t each = l.rows * l.columns, all = items * each;
  const std::size_t positions = shape.height * shape.width;
  Buffer sums(kProducts * l.filter_step);
  std::fill_n(sums.data(), kProducts * l.filter_step, 0.0f);
  const Buffer seen(kProducts * l.seen_step), spread(kProducts * l.made_step);
  for (std::size_t first = 0; first < all; first += l.tiles) {
    const std::size_t count = std::min(l.tiles, all - first);
    share_tasks(count, threads, [&](std::size_t t, std::size_t) {
      const std::size_t item = (first + t) / each;
      see_for_gradient(x + item * positions * shape.inputs,
                       gradient + item * positions * shape.outputs, l, (first + t) % each,
                       seen.data() + t * l.depth, spread.data() + t * l.width);
    });
    share_tasks(kProducts, threads, [&](std::size_t product, std::size_t) {
      add_gradient(seen.data() + product * l.seen_step, spread.data() + product * l.made_step, l,
                   count, sums.data() + product * l.filter_step);
    });
  }
  make_gradient(sums.data(), l, out);
}

void divisive_normalisation(const float *x, const float *gamma, const float *beta, float *out,
                            std::size_t positions, std::size_t channels, bool inverse,
                            std::size_t threads) {
  const Buffer panels = packed(gamma, channels, channels, 1);
  const std::size_t parts = (positions + kPositions - 1) / kPositions;
  const std::vector<Buffer> squares = one_each(std::min(threads, parts), kPositions * channels);
  share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
    const std::size_t first = part * kPositions, place = first * channels;
    normalise_positions(x + place, panels.data(), beta, out + place,
                        std::min(kPositions, positions - first), channels, inverse,
                        squares[worker].data());
  });
}

void gelu(const float *x, const float *affine, float *out, std::size_t items, std::size_t positions,
          std::size_t channels, std::size_t threads) {
  const std::size_t step = positions * channels;
  share_tasks(items, threads, [&](std::size_t item, std::size_t) {
    gelu_positions(x + item * step, affine == nullptr ? nullptr : affine + item * 2 * channels,
                   out + item * step, positions, channels);
  });
}

void gelu_gradient(const float *x, const float *affine, const float *gradient, float *out,
                   float *affine_gradient, std::size_t items, std::size_t positions,
                   std::size_t channels, std::size_t threads) {
  const std::size_t step = positions * channels;
  if (affine != nullptr) std::fill_n(affine_gradient, items * 2 * channels, 0.0f);
  share_tasks(items, threads, [&](std::size_t item, std::size_t) {
    const std::size_t place = item * 2 * channels;
    gelu_gradient_positions(x + item * step, affine == nullptr ? nullptr : affine + place,
                            gradient + item * step, out + item * step,
                            affine == nullptr ? nullptr : affine_gradient + place, positions,
                            channels);
  });
}

}  // namespace kodec
