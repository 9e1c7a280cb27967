// The kernels in AVX-512 (F, BW, DQ, VL): groups of sixteen lanes.
#include <immintrin.h>

#include "kernels.hpp"
#include "lane.hpp"

namespace kodec {
namespace {

#include "portable_loops.hpp"
#include "x86_loops.hpp"

using Register = __m512i;
constexpr int kGroup = 16;
constexpr const Kernels &kNarrower = kAvx2Kernels;

inline __m512i load_512(const void *p) { return _mm512_loadu_si512(p); }
inline __m512i load_states(const std::uint32_t *p) { return load_512(p); }
inline void store_states(std::uint32_t *p, __m512i v) { _mm512_storeu_si512(p, v); }
inline __m512i either(__m512i a, __m512i b) { return _mm512_or_si512(a, b); }
inline std::uint32_t any_of(__m512i v) { return std::uint32_t(_mm512_reduce_or_epi32(v)); }
inline __m512i load_symbols(const std::int16_t *p) {
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
}
inline __m512i load_symbols(const std::int32_t *p) { return load_512(p); }
inline __m512i load_indexes(const std::uint8_t *p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
}
inline __m512i load_indexes(const std::uint16_t *p) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
}
inline void store_bytes(std::uint8_t *p, __m512i v) {
  _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm512_cvtepi32_epi8(v));
}

// The lower and upper halves of sixteen pairs of integers.
struct Pairs {
  __m512i low, high;
};

// One by one, as all entries are looked up here: on Zen 5 gathering them takes longer, so much so that
// AVX2 was quicker at encoding.
inline Pairs look_up_pairs(const void *table, __m512i ids) {
  alignas(64) std::uint32_t each[16];
  _mm512_store_si512(each, ids);
  const auto *const pairs = static_cast<const double *>(table);
  const auto two = [&](int first) __attribute__((always_inline)) {
    return _mm_loadh_pd(_mm_load_sd(pairs + each[first]), pairs + each[first + 1]);
  };
  const auto eight = [&](int first) __attribute__((always_inline)) {
    const __m256d low = _mm256_set_m128d(two(first + 2), two(first));
    const __m256d high = _mm256_set_m128d(two(first + 6), two(first + 4));
    return _mm512_castpd_si512(_mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1));
  };
  const __m512i a = eight(0), b = eight(8);
  const __m512i even =
      _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return {_mm512_permutex2var_epi32(a, even, b),
          _mm512_permutex2var_epi32(a, _mm512_add_epi32(even, _mm512_set1_epi32(1)), b)};
}

inline __m512i find_entries(const std::uint32_t *ids, const std::uint32_t *entries) {
  const auto four = [&](int first) __attribute__((always_inline)) {
    __m128i v = _mm_cvtsi32_si128(int(entries[ids[first]]));
    v = _mm_insert_epi32(v, int(entries[ids[first + 1]]), 1);
    v = _mm_insert_epi32(v, int(entries[ids[first + 2]]), 2);
    return _mm_insert_epi32(v, int(entries[ids[first + 3]]), 3);
  };
  const auto eight = [&](int first) __attribute__((always_inline)) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(four(first)), four(first + 4), 1);
  };
  return _mm512_inserti64x4(_mm512_castsi256_si512(eight(0)), eight(8), 1);
}

