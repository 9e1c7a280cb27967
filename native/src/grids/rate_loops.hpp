// Contexts, network and code lengths of rows of a grid. The grid has zeros all around, and each row
// the next behind `stride` floats, so that a context's values at a tile's positions lie side by side
// wherever the tile is; what a tile finds at the zeros between rows is left out.
#pragma once

#include "network_loops.hpp"

namespace kodec {
namespace {

struct TileBits {
  const float *values, *mean, *scale, *inside;  // inside: not zero at positions to be coded
  float *value_gradient, *mean_gradient, *scale_gradient;  // none of them: bits alone
  float *each;
};

// Code lengths at a tile's positions, with derivatives. For a distance d from the mean and a scale
// b, with u = 1 / (2 b), v = |d| / b and m(x) = 1 - exp(-x), the probability is (m(u - v) + m(u +
// v)) / 2 where v < u, and exp(u - v) m(2 u) / 2 elsewhere: nothing cancels.
Lanes tile_bits(const TileBits &t, const Coding &coding, float charge) {
  const float per_nat = 1.44269504088896341f * charge;
  const Lanes none{};
  Lanes total{};
  for (std::size_t p = 0; p < kTile; p += kLanes) {
    const Integers inside = load(t.inside + p) != 0.0f;
    const Lanes distance = load(t.values + p) - load(t.mean + p);
    const Lanes wanted = load(t.scale + p) + coding.shift;
    const Lanes log_scale = between(wanted, coding.low, coding.high);
    const Lanes inverse = exponential(-log_scale).whole;
    const Lanes u = 0.5f * inverse, v = magnitude(distance) * inverse;
    const Integers near = v < u;
    const Lanes gap = magnitude(u - v), sum = u + v;
    const Exponential first = exponential(-gap), second = exponential(near ? -sum : -2.0f * u);
    const Lanes in_first = -first.above, in_second = -second.above;
    const Lanes twice = near ? in_first + in_second : first.whole * in_second;
    // Below 2^-126 all are far less than any code length allows.
    const Lanes found = 1.0f - logarithm(larger(twice, all(1.17549435e-38f)));
    const Integers counted = inside & (found <= coding.most_bits);
    const Lanes bits = inside ? smaller(found, all(coding.most_bits)) : none;
    total += bits;
    if (t.each != nullptr) store(t.each + p, bits);
    if (t.mean_gradient == nullptr) continue;
    const Lanes rise = near ? (in_second - in_first) / twice : all(1.0f);
    const Lanes of_distance =
        counted ? signed_as(larger(rise, none) * inverse, distance) * per_nat : none;
    const Lanes of_scale = near ? (gap * first.whole + sum * second.whole) / twice
                                : 2.0f * u / in_second - sum;
    const Integers free = counted & (wanted >= coding.low) & (wanted <= coding.high);
    store(t.value_gradient + p, of_distance);
    store(t.mean_gradient + p, -of_distance);
    store(t.scale_gradient + p, free ? of_scale * per_nat : none);
  }
  return total;
}

// Positions of a tile by rows of the grid: work(first in the tile, count, row, column).
template <typename Work>
void by_rows(const RateWork &r, std::size_t place, std::size_t end, const Work &work) {
  const std::size_t last = place + kTile < end ? place + kTile : end;
  for (std::size_t at = place; at < last;) {
    const std::size_t row = at / r.stride, column = at % r.stride;
    if (column < r.width) {
      const std::size_t left = r.width - column, count = last - at < left ? last - at : left;
      work(at - place, count, r.first_row + row, column);
    }
    at += r.stride - column;
  }
}

void rate_rows(RateWork &r) {
  const NetworkWeights &network = *r.network;
  Room room{r.room};
  TileNetwork tile(network, room);
  float *features[kMostWidth], *x_gradient[kMostWidth], *out[2], *out_gradient[2];
  room.rows(features, r.feature_count);
  room.rows(x_gradient, network.inputs);
  room.rows(out, 2);
  room.rows(out_gradient, 2);
  float *const value_gradient = room.take(kTile), *const inside = room.take(kTile);
  float *const each = r.position_bits == nullptr ? nullptr : room.take(kTile);
  for (std::size_t f = 0; f < r.feature_count; ++f)
    for (std::size_t p = 0; p < kTile; ++p) features[f][p] = 0;
  const std::size_t plane = r.feature_height * r.feature_width;
  const bool back = r.weight_gradient != nullptr;
  if (back) tile.clear_sums();
  const float *x[kMostWidth];
  const std::size_t end = (r.last_row - r.first_row) * r.stride;
  for (std::size_t place = 0; place < end; place += kTile) {
    for (std::size_t p = 0; p < kTile; ++p) inside[p] = 0;
    by_rows(r, place, end, [&](std::size_t at, std::size_t count, std::size_t row, std::size_t column) {
      for (std::size_t p = 0; p < count; ++p) inside[at + p] = 1;
      if (r.features == nullptr) return;
      for (std::size_t f = 0; f < r.feature_count; ++f) {
        const float *from = r.features + f * plane + row / 2 * r.feature_width + column / 2;
        float *const to = features[f] + at;
        std::size_t p = 0;
        if (column % 2 == 1) to[p++] = *from++;
        for (; p + 1 < count; p += 2, ++from) to[p] = to[p + 1] = *from;
        if (p < count) to[p] = *from;
      }
    });
    const float *const values = r.values + place;
    for (std::size_t c = 0; c < r.contexts; ++c) x[c] = values + r.offsets[c];
    for (std::size_t f = 0; f < r.feature_count; ++f) x[r.contexts + f] = features[f];
    tile.run_hidden(x);
    tile.run_layer(network.count - 1, x, out);
    if (network.branch != nullptr) TileNetwork::run(network.branch->layer, x, out, out);
    const TileBits bits{values, out[0], out[1], inside, value_gradient,
                        back ? out_gradient[0] : nullptr, out_gradient[1], each};
    r.bits += double(sum_of(tile_bits(bits, r.coding, r.charge)));
    if (each != nullptr)
      by_rows(r, place, end, [&](std::size_t at, std::size_t count, std::size_t row, std::size_t column) {
        for (std::size_t p = 0; p < count; ++p)
          r.position_bits[row * r.width + column + p] = each[at + p];
      });
    if (!back) continue;
    tile.back(x, out_gradient, x_gradient);
    if (network.branch != nullptr) tile.back_branch(x, out_gradient, x_gradient);
    float *const gradient = r.gradient + r.before + place;
    const auto add = [&](const float *from, std::ptrdiff_t offset) {
      for (std::size_t p = 0; p < kTile; p += kLanes)
        store(gradient + offset + p, load(gradient + offset + p) + load(from + p));
    };
    for (std::size_t c = 0; c < r.contexts; ++c) add(x_gradient[c], r.offsets[c]);
    add(value_gradient, 0);
    if (r.features == nullptr) continue;
    by_rows(r, place, end, [&](std::size_t at, std::size_t count, std::size_t row, std::size_t column) {
      for (std::size_t f = 0; f < r.feature_count; ++f) {
        float *to = r.feature_gradient + f * plane + row / 2 * r.feature_width + column / 2;
        const float *const from = x_gradient[r.contexts + f] + at;
        std::size_t p = 0;
        if (column % 2 == 1) *to++ += from[p++];
        for (; p + 1 < count; p += 2) *to++ += from[p] + from[p + 1];
        if (p < count) *to += from[p];
      }
    });
  }
  if (back) tile.write_sums(r.weight_gradient);
}

}  // namespace
}  // namespace kodec
