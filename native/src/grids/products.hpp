// Products of a matrix with a tile: rows of kTile floats, wherever each of them lies.
#pragma once

#include "grid_kernels.hpp"
#include "lanes.hpp"

namespace kodec {
namespace {

// Rows that a product makes at a time, and vectors of each: their sums fill the registers.
constexpr int kRows = 6, kVectors = kLanes == 16 ? 4 : 2;
// Of sums of products of rows.
constexpr int kLefts = 4, kRights = kLanes == 16 ? 5 : 3;

// out[j] = weight[j] rows + bias[j], then plus[j] added, rectified, zero where gate[j] is not above
// zero, multiplied by factors[j], in this order, where there is such.
struct Product {
  std::size_t inputs, outputs;
  const float *const *rows;
  const float *weight, *bias;
  const float *const *plus, *const *gate;
  bool rectified;
  float *const *out;
  const float *const *factors;
};

template <int J>
void some_rows(const Product &p, std::size_t first) {
  const float *const weight = p.weight + first * p.inputs;
  for (std::size_t at = 0; at < kTile; at += kVectors * kLanes) {
    Lanes sums[J][kVectors];
    for (int j = 0; j < J; ++j)
      for (int v = 0; v < kVectors; ++v)
        sums[j][v] = all(p.bias == nullptr ? 0.0f : p.bias[first + j]);
    for (std::size_t i = 0; i < p.inputs; ++i) {
      Lanes x[kVectors];
      for (int v = 0; v < kVectors; ++v) x[v] = load(p.rows[i] + at + v * kLanes);
      for (int j = 0; j < J; ++j) {
        const Lanes w = all(weight[j * p.inputs + i]);
        for (int v = 0; v < kVectors; ++v) sums[j][v] += w * x[v];
      }
    }
    for (int j = 0; j < J; ++j)
      for (int v = 0; v < kVectors; ++v) {
        const std::size_t place = at + v * kLanes;
        Lanes sum = sums[j][v];
        if (p.plus != nullptr) sum += load(p.plus[first + j] + place);
        if (p.rectified) sum = larger(sum, Lanes{});
        if (p.gate != nullptr) sum = load(p.gate[first + j] + place) > 0.0f ? sum : Lanes{};
        if (p.factors != nullptr) sum *= load(p.factors[first + j] + place);
        store(p.out[first + j] + place, sum);
      }
  }
}

void multiply(const Product &p) {
  // Blocks of about the same size: no small one at the end.
  std::size_t blocks = (p.outputs + kRows - 1) / kRows;
  for (std::size_t first = 0; first < p.outputs; --blocks) {
    const std::size_t count = (p.outputs - first + blocks - 1) / blocks;
    switch (count) {
      case 1: some_rows<1>(p, first); break;
      case 2: some_rows<2>(p, first); break;
      case 3: some_rows<3>(p, first); break;
      case 4: some_rows<4>(p, first); break;
      case 5: some_rows<5>(p, first); break;
      default: some_rows<6>(p, first);
    }
    first += count;
  }
}

template <int A, int B>
void some_sums(const float *const *left, const float *const *right, float *sums,
               std::size_t rights) {
  Lanes found[A][B];
  for (int a = 0; a < A; ++a)
    for (int b = 0; b < B; ++b) found[a][b] = load(sums + (a * rights + b) * kLanes);
  for (std::size_t at = 0; at < kTile; at += kLanes) {
    Lanes r[B];
    for (int b = 0; b < B; ++b) r[b] = load(right[b] + at);
    for (int a = 0; a < A; ++a) {
      const Lanes l = load(left[a] + at);
      for (int b = 0; b < B; ++b) found[a][b] += l * r[b];
    }
  }
  for (int a = 0; a < A; ++a)
    for (int b = 0; b < B; ++b) store(sums + (a * rights + b) * kLanes, found[a][b]);
}

template <int A>
void some_sums(std::size_t count, const float *const *left, const float *const *right, float *sums,
               std::size_t rights) {
  switch (count) {
    case 1: some_sums<A, 1>(left, right, sums, rights); break;
    case 2: some_sums<A, 2>(left, right, sums, rights); break;
    case 3: some_sums<A, 3>(left, right, sums, rights); break;
#if defined(__AVX512F__)
    case 4: some_sums<A, 4>(left, right, sums, rights); break;
    case 5: some_sums<A, 5>(left, right, sums, rights); break;
#endif
  }
}

// sums[a][b] += left[a] * right[b] over a tile. sums: (lefts, rights, kLanes).
void add_products(const float *const *left, std::size_t lefts, const float *const *right,
                  std::size_t rights, float *sums) {
  std::size_t blocks = (lefts + kLefts - 1) / kLefts;
  for (std::size_t a = 0; a < lefts; --blocks) {
    const std::size_t count = (lefts - a + blocks - 1) / blocks;
    std::size_t parts = (rights + kRights - 1) / kRights;
    for (std::size_t b = 0; b < rights; --parts) {
      const std::size_t some = (rights - b + parts - 1) / parts;
      float *const to = sums + (a * rights + b) * kLanes;
      switch (count) {
        case 1: some_sums<1>(some, left + a, right + b, to, rights); break;
        case 2: some_sums<2>(some, left + a, right + b, to, rights); break;
        case 3: some_sums<3>(some, left + a, right + b, to, rights); break;
        default: some_sums<4>(some, left + a, right + b, to, rights);
      }
      b += some;
    }
    a += count;
  }
}

// sums[a] += left[a] over a tile. sums: (lefts, kLanes).
void add_rows(const float *const *left, std::size_t lefts, float *sums) {
  for (std::size_t a = 0; a < lefts; ++a) {
    Lanes sum = load(sums + a * kLanes);
    for (std::size_t at = 0; at < kTile; at += kLanes) sum += load(left[a] + at);
    store(sums + a * kLanes, sum);
  }
}

}  // namespace
}  // namespace kodec
