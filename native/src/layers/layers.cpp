#include "layers.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "../errors.hpp"
#include "buffer.hpp"
#include "layer_kernels.hpp"
#include "tasks.hpp"

namespace kodec {

const LayerKernels *layer_kernels() {
  std::vector<const LayerKernels *> possible;  // From the narrowest to the widest.
#if defined(KODEC_X86_LAYERS)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) possible.push_back(&kAvx2Layers);
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    possible.push_back(&kAvx512Layers);
#endif
  const char *const variable = std::getenv("KODEC_LAYERS");
  const std::string wanted = variable == nullptr ? "" : variable;
  if (wanted.empty()) return possible.empty() ? nullptr : possible.back();
  if (wanted == "off") return nullptr;
  std::string names = "off";
  for (const LayerKernels *kernels : possible) {
    if (wanted == kernels->name) return kernels;
    names += std::string(", ") + kernels->name;
  }
  throw InvalidInputError("KODEC_LAYERS is '" + wanted + "'; on this machine it can be " + names);
}

bool has_layers() { return layer_kernels() != nullptr; }

const char *layers_name() {
  const LayerKernels *const kernels = layer_kernels();
  return kernels == nullptr ? "off" : kernels->name;
}

namespace {

// Tiles at a time: few enough for what their products see to stay in the caches, enough for the
// filters to be worth reading.
constexpr std::size_t kTiles = 24;
// Of a weight's gradient, where every product's sums are read and written for so many tiles.
constexpr std::size_t kGradientTiles = 256;
// Between products, besides what they hold: powers of two apart, they would share cache sets.
constexpr std::size_t kGap = 16;

// (phases, outputs, inputs, taps) -> (panels of all phases, taps, inputs, 16), zeros behind a phase's
// last output.
Buffer packed(const float *weight, std::size_t phases, std::size_t outputs, std::size_t inputs,
              std::size_t taps) {
  Buffer out(phases * rounded_up(outputs, kColumns) * taps * inputs);
  float *to = out.data();
  for (std::size_t phase = 0; phase < phases; ++phase, weight += outputs * inputs * taps)
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
  l.inputs = rounded_up(s.inputs, kTogether);
  l.depth = l.inputs * s.period * s.period;
  l.outputs = rounded_up(s.outputs, kTogether);
  l.width = rounded_up(l.outputs * s.out_period * s.out_period, kColumns);
  l.seen_step = l.tiles * l.depth + kGap;
  l.made_step = l.tiles * l.width + kGap;
  l.filter_step = l.depth * l.width + kGap;
  return l;
}

}  // namespace

Buffer convolution_filters(const float *weight, const Convolution &shape) {
  return packed(weight, shape.phases(), shape.outputs, shape.inputs, shape.side * shape.side);
}

void convolution(const float *x, const float *filters, const float *bias, const Finish &finish,
                 float *out, const Convolution &shape, std::size_t threads) {
  Convolution c = shape;
  // Where rows do not matter they are one.
  if (c.side == 1 && c.stride == 1 && c.out_period == 1) c.width *= c.height, c.height = 1;
  const LayerKernels *const loops = layer_kernels();
  const std::size_t parts = (c.out_width() + kPositions - 1) / kPositions;
  share_tasks(c.out_height() * parts, threads, [&](std::size_t task, std::size_t) {
    loops->convolve_part(x, filters, bias, finish, out, c, task / parts, task % parts * kPositions);
  });
}

Buffer minimal_filters(const float *weight, const Filtering &shape, std::size_t threads) {
  const TileLayout l = layout_of(shape);
  const LayerKernels *const loops = layer_kernels();
  Buffer filters(kProducts * l.filter_step);
  share_tasks(l.width / kColumns, threads, [&](std::size_t panel, std::size_t) {
    loops->see_filters(weight, l, panel, filters.data());
  });
  return filters;
}

void minimal_filtering(const float *x, const float *filters, const float *bias,
                       const Finish &finish, float *out, const Filtering &shape,
                       std::size_t threads) {
  const TileLayout l = layout_of(shape);
  const LayerKernels *const loops = layer_kernels();
  const std::size_t parts = (l.rows * l.columns + l.tiles - 1) / l.tiles;
  const std::size_t workers = std::min(threads, parts);
  const std::vector<Buffer> seen = one_each(workers, kProducts * l.seen_step);
  const std::vector<Buffer> made = one_each(workers, kProducts * l.made_step);
  share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
    loops->filter_tiles(x, filters, bias, finish, l, part, seen[worker].data(),
                        made[worker].data(), out);
  });
}

