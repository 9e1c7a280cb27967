// What the AVX2 and AVX-512 kernels share, on top of portable_loops.hpp; included likewise.

// Eight bytes of shifts as eight masks 2^shift - 1.
inline std::uint64_t masks_of(const std::uint8_t *shifts) {
  const __m128i masks =
      _mm_setr_epi8(0, 1, 3, 7, 15, 31, 63, 127, -1, 0, 0, 0, 0, 0, 0, 0);
  const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(shifts));
  return std::uint64_t(_mm_cvtsi128_si64(_mm_shuffle_epi8(masks, eight)));
}

inline Nearness farthest(DecodeStream *const *streams, int count) {
  const Nearness first = streams[0]->nearness, last = streams[count - 1]->nearness;
  return first > last ? first : last;
}

inline std::uint64_t load_8_bytes(const std::uint8_t *p) {
  std::uint64_t value;
  __builtin_memcpy(&value, p, 8);
  return value;
}

void put_raw(const std::uint8_t *raw, const std::uint8_t *shifts, std::size_t count,
             RawWriter &bits) {
  RawWriter writer = bits;
  std::size_t i = (count + 7) / 8 * 8;
  while (i > 0) {
    i -= 8;
    std::uint64_t masks = masks_of(shifts + i);
    if (count - i < 8) masks &= ~(~std::uint64_t(0) << 8 * (count - i));
    const std::uint64_t value = _pext_u64(load_8_bytes(raw + i), masks);
    const int size = int(_mm_popcnt_u64(masks));
    if (size > 32) {
      writer.put(value >> 32, size - 32);
      writer.put(value & 0xFFFFFFFFu, 32);
    } else {
      writer.put(value, size);
    }
  }
  bits = writer;
}

bool add_raw(std::int32_t *symbols, const std::uint8_t *shifts, std::size_t count,
             RawReader &bits) {
  for (std::size_t i = 0; i < count; i += 8) {
    const std::uint64_t masks = masks_of(shifts + i);
    if (masks == 0) continue;
    const std::uint8_t *const p = bits.plane + (bits.position >> 3);
    const int skip = int(bits.position & 7);
    const std::uint64_t window =
        load_8_bytes(p) >> skip | std::uint64_t(p[8]) << 1 << (63 - skip);
    bits.position += std::uint64_t(_mm_popcnt_u64(masks));
    if (bits.position > bits.end) return false;
    const std::uint64_t raw = _pdep_u64(window, masks);
    if (count - i < 8) {
      for (std::size_t j = i; j < count; ++j)
        symbols[j] = std::int32_t(std::uint32_t(symbols[j]) + (raw >> 8 * (j - i) & 255));
      return true;
    }
    __m256i *const target = reinterpret_cast<__m256i *>(symbols + i);
    const __m256i added = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(std::int64_t(raw)));
    _mm256_storeu_si256(target, _mm256_add_epi32(_mm256_loadu_si256(target), added));
  }
  return true;
}

// The instruction takes three cycles but can start in each: three runs of 256 bytes are checked
// side by side, and joined by what 256 zero bytes do to a checksum.
constexpr std::size_t kCrcRun = 256;

struct CrcShift {
  std::uint32_t of[4][256];

  CrcShift() {
    for (unsigned k = 0; k < 4; ++k)
      for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte << 8 * k;
        for (std::size_t zeros = 0; zeros < kCrcRun; ++zeros) crc = _mm_crc32_u8(crc, 0);
        of[k][byte] = crc;
      }
  }
  std::uint32_t operator()(std::uint32_t crc) const {
    return of[0][crc & 255] ^ of[1][crc >> 8 & 255] ^ of[2][crc >> 16 & 255] ^ of[3][crc >> 24];
  }
};

std::uint32_t crc32c(const std::uint8_t *data, std::size_t size, std::uint32_t value) {
  static const CrcShift shift;
  std::uint32_t crc = ~value;
  for (; size >= 3 * kCrcRun; data += 3 * kCrcRun, size -= 3 * kCrcRun) {
    std::uint64_t a = crc, b = 0, c = 0;
    for (std::size_t i = 0; i < kCrcRun; i += 8) {
      a = _mm_crc32_u64(a, load_8_bytes(data + i));
      b = _mm_crc32_u64(b, load_8_bytes(data + i + kCrcRun));
      c = _mm_crc32_u64(c, load_8_bytes(data + i + 2 * kCrcRun));
    }
    crc = shift(shift(std::uint32_t(a)) ^ std::uint32_t(b)) ^ std::uint32_t(c);
  }
  for (; size >= 8; data += 8, size -= 8)
    crc = std::uint32_t(_mm_crc32_u64(crc, load_8_bytes(data)));
  for (; size > 0; ++data, --size) crc = _mm_crc32_u8(crc, *data);
  return ~crc;
}

std::uint32_t crc32c_16(const std::uint16_t *data, std::size_t count, std::uint32_t value) {
  return crc32c(reinterpret_cast<const std::uint8_t *>(data), 2 * count, value);
}

template <typename Index>
unsigned scale_indexes_by_four(const double *logarithms, std::size_t count,
                               const ScaleLevels &levels, Index *indexes) {
  const __m256d first = _mm256_set1_pd(levels.first), inverse = _mm256_set1_pd(levels.inverse_step);
  const __m256d guard = _mm256_set1_pd(levels.guard), half = _mm256_set1_pd(0.5);
  const __m256d highest = _mm256_set1_pd(levels.count - 0.5), last = _mm256_set1_pd(levels.count - 1);
  const __m256d sign = _mm256_set1_pd(-0.0);
  __m256d close = _mm256_setzero_pd(), unordered = close;
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const __m256d x = _mm256_loadu_pd(logarithms + i);
    const __m256d position =
        _mm256_add_pd(_mm256_mul_pd(_mm256_sub_pd(x, first), inverse), half);
    // Of two numbers one of which is NaN, these instructions give the second.
    const __m256d clamped =
        _mm256_min_pd(_mm256_max_pd(position, _mm256_set1_pd(-1.0)), highest);
    const __m128i level = _mm_add_epi32(_mm256_cvttpd_epi32(_mm256_floor_pd(clamped)), _mm_set1_epi32(1));
    const __m256d within = _mm256_min_pd(_mm256_max_pd(position, _mm256_setzero_pd()), last);
    const __m256d nearest = _mm256_round_pd(within, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256d distance = _mm256_andnot_pd(sign, _mm256_sub_pd(position, nearest));
    close = _mm256_or_pd(close, _mm256_cmp_pd(distance, guard, _CMP_LT_OQ));
    unordered = _mm256_or_pd(unordered, _mm256_cmp_pd(x, x, _CMP_UNORD_Q));
    const __m128i words = _mm_packus_epi32(level, level);
    if (sizeof(Index) == 1) {
      const std::int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
      __builtin_memcpy(indexes + i, &four, 4);
    } else {
      _mm_storel_epi64(reinterpret_cast<__m128i *>(indexes + i), words);
    }
  }
  const unsigned found = unsigned(_mm256_movemask_pd(close) != 0) |
                         unsigned(_mm256_movemask_pd(unordered) != 0) << 1;
  return found | scale_indexes_of(logarithms + i, count - i, levels, indexes + i);
}

unsigned fast_scale_indexes(const double *logarithms, std::size_t count, const ScaleLevels &levels,
                            void *indexes, int index_bytes) {
  if (index_bytes == 1)
    return scale_indexes_by_four(logarithms, count, levels, static_cast<std::uint8_t *>(indexes));
  return scale_indexes_by_four(logarithms, count, levels, static_cast<std::uint16_t *>(indexes));
}
