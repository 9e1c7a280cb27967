// Convolutions tap by tap, and normalisation, which is a convolution of one tap over squares.
#include "float_panels.hpp"
#include "layer_kernels.hpp"

namespace kodec {
namespace {

// What a panel's sums begin with.
void begin(float *sums, std::size_t count, const float *bias, std::size_t columns) {
  const __m256 low = load_floats(bias, columns);
  const __m256 high =
      columns > kLanes ? load_floats(bias + kLanes, columns - kLanes) : _mm256_setzero_ps();
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
  const std::size_t to =
      c.width < c.side - margin ? 0 : (c.width - (c.side - margin)) / c.stride + 1;
  const auto at_border = [&](std::size_t p) {
    const std::size_t centre = p * c.stride;
    const std::size_t skipped = centre < margin ? margin - centre : 0;
    const std::size_t end = smaller(c.side, c.width + margin - centre);
    few_products<1, true>(row + (centre + skipped - margin) * c.inputs, step,
                          panel + skipped * c.inputs * kColumns, (end - skipped) * c.inputs,
                          sums + (p - first) * kColumns, kColumns);
  };
  std::size_t p = first;
  for (; p < smaller(last, from); ++p) at_border(p);
  if (p < smaller(last, to)) {
    const std::size_t count = smaller(last, to) - p;
    products<true>(count, row + (p * c.stride - margin) * c.inputs, step, panel, c.side * c.inputs,
                   sums + (p - first) * kColumns, kColumns);
    p += count;
  }
  for (; p < last; ++p) at_border(p);
}

}  // namespace

void convolve_row(const float *x, const float *panels, const float *bias, const Finish &finish,
                  float *out, const Convolution &c, std::size_t row) {
  const std::size_t margin = c.side / 2, width = c.out_width(), depth = c.side * c.inputs;
  alignas(64) float sums[kPositions * kColumns];
  for (std::size_t first = 0; first < width; first += kPositions) {
    const std::size_t last = smaller(first + kPositions, width);
    const float *panel = panels;
    for (std::size_t o = 0; o < c.outputs; o += kColumns) {
      const std::size_t columns = smaller(kColumns, c.outputs - o);
      begin(sums, last - first, bias + o, columns);
      for (std::size_t i = 0; i < c.side; ++i, panel += depth * kColumns) {
        const std::size_t y = row * c.stride + i;
        if (y >= margin && y - margin < c.height)
          add_row(x + (y - margin) * c.width * c.inputs, panel, c, first, last, sums);
      }
      for (std::size_t p = first; p < last; ++p)
        for (std::size_t k = 0; k < columns; k += kLanes)
          finish_floats(finish, out, (row * width + p) * c.outputs + o + k,
                        _mm256_load_ps(sums + (p - first) * kColumns + k), columns - k);
    }
  }
}

void normalise_positions(const float *x, const float *panels, const float *beta, float *out,
                         std::size_t positions, std::size_t channels, bool inverse,
                         float *squares) {
  for (std::size_t i = 0; i < positions * channels; ++i) squares[i] = x[i] * x[i];
  alignas(64) float sums[kPositions * kColumns];
  for (std::size_t o = 0; o < channels; o += kColumns) {
    begin(sums, positions, beta + o, smaller(kColumns, channels - o));
    products<true>(positions, squares, channels, panels + o * channels, channels, sums, kColumns);
    for (std::size_t p = 0; p < positions; ++p)
      for (std::size_t k = 0; k < kColumns && o + k < channels; k += kLanes) {
        const std::size_t place = p * channels + o + k, lanes = channels - o - k;
        const __m256 root = _mm256_sqrt_ps(_mm256_load_ps(sums + p * kColumns + k));
        const __m256 value = load_floats(x + place, lanes);
        store_floats(out + place, inverse ? _mm256_mul_ps(value, root) : _mm256_div_ps(value, root),
                     lanes);
      }
  }
}

}  // namespace kodec
