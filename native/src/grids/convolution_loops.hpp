// Small convolutions over bands of rows, which are copied with all that lies around them.
#pragma once

#include "grid_kernels.hpp"
#include "lanes.hpp"

namespace kodec {
namespace {

// Rows of a band, with floats between rows and between channels.
struct Band {
  float *data;
  std::size_t rows, step;

  float *row(std::size_t channel, std::size_t row) const {
    return data + (channel * rows + row) * step;
  }
};

constexpr int kConvolutionVectors = kLanes == 16 ? 4 : 2;
constexpr int kConvolutionOutputs = kLanes == 16 ? 4 : 3;

// out[j][x] = bias[j] + the taps' sums at `columns` places of one row, in whole vectors.
template <int J>
void some_outputs(const Band &in, std::size_t inputs, std::size_t side, std::size_t row,
                  const float *weight, const float *bias, std::size_t columns, float *const *out) {
  const std::size_t each = inputs * side * side;
  for (std::size_t at = 0; at < columns; at += kConvolutionVectors * kLanes) {
    Lanes sums[J][kConvolutionVectors];
    for (int j = 0; j < J; ++j)
      for (int v = 0; v < kConvolutionVectors; ++v)
        sums[j][v] = all(bias == nullptr ? 0.0f : bias[j]);
    const float *taps = weight;
    for (std::size_t i = 0; i < inputs; ++i)
      for (std::size_t y = 0; y < side; ++y) {
        const float *const from = in.row(i, row + y) + at;
        for (std::size_t tap = 0; tap < side; ++tap, ++taps) {
          Lanes x[kConvolutionVectors];
          for (int v = 0; v < kConvolutionVectors; ++v) x[v] = load(from + tap + v * kLanes);
          for (int j = 0; j < J; ++j) {
            const Lanes w = all(taps[j * each]);
            for (int v = 0; v < kConvolutionVectors; ++v) sums[j][v] += w * x[v];
          }
        }
      }
    for (int j = 0; j < J; ++j)
      for (int v = 0; v < kConvolutionVectors; ++v) store(out[j] + at + v * kLanes, sums[j][v]);
  }
}

void convolve_band_row(const Band &in, std::size_t inputs, std::size_t outputs, std::size_t side,
                       std::size_t row, const float *weight, const float *bias,
                       std::size_t columns, float *const *out) {
  const std::size_t each = inputs * side * side;
  std::size_t blocks = (outputs + kConvolutionOutputs - 1) / kConvolutionOutputs;
  for (std::size_t j = 0; j < outputs; --blocks) {
    const std::size_t count = (outputs - j + blocks - 1) / blocks;
    const float *const own = weight + j * each, *const first = bias == nullptr ? nullptr : bias + j;
    switch (count) {
      case 1: some_outputs<1>(in, inputs, side, row, own, first, columns, out + j); break;
      case 2: some_outputs<2>(in, inputs, side, row, own, first, columns, out + j); break;
      case 3: some_outputs<3>(in, inputs, side, row, own, first, columns, out + j); break;
      default: some_outputs<4>(in, inputs, side, row, own, first, columns, out + j);
    }
    j += count;
  }
}

// A band's rows, `margin` more above and below and at both sides: edges repeated.
Band repeated_band(const SmallConvolution &c, const float *x, std::size_t first, std::size_t last,
                   float *room) {
  const std::size_t margin = c.side / 2, plane = c.height * c.width;
  const Band band{room, last - first + 2 * margin, c.width + 4 * margin + kSlack};
  for (std::size_t i = 0; i < c.inputs; ++i)
    for (std::size_t r = 0; r < band.rows; ++r) {
      const std::size_t wanted = first + r;  // plus margin
      const std::size_t y = wanted < margin ? 0 : wanted - margin;
      const float *const from = x + i * plane + (y < c.height ? y : c.height - 1) * c.width;
      float *const to = band.row(i, r);
      for (std::size_t m = 0; m < margin; ++m) to[m] = from[0];
      for (std::size_t p = 0; p < c.width; ++p) to[margin + p] = from[p];
      for (std::size_t p = margin + c.width; p < band.step; ++p)
        to[p] = p < 2 * margin + c.width ? from[c.width - 1] : 0.0f;
    }
  return band;
}

// Gradients of what a layer gave, 2 * margin more above, below and at both sides: zeros there, and
// where the rectifier was.
Band gradient_band(const SmallConvolution &c, const float *gradient, const float *out,
                   std::size_t first, std::size_t last, float *room) {
  const std::size_t margin = c.side / 2, plane = c.height * c.width;
  const Band band{room, last - first + 4 * margin, c.width + 4 * margin + kSlack};
  for (std::size_t j = 0; j < c.outputs; ++j)
    for (std::size_t r = 0; r < band.rows; ++r) {
      float *const to = band.row(j, r);
      const std::size_t wanted = first + r;  // plus 2 * margin
      const bool inside = wanted >= 2 * margin && wanted - 2 * margin < c.height;
      for (std::size_t p = 0; p < band.step; ++p) to[p] = 0;
      if (!inside) continue;
      const std::size_t place = j * plane + (wanted - 2 * margin) * c.width;
      const float *const from = gradient + place;
      for (std::size_t p = 0; p < c.width; ++p)
        to[2 * margin + p] = !c.rectified || out[place + p] > 0.0f ? from[p] : 0.0f;
    }
  return band;
}

void convolve_rows(const ConvolutionWork &work) {
  const SmallConvolution &c = *work.shape;
  const std::size_t margin = c.side / 2, plane = c.height * c.width;
  const Band band = repeated_band(c, work.x, work.first, work.last, work.room);
  float *const made = work.room + c.inputs * band.rows * band.step;
  float *rows[kMostWidth];
  for (std::size_t j = 0; j < c.outputs; ++j) rows[j] = made + j * band.step;
  for (std::size_t y = work.first; y < work.last; ++y) {
    const std::size_t r = y - work.first;
    convolve_band_row(band, c.inputs, c.outputs, c.side, r, work.weight, work.bias, c.width, rows);
    for (std::size_t j = 0; j < c.outputs; ++j) {
      float *const to = work.out + j * plane + y * c.width;
      const float *const own = c.residual ? band.row(j, r + margin) + margin : nullptr;
      for (std::size_t p = 0; p < c.width; ++p) {
        float value = rows[j][p];
        if (own != nullptr) value += own[p];
        to[p] = c.rectified && !(value > 0.0f) ? 0.0f : value;
      }
    }
  }
}

// sums[j][t] of gradient row j times the row of x `t` to the right, over all rows of the band.
template <int J, int T>
void tap_sums(const Band &x, const Band &gradient, std::size_t j, std::size_t i, std::size_t y,
              std::size_t first_tap, std::size_t margin, std::size_t rows, std::size_t width,
              float *out, std::size_t each) {
  Lanes sums[J][T] = {};
  for (std::size_t r = 0; r < rows; ++r) {
    const float *const from = x.row(i, r + y) + first_tap;
    const float *given[J];
    for (int a = 0; a < J; ++a) given[a] = gradient.row(j + a, r + 2 * margin) + 2 * margin;
    for (std::size_t p = 0; p < width; p += kLanes) {
      Lanes shifted[T];
      for (int t = 0; t < T; ++t) shifted[t] = load(from + p + t);
      for (int a = 0; a < J; ++a) {
        const Lanes g = load(given[a] + p);
        for (int t = 0; t < T; ++t) sums[a][t] += g * shifted[t];
      }
    }
  }
  for (int a = 0; a < J; ++a)
    for (int t = 0; t < T; ++t) out[a * each + t] = sum_of(sums[a][t]);
}

void differentiate_rows(const ConvolutionWork &work) {
  const SmallConvolution &c = *work.shape;
  const std::size_t margin = c.side / 2, plane = c.height * c.width, rows = work.last - work.first;
  const std::size_t each = c.inputs * c.side * c.side;
  const Band x = repeated_band(c, work.x, work.first, work.last, work.room);
  float *next = work.room + c.inputs * x.rows * x.step;
  const Band gradient = gradient_band(c, work.gradient, work.out, work.first, work.last, next);
  next += c.outputs * gradient.rows * gradient.step;

  for (std::size_t i = 0; i < c.inputs; ++i)
    for (std::size_t y = 0; y < c.side; ++y)
      for (std::size_t t = 0; t < c.side;) {
        const std::size_t taps = c.side - t < 3 ? c.side - t : 3;
        for (std::size_t j = 0; j < c.outputs;) {
          const std::size_t some = c.outputs - j < 3 ? c.outputs - j : 3;
          float *const to = work.weight_gradient + j * each + (i * c.side + y) * c.side + t;
          const auto run = [&](auto function) {
            function(x, gradient, j, i, y, t, margin, rows, c.width, to, each);
          };
          switch (some * 3 + taps) {
            case 4: run(tap_sums<1, 1>); break;
            case 5: run(tap_sums<1, 2>); break;
            case 6: run(tap_sums<1, 3>); break;
            case 7: run(tap_sums<2, 1>); break;
            case 8: run(tap_sums<2, 2>); break;
            case 9: run(tap_sums<2, 3>); break;
            case 10: run(tap_sums<3, 1>); break;
            case 11: run(tap_sums<3, 2>); break;
            default: run(tap_sums<3, 3>);
          }
          j += some;
        }
        t += taps;
      }
  for (std::size_t j = 0; j < c.outputs; ++j) {
    Lanes sum{};
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t p = 0; p < c.width; p += kLanes)
        sum += load(gradient.row(j, r + 2 * margin) + 2 * margin + p);
    work.weight_gradient[c.outputs * each + j] = sum_of(sum);
  }
  if (work.x_gradient == nullptr) return;

