// Convolutions tap by tap, and normalisation, which is a convolution of one tap over squares.
#pragma once

#include "panel_loops.hpp"

namespace kodec {
namespace {

// Sums of one portion: a row of them for each position.
constexpr std::size_t kSumStep = kMostPanels * kColumns;

// What sums begin with: biases of `columns` outputs, zeros behind them.
inline void begin(float *sums, std::size_t count, const float *bias, std::size_t columns) {
  for (std::size_t k = 0; k < kSumStep; k += kLanes) {
    const Lanes first = k < columns ? load(bias + k, columns - k) : none();
    for (std::size_t p = 0; p < count; ++p) store(sums + p * kSumStep + k, first);
  }
}

// Adds what a kernel's row finds in a row of the picture, for positions first..last of it.
void add_row(const float *row, const float *panels, std::size_t panel_count, const Convolution &c,
             std::size_t first, std::size_t last, float *sums) {
  const std::size_t margin = c.margin(), step = c.stride * c.inputs;
  const std::size_t panel_step = c.side * c.side * c.inputs * kColumns;
  // Positions where all of the kernel's row lies in the picture.
  const std::size_t from = (margin + c.stride - 1) / c.stride;
  const std::size_t to =
      c.width < c.side - margin ? 0 : (c.width - (c.side - margin)) / c.stride + 1;
  const auto at_border = [&](std::size_t p) {
    const std::size_t centre = p * c.stride;
    const std::size_t skipped = centre < margin ? margin - centre : 0;
    const std::size_t end = smaller(c.side, c.width + margin - centre);
    products<true>(1, row + (centre + skipped - margin) * c.inputs, panel_count,
                   panels + skipped * c.inputs * kColumns, sums + (p - first) * kSumStep,
                   {(end - skipped) * c.inputs, step, kSumStep, panel_step});
  };
  std::size_t p = first;
  for (; p < smaller(last, from); ++p) at_border(p);
  if (p < smaller(last, to)) {
    const std::size_t count = smaller(last, to) - p;
    products<true>(count, row + (p * c.stride - margin) * c.inputs, panel_count, panels,
                   sums + (p - first) * kSumStep,
                   {c.side * c.inputs, step, kSumStep, panel_step});
    p += count;
  }
  for (; p < last; ++p) at_border(p);
}

void convolve_part(const float *x, const float *panels, const float *bias, const Finish &finish,
                   float *out, const Convolution &c, std::size_t row, std::size_t first) {
  const std::size_t margin = c.margin(), depth = c.side * c.inputs, q = c.out_period;
  const std::size_t width = c.out_width(), last = smaller(first + kPositions, width);
  alignas(64) float sums[kPositions * kSumStep];
  for (std::size_t phase = 0; phase < q * q; ++phase) {
    const std::size_t y = row * q + phase / q, begin_of_phase = phase * c.outputs;
    for (std::size_t o = 0; o < c.outputs; o += kSumStep) {
      const std::size_t columns = smaller(kSumStep, c.outputs - o);
      const std::size_t count = (columns + kColumns - 1) / kColumns;
      begin(sums, last - first, bias + begin_of_phase + o, columns);
      for (std::size_t i = 0; i < c.side; ++i) {
        const std::size_t from = row * c.stride + i;
        if (from >= margin && from - margin < c.height)
          add_row(x + (from - margin) * c.width * c.inputs, panels + i * depth * kColumns, count, c,
                  first, last, sums);
      }
      panels += count * c.side * depth * kColumns;
      for (std::size_t p = first; p < last; ++p)
        for (std::size_t k = 0; k < columns; k += kLanes)
          finish_floats(finish, out, ((y * width + p) * q + phase % q) * c.outputs + o + k,
                        begin_of_phase + o + k, load(sums + (p - first) * kSumStep + k),
                        columns - k);
    }
  }
}

void normalise_positions(const float *x, const float *panels, const float *beta, float *out,
                         std::size_t positions, std::size_t channels, bool inverse,
                         float *squares) {
  for (std::size_t i = 0; i < positions * channels; ++i) squares[i] = x[i] * x[i];
  alignas(64) float sums[kPositions * kSumStep];
  for (std::size_t o = 0; o < channels; o += kSumStep) {
    const std::size_t columns = smaller(kSumStep, channels - o);
    begin(sums, positions, beta + o, columns);
    products<true>(positions, squares, (columns + kColumns - 1) / kColumns, panels + o * channels,
                   sums, {channels, channels, kSumStep, channels * kColumns});
    for (std::size_t p = 0; p < positions; ++p)
      for (std::size_t k = 0; k < columns; k += kLanes) {
        const std::size_t place = p * channels + o + k, lanes = columns - k;
        const Lanes energy = root(load(sums + p * kSumStep + k)), value = load(x + place, lanes);
        store(out + place, inverse ? times(value, energy) : by(value, energy), lanes);
      }
  }
}

}  // namespace
}  // namespace kodec
