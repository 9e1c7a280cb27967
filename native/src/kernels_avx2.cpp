// The kernels in AVX2: groups of eight lanes.
#include <immintrin.h>

#include "kernels.hpp"
#include "lane.hpp"

namespace kodec {
namespace {

#include "portable_loops.hpp"
#include "x86_loops.hpp"

// For each set of lanes, the byte shuffle that moves eight words' chosen ones to the upper end, in
// order, and the one that spreads words from the lower end over them, with zeros elsewhere.
struct Shuffles {
  alignas(16) std::uint8_t pack[256][16];
  alignas(16) std::uint8_t spread[256][16];

  constexpr Shuffles() : pack{}, spread{} {
    for (unsigned lanes = 0; lanes < 256; ++lanes) {
      unsigned chosen = 0;
      for (unsigned lane = 0; lane < 8; ++lane) chosen += lanes >> lane & 1;
      unsigned taken = 0;
      for (unsigned byte = 0; byte < 16; ++byte) pack[lanes][byte] = spread[lanes][byte] = 0x80;
      for (unsigned lane = 0; lane < 8; ++lane) {
        if (!(lanes >> lane & 1)) continue;
        for (unsigned byte = 0; byte < 2; ++byte) {
          spread[lanes][2 * lane + byte] = std::uint8_t(2 * taken + byte);
          pack[lanes][2 * (8 - chosen + taken) + byte] = std::uint8_t(2 * lane + byte);
        }
        ++taken;
      }
    }
  }
};
constexpr Shuffles kShuffles{};

using Register = __m256i;
constexpr int kGroup = 8;
constexpr const Kernels &kNarrower = kScalarKernels;

inline __m128i load_128(const void *p) { return _mm_loadu_si128(static_cast<const __m128i *>(p)); }
inline __m256i load_256(const void *p) {
  return _mm256_loadu_si256(static_cast<const __m256i *>(p));
}
inline void store_256(void *p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i *>(p), v); }
inline __m256i load_states(const std::uint32_t *p) { return load_256(p); }
inline void store_states(std::uint32_t *p, __m256i v) { store_256(p, v); }
inline __m256i either(__m256i a, __m256i b) { return _mm256_or_si256(a, b); }
inline std::uint32_t any_of(__m256i v) {
  const __m128i four = _mm_or_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const std::uint64_t two = std::uint64_t(_mm_extract_epi64(four, 0) | _mm_extract_epi64(four, 1));
  return std::uint32_t(two | two >> 32);
}
inline __m256i load_symbols(const std::int16_t *p) { return _mm256_cvtepi16_epi32(load_128(p)); }
inline __m256i load_symbols(const std::int32_t *p) { return load_256(p); }
inline __m256i load_indexes(const std::uint8_t *p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)));
}
inline __m256i load_indexes(const std::uint16_t *p) { return _mm256_cvtepu16_epi32(load_128(p)); }
inline unsigned lanes_of(__m256i mask) {
  return unsigned(_mm256_movemask_ps(_mm256_castsi256_ps(mask)));
}
inline __m256i gather(const std::uint32_t *base, __m256i ids) {
  return _mm256_i32gather_epi32(reinterpret_cast<const int *>(base), ids, 4);
}

// Eight entries, one by one: on Zen 3 that takes half as long as gathering them.
inline __m256i find_entries(const std::uint32_t *ids, const std::uint32_t *entries) {
  const auto four = [&](int first) __attribute__((always_inline)) {
    __m128i v = _mm_cvtsi32_si128(int(entries[ids[first]]));
    v = _mm_insert_epi32(v, int(entries[ids[first + 1]]), 1);
    v = _mm_insert_epi32(v, int(entries[ids[first + 2]]), 2);
    return _mm_insert_epi32(v, int(entries[ids[first + 3]]), 3);
  };
  return _mm256_inserti128_si256(_mm256_castsi128_si256(four(0)), four(4), 1);
}

// The lower and upper halves of eight pairs of integers.
struct Pairs {
  __m256i low, high;
};

template <typename Index>
Pairs look_up_pairs(const void *table, const Index *ids) {
  const auto *const pairs = static_cast<const double *>(table);
  const auto two = [&](int first) __attribute__((always_inline)) {
    return _mm_loadh_pd(_mm_load_sd(pairs + ids[first]), pairs + ids[first + 1]);
  };
  // In the order that the shuffles, which keep to halves, put right.
  const __m256 a = _mm256_castpd_ps(_mm256_set_m128d(two(4), two(0)));
  const __m256 b = _mm256_castpd_ps(_mm256_set_m128d(two(6), two(2)));
  return {_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)),
          _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xDD))};
}