// Codes one symbol in each of sixteen lanes, by their entries; returns the new states.
inline __m512i encode_group(__m512i x, __m512i entry, std::uint8_t *&words) {
  const __m512i frequency = _mm512_srli_epi32(entry, 16);
  const __m512i start = _mm512_and_si512(entry, _mm512_set1_epi32(kTotal - 1));
  // Full lanes give off their low word.
  const __mmask16 full =
      _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x, 32 - kPrecision), frequency);
  const unsigned given = unsigned(_mm_popcnt_u32(full));
  words -= 2 * given;
  _mm512_mask_cvtepi32_storeu_epi16(words, __mmask16(_bzhi_u32(0xFFFF, given)),
                                    _mm512_maskz_compress_epi32(full, x));
  const __m512i y = _mm512_mask_srli_epi32(x, full, x, 16);
  // The quotient from single precision. One step of Newton's method makes the inverse right to
  // 2^-23, and the constant makes it too small by 2^-21 of it: so the quotient, below 2^18, is never
  // too large, and at most by one too small.
  const __m512 divisor = _mm512_cvtepi32_ps(frequency);
  const __m512 rough = _mm512_rcp14_ps(divisor);
  const __m512 inverse = _mm512_mul_ps(
      rough, _mm512_fnmadd_ps(divisor, rough, _mm512_set1_ps(2.0f - 1.0f / 2097152.0f)));
  const __m512i quotient = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepu32_ps(y), inverse));
  const __m512i rest = _mm512_sub_epi32(y, _mm512_mullo_epi32(quotient, frequency));
  const __mmask16 over = _mm512_cmpge_epu32_mask(rest, frequency);
  const __m512i next = _mm512_add_epi32(_mm512_slli_epi32(quotient, kPrecision),
                                        _mm512_add_epi32(rest, start));
  return _mm512_mask_add_epi32(next, over, next,
                               _mm512_sub_epi32(_mm512_set1_epi32(kTotal), frequency));
}

// What a stage of decoding leaves to the next.
struct Stage {
  __m512i slot;
  Pairs bucket;
  __m512i y;
};

inline Stage find_buckets(__m512i x, const std::uint16_t *indexes, const TableView &tables) {
  const __m512i slot = _mm512_and_si512(x, _mm512_set1_epi32(kTotal - 1));
  const __m512i ids = _mm512_add_epi32(_mm512_slli_epi32(load_indexes(indexes), kBucketBits),
                                       _mm512_srli_epi32(slot, kBucketShift));
  return {slot, look_up_pairs(tables.buckets, ids), slot};
}

// Finds symbols, and the states before words are taken. Returns which lanes escape.
template <Nearness Near>
unsigned find_symbols(Stage &stage, __m512i x, const std::uint16_t *indexes,
                      const TableView &tables, std::int32_t *symbols, std::uint8_t *shifts) {
  const __m512i low = stage.bucket.low, high = stage.bucket.high;
  const __m512i one = _mm512_set1_epi32(1), byte = _mm512_set1_epi32(255);
  __m512i within = _mm512_sub_epi32(stage.slot, _mm512_and_si512(low, _mm512_set1_epi32(kTotal - 1)));
  __m512i frequency = _mm512_srli_epi32(low, 16);
  const __mmask16 second = _mm512_cmpge_epu32_mask(within, frequency);
  within = _mm512_mask_sub_epi32(within, second, within, frequency);
  __m512i entry = _mm512_mask_mov_epi32(low, second, high);
  frequency = _mm512_srli_epi32(entry, 16);
  __m512i keys = _mm512_mask_add_epi32(high, second, high, one);
  __mmask16 outside = _mm512_cmpge_epu32_mask(within, frequency);
  while (outside != 0) {
    keys = _mm512_and_si512(_mm512_mask_add_epi32(keys, outside, keys, one), byte);
    within = _mm512_mask_sub_epi32(within, outside, within, frequency);
    const __m512i ids = _mm512_or_si512(_mm512_slli_epi32(load_indexes(indexes), 8), keys);
    entry = _mm512_mask_i32gather_epi32(entry, outside, ids, tables.entries, 4);
    frequency = _mm512_srli_epi32(entry, 16);
    outside = _mm512_cmpge_epu32_mask(within, frequency);
  }
  stage.y =
      _mm512_add_epi32(_mm512_mullo_epi32(frequency, _mm512_srli_epi32(x, kPrecision)), within);

  const __m512i signed_keys = _mm512_srai_epi32(_mm512_slli_epi32(keys, 24), 24);
  if (Near == Nearness::kDirect) {
    _mm512_storeu_si512(symbols, signed_keys);
  } else if (Near == Nearness::kNear) {
    const __m512i shift = _mm512_and_si512(_mm512_srli_epi32(high, 8), _mm512_set1_epi32(7));
    const __m512i rest = _mm512_and_si512(_mm512_srli_epi32(high, 11), _mm512_set1_epi32(15));
    _mm512_storeu_si512(symbols, _mm512_add_epi32(_mm512_sllv_epi32(signed_keys, shift), rest));
    store_bytes(shifts, shift);
  } else {
    const Pairs infos = look_up_pairs(tables.infos, load_indexes(indexes));
    const __m512i shift = _mm512_srli_epi32(infos.high, 16);
    const __m512i code =
        _mm512_and_si512(_mm512_sub_epi32(keys, _mm512_srav_epi32(infos.low, shift)), byte);
    _mm512_storeu_si512(symbols, _mm512_add_epi32(infos.low, _mm512_sllv_epi32(code, shift)));
    store_bytes(shifts, shift);
  }
  return _mm512_test_epi32_mask(entry, _mm512_set1_epi32(kEscape));
}

