// Floats side by side, as many as the instruction set that a file is compiled for has, and functions
// of them. All functions are static, and files that include this one use no template of the standard
// library: what one instruction set's flags made of them must never be linked for another.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kodec {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

// GCC's and Clang's vectors: on a machine without instructions for them they are loops.
typedef float Lanes __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t Integers __attribute__((vector_size(4 * kLanes)));
typedef float Unaligned __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Lanes load(const float *from) { return *reinterpret_cast<const Unaligned *>(from); }
inline void store(float *to, Lanes value) { *reinterpret_cast<Unaligned *>(to) = value; }
inline Lanes all(float value) { return value - Lanes{}; }
inline Integers all_integers(std::int32_t value) { return value - Integers{}; }

inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }
inline Lanes smaller(Lanes a, Lanes b) { return a < b ? a : b; }
inline Lanes between(Lanes value, float low, float high) {
  return smaller(larger(value, all(low)), all(high));
}

inline Integers bits_of(Lanes value) { return reinterpret_cast<Integers>(value); }
inline Lanes floats_of(Integers bits) { return reinterpret_cast<Lanes>(bits); }
inline Lanes magnitude(Lanes value) { return floats_of(bits_of(value) & 0x7fffffff); }
// `size` (0 or more) with the sign of `like`.
inline Lanes signed_as(Lanes size, Lanes like) {
  return floats_of(bits_of(size) | (bits_of(like) & std::int32_t(0x80000000u)));
}

inline float sum_of(Lanes value) {
  float each[kLanes];
  store(each, value);
  // By halves, in an order of its own for each instruction set.
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) each[i] += each[i + half];
  return each[0];
}

// a0 b0 a1 b1 ..., 2 * kLanes floats.
inline void store_by_turns(float *to, Lanes a, Lanes b) {
#if defined(__clang__)
  for (int i = 0; i < kLanes; ++i) to[2 * i] = a[i], to[2 * i + 1] = b[i];
#else
  Integers low, high;
  for (int i = 0; i < kLanes; ++i) {
    low[i] = i / 2 + i % 2 * kLanes;
    high[i] = low[i] + kLanes / 2;
  }
  store(to, __builtin_shuffle(a, b, low));
  store(to + kLanes, __builtin_shuffle(a, b, high));
#endif
}

// Those at even and at odd places of 2 * kLanes floats.
inline void load_by_turns(const float *from, Lanes &even, Lanes &odd) {
#if defined(__clang__)
  for (int i = 0; i < kLanes; ++i) even[i] = from[2 * i], odd[i] = from[2 * i + 1];
#else
  Integers places;
  for (int i = 0; i < kLanes; ++i) places[i] = 2 * i;
  const Lanes low = load(from), high = load(from + kLanes);
  even = __builtin_shuffle(low, high, places);
  odd = __builtin_shuffle(low, high, places + 1);
#endif
}

// exp(x) and exp(x) - 1, each with a relative error below 3e-7; x is clamped to +-87.
struct Exponential {
  Lanes whole, above;
};
inline Exponential exponential(Lanes x) {
  x = between(x, -87.0f, 87.0f);
  constexpr float kRounding = 12582912.0f;  // 1.5 * 2^23: what is added to it loses its fraction
  const Lanes n = (x * 1.44269504088896341f + kRounding) - kRounding;
  const Lanes r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Lanes p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * (r * r) + r;
  const Lanes power = floats_of((__builtin_convertvector(n, Integers) + 127) << 23);
  return {p * power + power, p * power + (power - 1.0f)};
}

// log2(x) of normal x > 0, absolute error below 2e-7 of the larger of itself and 1.
inline Lanes logarithm(Lanes x) {
  // The mantissa from sqrt(1/2) to sqrt(2).
  const Integers exponent = (bits_of(x) - 0x3f3504f3) >> 23;
  const Lanes f = floats_of(bits_of(x) - (exponent << 23)) - 1.0f, square = f * f;
  Lanes p = f * 7.0376836292e-2f - 1.1514610310e-1f;
  constexpr float kNext[] = {1.1676998740e-1f,  -1.2420140846e-1f, 1.4249322787e-1f,
                             -1.6668057665e-1f, 2.0000714765e-1f,  -2.4999993993e-1f,
                             3.3333331174e-1f};
  for (const float c : kNext) p = p * f + c;
  const Lanes natural = (p * f - 0.5f) * square + f;
  return natural * 1.44269504088896341f + __builtin_convertvector(exponent, Lanes);
}

// The largest integer that is not above x, of |x| < 2^31; others stay as they are.
inline Lanes floor_of(Lanes x) {
  const Lanes whole = __builtin_convertvector(__builtin_convertvector(x, Integers), Lanes);
  const Lanes below = whole > x ? whole - 1.0f : whole;
  return magnitude(x) < 8388608.0f ? below : x;
}

}  // namespace
}  // namespace kodec
