// Convolutions tap by tap, and normalisation, which is a convolution of one tap over squares.
#include <vector>

#include "buffer.hpp"
#include "float_panels.hpp"
#include "layers.hpp"
#include "tasks.hpp"

namespace kodec {
namespace {

// Positions at a time: with a panel's sums and a few rows they stay in the first cache.
constexpr std::size_t kPositions = 96;

// (outputs, inputs, side, side) -> (panels, side, side * inputs, 16), zeros behind the last output.
Buffer packed(const float *weight, const Convolution &c) {
  const std::size_t panels = (c.outputs + kColumns - 1) / kColumns, taps = c.side * c.side;
  Buffer out(panels * taps * c.inputs * kColumns);
  float *to = out.data();
  for (std::size_t panel = 0; panel < panels; ++panel)
    for (std::size_t tap = 0; tap < taps; ++tap)
      for (std::size_t i = 0; i < c.inputs; ++i)
        for (std::size_t o = panel * kColumns; o < (panel + 1) * kColumns; ++o)
          *to++ = o < c.outputs ? weight[(o * c.inputs + i) * taps + tap] : 0.0f;
  return out;
}

// What a panel's sums begin with.
void begin(float *sums, std::size_t count, const float *bias, std::size_t columns) {
  const __m256 low = load_floats(bias, columns);
  const __m256 high = columns > kLanes ? load_floats(bias + kLanes, columns - kLanes) : _mm256_setzero_ps();
  for (std::size_t p = 0; p < count; ++p) {
    _mm256_storeu_ps(sums + p * kColumns, low);
    _mm256_storeu_ps(sums + p * kColumns + kLanes, high);
  }
}

// Adds what a kernel's row finds in a row of the picture, for positions first..last of it.
void add_row(const float *row, const float *panel, const Convolution &c, std::size_t first,
             std::size_t last, float *sums) {
  const std::size_t margin = c.side / 2, step = c.stride * c.inputs;
  // Positions where all of the kernel's row lies in the picture.
  const std::size_t from = (margin + c.stride - 1) / c.stride;
  const std::size_t to = c.width < c.side - margin ? 0 : (c.width - (c.side - margin)) / c.stride + 1;
  const auto at_border = [&](std::size_t p) {
    const std::size_t centre = p * c.stride;
    const std::size_t skipped = centre < margin ? margin - centre : 0;
    const std::size_t end = std::min(c.side, c.width + margin - centre);
    few_products<1, true>(row + (centre + skipped - margin) * c.inputs, step,
                        panel + skipped * c.inputs * kColumns, (end - skipped) * c.inputs,
                        sums + (p - first) * kColumns, kColumns);
  };
  std::size_t p = first;
  for (; p < std::min(last, from); ++p) at_border(p);
  if (p < std::min(last, to)) {
    const std::size_t count = std::min(last, to) - p;
    products<true>(count, row + (p * c.stride - margin) * c.inputs, step, panel, c.side * c.inputs,
                 sums + (p - first) * kColumns, kColumns);
    p += count;
  }
  for (; p < last; ++p) at_border(p);
}

}  // namespace

void convolution(const float *x, const float *weight, const float *bias, const Finish &finish,
                 float *out, const Convolution &c, std::size_t threads) {
  const Buffer panels = packed(weight, c);
  const std::size_t margin = c.side / 2, width = c.out_width(), depth = c.side * c.inputs;
  share_tasks(c.out_height(), threads, [&](std::size_t y, std::size_t) {
    alignas(64) float sums[kPositions * kColumns];
    for (std::size_t first = 0; first < width; first += kPositions) {
      const std::size_t last = std::min(first + kPositions, width);
      const float *panel = panels.data();
      for (std::size_t o = 0; o < c.outputs; o += kColumns) {
        const std::size_t columns = std::min(kColumns, c.outputs - o);
        begin(sums, last - first, bias + o, columns);
        for (std::size_t i = 0; i < c.side; ++i, panel += depth * kColumns) {
          const std::size_t row = y * c.stride + i;
          if (row >= margin && row - margin < c.height)
            add_row(x + (row - margin) * c.width * c.inputs, panel, c, first, last, sums);
        }
        for (std::size_t p = first; p < last; ++p)
          for (std::size_t k = 0; k < columns; k += kLanes)
            finish_floats(finish, out, (y * width + p) * c.outputs + o + k,
                          _mm256_load_ps(sums + (p - first) * kColumns + k), columns - k);
      }
    }
  });
}

void divisive_normalisation(const float *x, const float *gamma, const float *beta, float *out,
               std::size_t positions, std::size_t channels, bool inverse, std::size_t threads) {
  const Buffer panels = packed(gamma, {1, 1, channels, channels, 1, 1});
  const std::size_t tasks = (positions + kPositions - 1) / kPositions;
  std::vector<Buffer> buffers;
  for (std::size_t worker = 0; worker < std::min(threads, tasks); ++worker)
    buffers.emplace_back(kPositions * channels);
  share_tasks(tasks, threads, [&](std::size_t task, std::size_t worker) {
    const std::size_t first = task * kPositions, count = std::min(kPositions, positions - first);
    float *const squares = buffers[worker].data();
    for (std::size_t k = 0; k < count * channels; ++k)
      squares[k] = x[first * channels + k] * x[first * channels + k];
    alignas(64) float sums[kPositions * kColumns];
    for (std::size_t o = 0; o < channels; o += kColumns) {
      begin(sums, count, beta + o, std::min(kColumns, channels - o));
      products<true>(count, squares, channels, panels.data() + o * channels, channels, sums,
                   kColumns);
      for (std::size_t p = 0; p < count; ++p)
        for (std::size_t k = 0; k < kColumns && o + k < channels; k += kLanes) {
          const std::size_t place = (first + p) * channels + o + k, lanes = channels - o - k;
          const __m256 root = _mm256_sqrt_ps(_mm256_load_ps(sums + p * kColumns + k));
          const __m256 value = load_floats(x + place, lanes);
          store_floats(out + place, inverse ? _mm256_mul_ps(value, root) : _mm256_div_ps(value, root),
                       lanes);
        }
    }
  });
}

}  // namespace kodec
