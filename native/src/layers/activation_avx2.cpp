// Activations with their gradients: what training spends its time on besides products.
#include "float_panels.hpp"
#include "layer_kernels.hpp"

namespace kodec {
namespace {

using Lanes = __m256;
constexpr float kInner = 1.5957691216057308f, kCube = 0.044715f;  // 2 sqrt(2 / pi)

inline Lanes all(float value) { return _mm256_set1_ps(value); }

// exp(x), relative error below 3e-7, x clamped to +-87.
inline Lanes exponential(Lanes x) {
  x = _mm256_min_ps(_mm256_max_ps(x, all(-87.0f)), all(87.0f));
  const Lanes n = _mm256_round_ps(_mm256_mul_ps(x, all(1.44269504088896341f)),
                                  _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  Lanes r = _mm256_fnmadd_ps(n, all(0.693359375f), x);
  r = _mm256_fnmadd_ps(n, all(-2.12194440e-4f), r);
  Lanes p = all(1.9875691500e-4f);
  constexpr float kNext[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                             5.0000001201e-1f};
  for (const float c : kNext) p = _mm256_fmadd_ps(p, r, all(c));
  p = _mm256_fmadd_ps(_mm256_mul_ps(p, r), r, _mm256_add_ps(r, all(1.0f)));
  const __m256i power = _mm256_slli_epi32(
      _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_mul_ps(p, _mm256_castsi256_ps(power));
}

// Part of x that gelu passes: 1 / (1 + exp(-2 sqrt(2 / pi) (x + 0.044715 x^3))).
inline Lanes passing(Lanes x, Lanes square) {
  const Lanes inner = _mm256_mul_ps(x, _mm256_fmadd_ps(square, all(-kInner * kCube), all(-kInner)));
  return _mm256_div_ps(all(1.0f), _mm256_add_ps(all(1.0f), exponential(inner)));
}

inline Lanes affine_of(Lanes x, const float *affine, std::size_t channels, std::size_t c,
                       std::size_t count) {
  if (affine == nullptr) return x;
  return _mm256_fmadd_ps(x, load_floats(affine + c, count),
                         load_floats(affine + channels + c, count));
}

}  // namespace

void gelu_positions(const float *x, const float *affine, float *out, std::size_t positions,
                    std::size_t channels) {
  for (std::size_t p = 0; p < positions; ++p, x += channels, out += channels)
    for (std::size_t c = 0; c < channels; c += kLanes) {
      const std::size_t count = smaller(kLanes, channels - c);
      const Lanes h = affine_of(load_floats(x + c, count), affine, channels, c, count);
      store_floats(out + c, _mm256_mul_ps(h, passing(h, _mm256_mul_ps(h, h))), count);
    }
}

void gelu_gradient_positions(const float *x, const float *affine, const float *gradient, float *out,
                             float *affine_gradient, std::size_t positions, std::size_t channels) {
  for (std::size_t p = 0; p < positions; ++p, x += channels, out += channels, gradient += channels)
    for (std::size_t c = 0; c < channels; c += kLanes) {
      const std::size_t count = smaller(kLanes, channels - c);
      const Lanes given = load_floats(x + c, count);
      const Lanes h = affine_of(given, affine, channels, c, count);
      const Lanes square = _mm256_mul_ps(h, h), part = passing(h, square);
      const Lanes inner =
          _mm256_mul_ps(h, _mm256_fmadd_ps(square, all(3 * kInner * kCube), all(kInner)));
      // part + h part (1 - part) d(inner)/dh
      const Lanes slope =
          _mm256_fmadd_ps(_mm256_mul_ps(part, _mm256_sub_ps(all(1.0f), part)), inner, part);
      Lanes change = _mm256_mul_ps(load_floats(gradient + c, count), slope);
      if (affine != nullptr) {
        float *const scale = affine_gradient + c, *const shift = scale + channels;
        store_floats(scale, _mm256_fmadd_ps(change, given, load_floats(scale, count)), count);
        store_floats(shift, _mm256_add_ps(change, load_floats(shift, count)), count);
        change = _mm256_mul_ps(change, load_floats(affine + c, count));
      }
      store_floats(out + c, change, count);
    }
}

}  // namespace kodec
