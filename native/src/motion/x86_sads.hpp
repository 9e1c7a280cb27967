// Sums of absolute differences for processors with AVX2: included within an anonymous namespace.

inline __m256i two_rows(const std::uint8_t *p, std::ptrdiff_t stride) {
  const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
  const __m128i lower = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p + stride));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(upper), lower, 1);
}

// A 64-bit sum for each eight pixels: left and right, of two rows.
inline void half_sads(const std::uint8_t *block, const std::uint8_t *reference, std::ptrdiff_t stride,
                      std::uint32_t sums[2]) {
  __m256i sum = _mm256_setzero_si256();
  for (int y = 0; y < 8; y += 2) {
    const __m256i own =
        _mm256_loadu_si256(reinterpret_cast<const __m256i *>(block + y * int(kBlock)));
    sum = _mm256_add_epi64(sum, _mm256_sad_epu8(own, two_rows(reference + y * stride, stride)));
  }
  const __m128i both =
      _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  sums[0] = std::uint32_t(_mm_cvtsi128_si32(both));
  sums[1] = std::uint32_t(_mm_extract_epi32(both, 2));
}

void sads(const std::uint8_t *block, const std::uint8_t *reference, std::ptrdiff_t stride,
          std::uint32_t sums[4]) {
  half_sads(block, reference, stride, sums);
  half_sads(block + 8 * kBlock, reference + 8 * stride, stride, sums + 2);
}
