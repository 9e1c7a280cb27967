// Separable filters of one plane: one that doubles its sides, and one that keeps them.
#pragma once

#include "grid_kernels.hpp"
#include "lanes.hpp"

namespace kodec {
namespace {

constexpr std::size_t kMostHalf = kMostTaps / 2;

// to[p] (+)= scale * from[p].
template <bool kAdds>
void scale_row(float *to, const float *from, float scale, std::size_t count) {
  for (std::size_t p = 0; p < count; ++p) to[p] = kAdds ? to[p] + scale * from[p] : scale * from[p];
}

float row_product(const float *a, const float *b, std::size_t count) {
  Lanes sum{};
  std::size_t p = 0;
  for (; p + kLanes <= count; p += kLanes) sum += load(a + p) * load(b + p);
  float total = sum_of(sum);
  for (; p < count; ++p) total += a[p] * b[p];
  return total;
}

void clear(float *to, std::size_t count) {
  for (std::size_t p = 0; p < count; ++p) to[p] = 0;
}

// Of a row or column at place o of the larger side: taps `parity`, parity + 2, ... of what lies at
// `start`, start - 1, ... of the smaller.
struct Phase {
  std::size_t parity;
  std::ptrdiff_t start;
  Phase(std::size_t o, std::size_t taps)
      : parity((o + taps / 2 - 1) % 2), start(std::ptrdiff_t((o + taps / 2 - 1) / 2)) {}
};

std::size_t clamped(std::ptrdiff_t place, std::size_t count) {
  if (place < 0) return 0;
  return std::size_t(place) < count ? std::size_t(place) : count - 1;
}

// A row between rows, its edges repeated kMostHalf times to the left and further to the right.
void blend_rows(const float *x, const Upsampling &u, const float *taps, std::size_t o, float *row) {
  const Phase phase(o, u.taps);
  float *const inner = row + kMostHalf;
  for (std::size_t m = 0; m < u.taps / 2; ++m) {
    const float *const from = x + clamped(phase.start - std::ptrdiff_t(m), u.height) * u.width;
    const float tap = taps[phase.parity + 2 * m];
    if (m == 0)
      scale_row<false>(inner, from, tap, u.width);
    else
      scale_row<true>(inner, from, tap, u.width);
  }
  for (std::size_t m = 0; m < kMostHalf; ++m) {
    row[m] = inner[0];
    inner[u.width + m] = inner[u.width - 1];
  }
}

template <int HALF>
void widen_row(const float *row, const Upsampling &u, const float *taps, float *out, float *pairs) {
  const Phase even(0, u.taps), odd(1, u.taps);
  const float *const from_even = row + kMostHalf + even.start;
  const float *const from_odd = row + kMostHalf + odd.start;
  for (std::size_t n = 0; n < u.width; n += kLanes) {
    Lanes first{}, second{};
    for (int m = 0; m < HALF; ++m) {
      first += taps[even.parity + 2 * m] * load(from_even + n - m);
      second += taps[odd.parity + 2 * m] * load(from_odd + n - m);
    }
    if (2 * (n + kLanes) <= u.out_width) {
      store_by_turns(out + 2 * n, first, second);
      continue;
    }
    store_by_turns(pairs, first, second);
    for (std::size_t p = 0; 2 * n + p < u.out_width; ++p) out[2 * n + p] = pairs[p];
  }
}

template <int HALF>
void upsample_by(const float *x, const Upsampling &u, const float *taps, float *out, float *room) {
  // Behind a row's end whole vectors are read.
  clear(room, 2 * kMostHalf + u.width + kSlack);
  float *const pairs = room + 2 * kMostHalf + u.width + kSlack;
  for (std::size_t o = 0; o < u.out_height; ++o) {
    blend_rows(x, u, taps, o, room);
    widen_row<HALF>(room, u, taps, out + o * u.out_width, pairs);
  }
}

template <int HALF>
void differentiate_by(const float *x, const float *gradient, const Upsampling &u, const float *taps,
                      float *x_gradient, float *tap_gradient, float *room) {
  const std::size_t step = 4 * kMostHalf + u.width + kSlack;
  // A row between rows; gradients at even and odd columns, zeros around; what they are to the row.
  float *const row = room, *const evens = row + step, *const odds = evens + step;
  float *const found = odds + step;
  clear(room, 4 * step);
  clear(x_gradient, u.height * u.width);
  for (std::size_t t = 0; t < u.taps; ++t) tap_gradient[t] = 0;
  constexpr std::ptrdiff_t kEdge = kMostHalf;
  const Phase even(0, u.taps), odd(1, u.taps);
  float *const in_even = evens + 2 * kEdge, *const in_odd = odds + 2 * kEdge;
  float *const padded = evens + 4 * step;
  Lanes even_sums[HALF] = {}, odd_sums[HALF] = {};
  for (std::size_t o = 0; o < u.out_height; ++o) {
    blend_rows(x, u, taps, o, row);
    const float *given = gradient + o * u.out_width;
    for (std::size_t n = 0; n < u.width; n += kLanes) {
      const float *from = given + 2 * n;
      if (2 * (n + kLanes) > u.out_width) {
        for (std::size_t p = 0; p < 2 * kLanes; ++p)
          padded[p] = 2 * n + p < u.out_width ? from[p] : 0.0f;
        from = padded;
      }
      Lanes at_even, at_odd;
      load_by_turns(from, at_even, at_odd);
      store(in_even + n, at_even);
      store(in_odd + n, at_odd);
      for (int m = 0; m < HALF; ++m) {
        even_sums[m] += at_even * load(row + kEdge + even.start + n - m);
        odd_sums[m] += at_odd * load(row + kEdge + odd.start + n - m);
      }
    }
    // Columns -kEdge to width + kEdge - 1 of the row with its repeated edges.
    for (std::ptrdiff_t c = -kEdge; c < std::ptrdiff_t(u.width) + kEdge; c += kLanes) {
      Lanes sum{};
      for (int m = 0; m < HALF; ++m) {
        sum += taps[even.parity + 2 * m] * load(in_even + c - even.start + m);
        sum += taps[odd.parity + 2 * m] * load(in_odd + c - odd.start + m);
      }
      store(found + kEdge + c, sum);
    }
    float *const inner = found + kEdge;
    for (std::ptrdiff_t m = 1; m <= kEdge; ++m) {
      inner[0] += inner[-m];
      inner[u.width - 1] += inner[std::ptrdiff_t(u.width) - 1 + m];
    }
    const Phase phase(o, u.taps);
    for (std::size_t m = 0; m < HALF; ++m) {
      const std::size_t y = clamped(phase.start - std::ptrdiff_t(m), u.height), t = phase.parity + 2 * m;
      tap_gradient[t] += row_product(inner, x + y * u.width, u.width);
      scale_row<true>(x_gradient + y * u.width, inner, taps[t], u.width);
    }
  }
  for (int m = 0; m < HALF; ++m) {
    tap_gradient[even.parity + 2 * m] += sum_of(even_sums[m]);
    tap_gradient[odd.parity + 2 * m] += sum_of(odd_sums[m]);
  }
}

void upsample_plane(const float *x, const Upsampling &u, const float *taps, float *out,
                    float *room) {
  switch (u.taps / 2) {
    case 1: return upsample_by<1>(x, u, taps, out, room);
    case 2: return upsample_by<2>(x, u, taps, out, room);
    case 3: return upsample_by<3>(x, u, taps, out, room);
    case 4: return upsample_by<4>(x, u, taps, out, room);
    case 5: return upsample_by<5>(x, u, taps, out, room);
    case 6: return upsample_by<6>(x, u, taps, out, room);
    case 7: return upsample_by<7>(x, u, taps, out, room);
    default: return upsample_by<8>(x, u, taps, out, room);
  }
}

void differentiate_upsampled(const float *x, const float *gradient, const Upsampling &u,
                             const float *taps, float *x_gradient, float *tap_gradient,
                             float *room) {
  const auto run = [&](auto function) {
    function(x, gradient, u, taps, x_gradient, tap_gradient, room);
  };
  switch (u.taps / 2) {
    case 1: return run(differentiate_by<1>);
    case 2: return run(differentiate_by<2>);
    case 3: return run(differentiate_by<3>);
    case 4: return run(differentiate_by<4>);
    case 5: return run(differentiate_by<5>);
    case 6: return run(differentiate_by<6>);
    case 7: return run(differentiate_by<7>);
    default: return run(differentiate_by<8>);
  }
}

// Columns of a filter that keeps sides: rows between rows, zeros around.
void filter_columns(const float *x, const Refinement &f, const float *taps, std::size_t y,
                    float *inner) {
  clear(inner, f.width);
  for (std::size_t t = 0; t < f.taps; ++t) {
    const std::size_t wanted = y + t;  // plus taps / 2
    if (wanted >= f.taps / 2 && wanted - f.taps / 2 < f.height)
      scale_row<true>(inner, x + (wanted - f.taps / 2) * f.width, taps[t], f.width);
  }
}

void filter_plane(const float *x, const Refinement &f, const float *taps, float *out, float *room) {
  const std::size_t margin = f.taps / 2;
  clear(room, 2 * kMostTaps + f.width);
  for (std::size_t y = 0; y < f.height; ++y) {
    filter_columns(x, f, taps, y, room + kMostTaps);
    float *const to = out + y * f.width;
    scale_row<false>(to, x + y * f.width, f.residual ? 1.0f : 0.0f, f.width);
    for (std::size_t t = 0; t < f.taps; ++t)
      scale_row<true>(to, room + kMostTaps + t - margin, taps[t], f.width);
  }
}

void differentiate_filtered(const float *x, const float *gradient, const Refinement &f,
                            const float *taps, float *x_gradient, float *tap_gradient,
                            float *room) {
  const std::size_t margin = f.taps / 2, step = 2 * kMostTaps + f.width;
  float *const row = room + kMostTaps, *const given = row + step, *const found = given + step;
  clear(room, 3 * step);
  for (std::size_t p = 0; p < f.height * f.width; ++p) x_gradient[p] = f.residual ? gradient[p] : 0;
  for (std::size_t t = 0; t < f.taps; ++t) tap_gradient[t] = 0;
  for (std::size_t y = 0; y < f.height; ++y) {
    filter_columns(x, f, taps, y, row);
    scale_row<false>(given, gradient + y * f.width, 1.0f, f.width);
    clear(found, f.width);
    for (std::size_t t = 0; t < f.taps; ++t) {
      tap_gradient[t] += row_product(given, row + t - margin, f.width);
      scale_row<true>(found, given + margin - t, taps[t], f.width);
    }
    for (std::size_t t = 0; t < f.taps; ++t) {
      const std::size_t wanted = y + t;  // plus margin
      if (wanted < margin || wanted - margin >= f.height) continue;
      const std::size_t place = (wanted - margin) * f.width;
      tap_gradient[t] += row_product(found, x + place, f.width);
      scale_row<true>(x_gradient + place, found, taps[t], f.width);
    }
  }
}

}  // namespace
}  // namespace kodec