// Codes one symbol in each of eight lanes, by their entries; returns the new states.
inline __m256i encode_group(__m256i x, __m256i entry, std::uint8_t *&words) {
  const __m256i frequency = _mm256_srli_epi32(entry, 16);
  const __m256i start = _mm256_and_si256(entry, _mm256_set1_epi32(kTotal - 1));
  // Lanes with room: x >> 18 < frequency, both below 2^15. The others give off their low word.
  const __m256i room = _mm256_cmpgt_epi32(frequency, _mm256_srli_epi32(x, 32 - kPrecision));
  const unsigned full = ~lanes_of(room) & 255;
  const __m256i low = _mm256_shuffle_epi8(
      x, _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9,
                          12, 13, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m128i eight = _mm256_castsi256_si128(_mm256_permute4x64_epi64(low, 0x08));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(words - 16),
                   _mm_shuffle_epi8(eight, load_128(kShuffles.pack[full])));
  words -= 2 * _mm_popcnt_u32(full);
  const __m256i y = _mm256_blendv_epi8(_mm256_srli_epi32(x, 16), x, room);
  // The quotient from single precision, right to within one; the rest tells.
  const __m256 inverse = _mm256_div_ps(_mm256_set1_ps(2.0f), _mm256_cvtepi32_ps(frequency));
  const __m256 half = _mm256_cvtepi32_ps(_mm256_srli_epi32(y, 1));
  const __m256i quotient = _mm256_cvttps_epi32(_mm256_mul_ps(half, inverse));
  const __m256i rest = _mm256_sub_epi32(y, _mm256_mullo_epi32(quotient, frequency));
  const __m256i step = _mm256_sub_epi32(_mm256_set1_epi32(kTotal), frequency);
  const __m256i over = _mm256_andnot_si256(_mm256_cmpgt_epi32(frequency, rest), step);
  const __m256i under = _mm256_and_si256(_mm256_srai_epi32(rest, 31), step);
  const __m256i next = _mm256_add_epi32(_mm256_slli_epi32(quotient, kPrecision),
                                        _mm256_add_epi32(rest, start));
  return _mm256_add_epi32(next, _mm256_sub_epi32(over, under));
}

// Eight integers below 256, as bytes.
inline void store_bytes(std::uint8_t *p, __m256i v) {
  const __m256i words = _mm256_packus_epi32(v, v);
  const __m128i eight = _mm256_castsi256_si128(_mm256_permute4x64_epi64(words, 0x08));
  _mm_storel_epi64(reinterpret_cast<__m128i *>(p), _mm_packus_epi16(eight, eight));
}

// What a stage of decoding leaves to the next.
struct Stage {
  __m256i slot;
  Pairs bucket;
  __m256i y, due;
};

inline Stage find_buckets(__m256i x, const std::uint16_t *indexes, const TableView &tables) {
  const __m256i slot = _mm256_and_si256(x, _mm256_set1_epi32(kTotal - 1));
  alignas(32) std::uint32_t ids[8];
  store_256(ids, _mm256_add_epi32(_mm256_slli_epi32(load_indexes(indexes), kBucketBits),
                                  _mm256_srli_epi32(slot, kBucketShift)));
  return {slot, look_up_pairs(tables.buckets, ids), slot, slot};
}

// Finds symbols, and the states before words are taken. Returns which lanes escape.
template <Nearness Near>
unsigned find_symbols(Stage &stage, __m256i x, const std::uint16_t *indexes,
                      const TableView &tables, std::int32_t *symbols, std::uint8_t *shifts) {
  const __m256i low = stage.bucket.low, high = stage.bucket.high;
  __m256i within = _mm256_sub_epi32(stage.slot, _mm256_and_si256(low, _mm256_set1_epi32(kTotal - 1)));
  __m256i frequency = _mm256_srli_epi32(low, 16);
  const __m256i first = _mm256_cmpgt_epi32(frequency, within);
  within = _mm256_sub_epi32(within, _mm256_andnot_si256(first, frequency));
  __m256i entry = _mm256_blendv_epi8(high, low, first);
  frequency = _mm256_srli_epi32(entry, 16);
  // Adding the mask and one more advances just the lanes where it is not set.
  const __m256i one = _mm256_set1_epi32(1), byte = _mm256_set1_epi32(255);
  __m256i keys = _mm256_add_epi32(high, _mm256_add_epi32(first, one));
  __m256i inside = _mm256_cmpgt_epi32(frequency, within);
  while (lanes_of(inside) != 255) {
    keys = _mm256_and_si256(_mm256_add_epi32(keys, _mm256_add_epi32(inside, one)), byte);
    within = _mm256_sub_epi32(within, _mm256_andnot_si256(inside, frequency));
    entry = gather(tables.entries,
                   _mm256_or_si256(_mm256_slli_epi32(load_indexes(indexes), 8), keys));
    frequency = _mm256_srli_epi32(entry, 16);
    inside = _mm256_cmpgt_epi32(frequency, within);
  }
  stage.y =
      _mm256_add_epi32(_mm256_mullo_epi32(frequency, _mm256_srli_epi32(x, kPrecision)), within);
  stage.due = _mm256_cmpeq_epi32(_mm256_srli_epi32(stage.y, 16), _mm256_setzero_si256());

  const __m256i signed_keys = _mm256_srai_epi32(_mm256_slli_epi32(keys, 24), 24);
  if (Near == Nearness::kDirect) {
    store_256(symbols, signed_keys);
  } else if (Near == Nearness::kNear) {
    const __m256i shift = _mm256_and_si256(_mm256_srli_epi32(high, 8), _mm256_set1_epi32(7));
    const __m256i rest = _mm256_and_si256(_mm256_srli_epi32(high, 11), _mm256_set1_epi32(15));
    store_256(symbols, _mm256_add_epi32(_mm256_sllv_epi32(signed_keys, shift), rest));
    store_bytes(shifts, shift);
  } else {
    const Pairs infos = look_up_pairs(tables.infos, indexes);
    const __m256i shift = _mm256_srli_epi32(infos.high, 16);
    const __m256i code =
        _mm256_and_si256(_mm256_sub_epi32(keys, _mm256_srav_epi32(infos.low, shift)), byte);
    store_256(symbols, _mm256_add_epi32(infos.low, _mm256_sllv_epi32(code, shift)));
    store_bytes(shifts, shift);
  }
  return lanes_of(_mm256_slli_epi32(entry, 16));
}

