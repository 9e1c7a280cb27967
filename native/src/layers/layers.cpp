#include "layers.hpp"

#include <vector>

#include "buffer.hpp"
#include "kernels.hpp"
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
#endif

namespace {

// Tiles at a time: few enough for what their products see to stay in the caches, enough for the
// filters to be worth reading.
constexpr std::size_t kTiles = 24;
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

TileLayout layout_of(const Filtering &s) {
  TileLayout l;
  l.shape = s;
  l.rows = (s.height + kMade - 1) / kMade;
  l.columns = (s.width + kMade - 1) / kMade;
  l.tiles = std::min(kTiles, l.rows * l.columns);
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

}  // namespace kodec
