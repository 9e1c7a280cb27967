// Doubles side by side, as many as the instruction set that a file is compiled for has. As in
// grids/lanes.hpp, all functions are static and no template of the standard library is used: what
// one instruction set's flags made of them must never be linked for another.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kodec {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kLanes = 8;
#elif defined(__AVX2__)
constexpr std::size_t kLanes = 4;
#else
constexpr std::size_t kLanes = 2;
#endif

typedef double Lanes __attribute__((vector_size(8 * kLanes)));
typedef std::int64_t Integers __attribute__((vector_size(8 * kLanes)));
typedef double Unaligned __attribute__((vector_size(8 * kLanes), aligned(8), may_alias));

inline Lanes load(const double *from) { return *reinterpret_cast<const Unaligned *>(from); }
inline void store(double *to, Lanes value) { *reinterpret_cast<Unaligned *>(to) = value; }
inline Lanes all(double value) { return value - Lanes{}; }

// exp(x), relative error below 4e-16; x is clamped to +-700, and NaN becomes 700.
inline Lanes exponential(Lanes x) {
  x = x < all(700) ? x : all(700);
  x = x > all(-700) ? x : all(-700);
  constexpr double kRounding = 6755399441055744.0;  // 1.5 * 2^52: what is added to it loses its fraction
  const Lanes shifted = x * 1.4426950408889634074 + kRounding;
  const Lanes n = shifted - kRounding;
  const Lanes r = (x - n * 0x1.62e42fefa38p-1) - n * 0x1.ef35793c7673p-45;
  // Taylor's: the rest is below 2^-56 of it where |r| <= log(2) / 2.
  constexpr double kTerms[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                               1.0 / 40320,     1.0 / 5040,     1.0 / 720,     1.0 / 120,
                               1.0 / 24,        1.0 / 6,        0.5,           1.0,
                               1.0};
  Lanes p = all(1.0 / 6227020800);
  for (const double term : kTerms) p = p * r + term;
  const Integers power = reinterpret_cast<Integers>(shifted) << 52;
  return reinterpret_cast<Lanes>(reinterpret_cast<Integers>(p) + power);
}

// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), "Gaussian error linear units" (2016).
inline Lanes gelu_of(Lanes x) {
  constexpr double kSlope = -1.5957691216057308;  // -2 sqrt(2 / pi)
  return x / (exponential((x * x * (kSlope * 0.044715) + kSlope) * x) + 1.0);
}

// log(1 + x), relative error below 4e-16, of finite x >= 0.
inline Lanes logarithm_above_one(Lanes x) {
  const Lanes whole = x + 1.0;
  // The mantissa from sqrt(1/2) to sqrt(2), less 1.
  const Integers bits = reinterpret_cast<Integers>(whole);
  const Integers exponent = (bits - 0x3fe6a09e667f3bcd) >> 52;
  const Lanes f = reinterpret_cast<Lanes>(bits - (exponent << 52)) - 1.0;
  const Lanes n = __builtin_convertvector(exponent, Lanes);
  const Lanes s = f / (f + 2.0), square = s * s, half = f * f * 0.5;
  // 2 atanh(s) = 2 s + s R(s^2), with Remez' coefficients of FreeBSD's msun.
  constexpr double kTerms[] = {1.531383769920937332e-1, 1.818357216161805012e-1,
                               2.222219843214978396e-1, 2.857142874366239149e-1,
                               3.999999999940941908e-1, 6.666666666666735130e-1};
  Lanes r = all(1.479819860511658591e-1);
  for (const double term : kTerms) r = r * square + term;
  r *= square;
  // What 1 + x has lost.
  const Lanes lost = (x - (whole - 1.0)) / whole;
  const Lanes low = s * (half + r) + (n * 1.90821492927058770002e-10 + lost);
  return n * 6.93147180369123816490e-01 - ((half - low) - f);
}

}  // namespace
}  // namespace kodec