// Takes the words that are due. Returns the new states.
inline __m256i take_words(const Stage &stage, const std::uint8_t *&words) {
  const unsigned due = lanes_of(stage.due);
  const __m256i word = _mm256_cvtepu16_epi32(
      _mm_shuffle_epi8(load_128(words), load_128(kShuffles.spread[due])));
  words += 2 * _mm_popcnt_u32(due);
  const __m256i room = _mm256_and_si256(stage.due, _mm256_set1_epi32(16));
  return _mm256_or_si256(_mm256_sllv_epi32(stage.y, room), word);
}

template <typename Symbol, typename Index>
std::size_t general_ids_of(const Symbol *symbols, const Index *indexes, std::size_t count,
                           const TableInfo *infos, std::uint32_t *ids, std::uint8_t *raw,
                           std::uint8_t *shifts, std::uint16_t *escapes) {
  std::size_t i = 0, escape_count = 0;
  for (; i + 8 <= count; i += 8) {
    const Pairs of = look_up_pairs(infos, indexes + i);
    const __m256i escape = _mm256_and_si256(of.high, _mm256_set1_epi32(0xFFFF));
    const __m256i shift = _mm256_srli_epi32(of.high, 16);
    const __m256i distance = _mm256_sub_epi32(load_symbols(symbols + i), of.low);
    const __m256i code = _mm256_srlv_epi32(distance, shift);
    const __m256i least = _mm256_min_epu32(code, escape);
    const __m256i key =
        _mm256_and_si256(
        _mm256_add_epi32(least, _mm256_srav_epi32(of.low, shift)), _mm256_set1_epi32(255));
    store_256(ids + i, _mm256_or_si256(_mm256_slli_epi32(load_indexes(indexes + i), 8), key));
    store_bytes(raw + i, _mm256_sub_epi32(distance, _mm256_sllv_epi32(code, shift)));
    store_bytes(shifts + i, shift);
    for (unsigned lanes = lanes_of(_mm256_cmpeq_epi32(least, escape)); lanes != 0;
         lanes &= lanes - 1)
      escapes[escape_count++] = std::uint16_t(i + _tzcnt_u32(lanes));
  }
  return general_ids_from(i, escape_count, symbols, indexes, count, infos, ids, raw, shifts,
                          escapes);
}

// The usual types by hand: compilers widen the numbers too soon.
bool direct_ids_of(const std::int16_t *symbols, const std::uint8_t *indexes,
                            std::size_t count, std::uint32_t *ids) {
  const __m256i low_byte = _mm256_set1_epi16(255);
  __m256i outside = _mm256_setzero_si256();
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i symbol = load_256(symbols + i);
    const __m256i index = _mm256_cvtepu8_epi16(load_128(indexes + i));
    outside = _mm256_or_si256(outside, _mm256_add_epi16(symbol, _mm256_set1_epi16(128)));
    const __m256i id = _mm256_or_si256(_mm256_slli_epi16(index, 8), _mm256_and_si256(symbol, low_byte));
    store_256(ids + i, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(id)));
    store_256(ids + i + 8, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(id, 1)));
  }
  return _mm256_testc_si256(low_byte, outside) &&
         DirectIds{count - i, ids + i}(symbols + i, indexes + i);
}

#include "x86_streams.hpp"

}  // namespace

const Kernels kAvx2Kernels = {"avx2", fast_scale_indexes, take, highest_index, encode, decode, fast_direct_ids, general_ids, put_raw, add_raw, crc32c, crc32c_16};

}  // namespace kodec