  // Of the picture with its repeated edges; those are added to the pixels that they repeat.
  float *made[kMostWidth];
  for (std::size_t i = 0; i < c.inputs; ++i) made[i] = next + i * x.step;
  const std::size_t above = work.first == 0 ? margin : 0;
  const std::size_t below = work.last == c.height ? margin : 0;
  for (std::size_t i = 0; i < c.inputs; ++i)
    for (std::size_t r = 0; r < rows; ++r) {
      float *const to = work.x_gradient + i * plane + (work.first + r) * c.width;
      const float *const own = gradient.row(i, r + 2 * margin) + 2 * margin;
      for (std::size_t p = 0; p < c.width; ++p) to[p] = c.residual ? own[p] : 0.0f;
    }
  for (std::size_t r = 0; r < rows + above + below; ++r) {
    // Row y - above + r of the picture, at row `margin + r - above` of the band's first taps.
    convolve_band_row(gradient, c.outputs, c.inputs, c.side, margin + r - above, work.turned,
                      nullptr, c.width + 2 * margin, made);
    const std::size_t y = r < above ? 0 : r - above < rows ? r - above : rows - 1;
    for (std::size_t i = 0; i < c.inputs; ++i) {
      float *const to = work.x_gradient + i * plane + (work.first + y) * c.width;
      for (std::size_t p = 0; p < c.width; ++p) to[p] += made[i][margin + p];
      for (std::size_t m = 0; m < margin; ++m) {
        to[0] += made[i][m];
        to[c.width - 1] += made[i][margin + c.width + m];
      }
    }
  }
}

}  // namespace
}  // namespace kodec
