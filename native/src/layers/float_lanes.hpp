// Floats side by side, eight with AVX2 and FMA or sixteen with AVX-512, as a file is compiled. Every
// function rounds as the other instruction set's does, so that results are the same to the bit.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace kodec {
namespace {

inline std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

#if defined(__AVX512F__)

constexpr std::size_t kLanes = 16;
using Lanes = __m512;

inline Lanes load(const float *from) { return _mm512_loadu_ps(from); }
inline void store(float *to, Lanes x) { _mm512_storeu_ps(to, x); }
inline Lanes all(float value) { return _mm512_set1_ps(value); }
inline Lanes plus(Lanes a, Lanes b) { return _mm512_add_ps(a, b); }
inline Lanes minus(Lanes a, Lanes b) { return _mm512_sub_ps(a, b); }
inline Lanes times(Lanes a, Lanes b) { return _mm512_mul_ps(a, b); }
inline Lanes by(Lanes a, Lanes b) { return _mm512_div_ps(a, b); }
inline Lanes root(Lanes a) { return _mm512_sqrt_ps(a); }
// a * b + c and c - a * b, rounded once.
inline Lanes fused(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
inline Lanes fused_minus(Lanes a, Lanes b, Lanes c) { return _mm512_fnmadd_ps(a, b, c); }
// The larger and the smaller; the second where one is not a number.
inline Lanes larger(Lanes a, Lanes b) { return _mm512_max_ps(a, b); }
inline Lanes lesser(Lanes a, Lanes b) { return _mm512_min_ps(a, b); }
inline Lanes nearest(Lanes a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// 2^n of whole n from -126 to 127.
inline Lanes power_of_two(Lanes n) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}

inline __mmask16 first_lanes(std::size_t count) { return __mmask16((1u << count) - 1); }
// Up to kLanes floats, zeros behind them; and back.
inline Lanes load(const float *from, std::size_t count) {
  if (count >= kLanes) return load(from);
  return _mm512_maskz_loadu_ps(first_lanes(count), from);
}
inline void store(float *to, Lanes x, std::size_t count) {
  if (count >= kLanes) return store(to, x);
  _mm512_mask_storeu_ps(to, first_lanes(count), x);
}

#else

constexpr std::size_t kLanes = 8;
using Lanes = __m256;

inline Lanes load(const float *from) { return _mm256_loadu_ps(from); }
inline void store(float *to, Lanes x) { _mm256_storeu_ps(to, x); }
inline Lanes all(float value) { return _mm256_set1_ps(value); }
inline Lanes plus(Lanes a, Lanes b) { return _mm256_add_ps(a, b); }
inline Lanes minus(Lanes a, Lanes b) { return _mm256_sub_ps(a, b); }
inline Lanes times(Lanes a, Lanes b) { return _mm256_mul_ps(a, b); }
inline Lanes by(Lanes a, Lanes b) { return _mm256_div_ps(a, b); }
inline Lanes root(Lanes a) { return _mm256_sqrt_ps(a); }
inline Lanes fused(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
inline Lanes fused_minus(Lanes a, Lanes b, Lanes c) { return _mm256_fnmadd_ps(a, b, c); }
inline Lanes larger(Lanes a, Lanes b) { return _mm256_max_ps(a, b); }
inline Lanes lesser(Lanes a, Lanes b) { return _mm256_min_ps(a, b); }
inline Lanes nearest(Lanes a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline Lanes power_of_two(Lanes n) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}

inline __m256i first_lanes(std::size_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Lanes load(const float *from, std::size_t count) {
  if (count >= kLanes) return load(from);
  return _mm256_maskload_ps(from, first_lanes(count));
}
inline void store(float *to, Lanes x, std::size_t count) {
  if (count >= kLanes) return store(to, x);
  _mm256_maskstore_ps(to, first_lanes(count), x);
}

#endif

inline Lanes none() { return all(0); }
inline Lanes times(Lanes a, float b) { return times(a, all(b)); }
inline Lanes plus(Lanes a, Lanes b, float factor) { return fused(b, all(factor), a); }

// exp(x), relative error below 3e-7, x clamped to +-87.
inline Lanes exponential(Lanes x) {
  x = lesser(larger(x, all(-87.0f)), all(87.0f));
  const Lanes n = nearest(times(x, 1.44269504088896341f));
  Lanes r = fused_minus(n, all(0.693359375f), x);
  r = fused_minus(n, all(-2.12194440e-4f), r);
  Lanes p = all(1.9875691500e-4f);
  constexpr float kNext[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                             5.0000001201e-1f};
  for (const float c : kNext) p = fused(p, r, all(c));
  p = fused(times(p, r), r, plus(r, all(1.0f)));
  return times(p, power_of_two(n));
}

constexpr float kInner = 1.5957691216057308f, kCube = 0.044715f;  // 2 sqrt(2 / pi)

// Part of x that gelu passes: 1 / (1 + exp(-2 sqrt(2 / pi) (x + 0.044715 x^3))).
inline Lanes passing(Lanes x, Lanes square) {
  const Lanes inner = times(x, fused(square, all(-kInner * kCube), all(-kInner)));
  return by(all(1.0f), plus(all(1.0f), exponential(inner)));
}

inline Lanes gelu_of(Lanes x) { return times(x, passing(x, times(x, x))); }

}  // namespace
}  // namespace kodec