void filter_gradient(const float *x, const float *gradient, float *out, std::size_t items,
                     const Filtering &shape, std::size_t threads) {
  const TileLayout l = layout_of(shape, kGradientTiles, items);
  const std::size_t each = l.rows * l.columns, all = items * each;
  const std::size_t positions = shape.height * shape.width;
  const LayerKernels *const loops = layer_kernels();
  Buffer sums(kProducts * l.filter_step);
  std::fill_n(sums.data(), kProducts * l.filter_step, 0.0f);
  const Buffer seen(kProducts * l.seen_step), spread(kProducts * l.made_step);
  for (std::size_t first = 0; first < all; first += l.tiles) {
    const std::size_t count = std::min(l.tiles, all - first);
    share_tasks(count, threads, [&](std::size_t t, std::size_t) {
      const std::size_t item = (first + t) / each;
      loops->see_for_gradient(x + item * positions * shape.inputs,
                       gradient + item * positions * shape.outputs, l, (first + t) % each,
                       seen.data() + t * l.depth, spread.data() + t * l.width);
    });
    share_tasks(kProducts, threads, [&](std::size_t product, std::size_t) {
      loops->add_gradient(seen.data() + product * l.seen_step, spread.data() + product * l.made_step, l,
                   count, sums.data() + product * l.filter_step);
    });
  }
  loops->make_gradient(sums.data(), l, out);
}

void divisive_normalisation(const float *x, const float *gamma, const float *beta, float *out,
                            std::size_t positions, std::size_t channels, bool inverse,
                            std::size_t threads) {
  const LayerKernels *const loops = layer_kernels();
  const Buffer panels = packed(gamma, 1, channels, channels, 1);
  const std::size_t parts = (positions + kPositions - 1) / kPositions;
  const std::vector<Buffer> squares = one_each(std::min(threads, parts), kPositions * channels);
  share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
    const std::size_t first = part * kPositions, place = first * channels;
    loops->normalise_positions(x + place, panels.data(), beta, out + place,
                        std::min(kPositions, positions - first), channels, inverse,
                        squares[worker].data());
  });
}

void gelu(const float *x, const float *affine, float *out, std::size_t items, std::size_t positions,
          std::size_t channels, std::size_t threads) {
  const LayerKernels *const loops = layer_kernels();
  const std::size_t step = positions * channels;
  share_tasks(items, threads, [&](std::size_t item, std::size_t) {
    loops->gelu_positions(x + item * step, affine == nullptr ? nullptr : affine + item * 2 * channels,
                   out + item * step, positions, channels);
  });
}

void gelu_gradient(const float *x, const float *affine, const float *gradient, float *out,
                   float *affine_gradient, std::size_t items, std::size_t positions,
                   std::size_t channels, std::size_t threads) {
  const LayerKernels *const loops = layer_kernels();
  const std::size_t step = positions * channels;
  if (affine != nullptr) std::fill_n(affine_gradient, items * 2 * channels, 0.0f);
  share_tasks(items, threads, [&](std::size_t item, std::size_t) {
    const std::size_t place = item * 2 * channels;
    loops->gelu_gradient_positions(x + item * step, affine == nullptr ? nullptr : affine + place,
                            gradient + item * step, out + item * step,
                            affine == nullptr ? nullptr : affine_gradient + place, positions,
                            channels);
  });
}

}  // namespace kodec