// Takes the words that are due. Returns the new states.
inline __m512i take_words(const Stage &stage, const std::uint8_t *&words) {
  const __mmask16 due = _mm512_cmplt_epu32_mask(stage.y, _mm512_set1_epi32(kStateLow));
  const __m512i word = _mm512_maskz_expand_epi32(
      due, load_indexes(reinterpret_cast<const std::uint16_t *>(words)));
  words += 2 * _mm_popcnt_u32(due);
  return _mm512_mask_or_epi32(stage.y, due, _mm512_slli_epi32(stage.y, 16), word);
}

template <typename Symbol, typename Index>
std::size_t general_ids_of(const Symbol *symbols, const Index *indexes, std::size_t count,
                           const TableInfo *infos, std::uint32_t *ids, std::uint8_t *raw,
                           std::uint8_t *shifts, std::uint16_t *escapes) {
  std::size_t i = 0, escape_count = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512i index = load_indexes(indexes + i);
    const Pairs of = look_up_pairs(infos, index);
    const __m512i escape = _mm512_and_si512(of.high, _mm512_set1_epi32(0xFFFF));
    const __m512i shift = _mm512_srli_epi32(of.high, 16);
    const __m512i distance = _mm512_sub_epi32(load_symbols(symbols + i), of.low);
    const __m512i code = _mm512_srlv_epi32(distance, shift);
    const __m512i least = _mm512_min_epu32(code, escape);
    const __m512i key = _mm512_and_si512(
        _mm512_add_epi32(least, _mm512_srav_epi32(of.low, shift)), _mm512_set1_epi32(255));
    _mm512_storeu_si512(ids + i, _mm512_or_si512(_mm512_slli_epi32(index, 8), key));
    store_bytes(raw + i, _mm512_sub_epi32(distance, _mm512_sllv_epi32(code, shift)));
    store_bytes(shifts + i, shift);
    for (unsigned lanes = _mm512_cmpeq_epi32_mask(least, escape); lanes != 0; lanes &= lanes - 1)
      escapes[escape_count++] = std::uint16_t(i + _tzcnt_u32(lanes));
  }
  return general_ids_from(i, escape_count, symbols, indexes, count, infos, ids, raw, shifts,
                          escapes);
}

// The usual types by hand: compilers widen the numbers too soon.
bool direct_ids_of(const std::int16_t *symbols, const std::uint8_t *indexes, std::size_t count,
                   std::uint32_t *ids) {
  const __m512i low_byte = _mm512_set1_epi16(255);
  __m512i outside = _mm512_setzero_si512();
  std::size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m512i symbol = load_512(symbols + i);
    const __m512i index = _mm512_cvtepu8_epi16(
        _mm256_loadu_si256(reinterpret_cast<const __m256i *>(indexes + i)));
    outside = _mm512_or_si512(outside, _mm512_add_epi16(symbol, _mm512_set1_epi16(128)));
    const __m512i id =
        _mm512_or_si512(_mm512_slli_epi16(index, 8), _mm512_and_si512(symbol, low_byte));
    _mm512_storeu_si512(ids + i, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(id)));
    _mm512_storeu_si512(ids + i + 16, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(id, 1)));
  }
  return _mm512_cmpgt_epu16_mask(outside, low_byte) == 0 &&
         DirectIds{count - i, ids + i}(symbols + i, indexes + i);
}

#include "x86_streams.hpp"

}  // namespace

const Kernels kAvx512Kernels = {"avx512", fast_scale_indexes, take, highest_index, encode, decode, fast_direct_ids, general_ids, put_raw, add_raw, crc32c, crc32c_16};

}  // namespace kodec
