// Decoding in portable C++, four lanes at a time: in the vector types of GCC and Clang, which become
// SSE2 on x86-64 and NEON on arm64. Only for little-endian hosts, where half 0 of a 64-bit number is
// its lower one. All functions are static, see lane.hpp.
#pragma once

#include <cstring>

#include "lane.hpp"

#if (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)) && \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define KODEC_FOURS

namespace kodec {

typedef std::uint32_t Four __attribute__((vector_size(16)));
typedef std::int32_t SignedFour __attribute__((vector_size(16)));
typedef std::uint64_t Pair __attribute__((vector_size(16)));
typedef std::uint16_t ShortEight __attribute__((vector_size(16)));
typedef std::uint8_t ByteFour __attribute__((vector_size(4)));

template <typename Vector>
static inline Vector load_vector(const void *p) {
  Vector vector;
  std::memcpy(&vector, p, sizeof(vector));
  return vector;
}

template <typename Vector>
static inline void store_vector(void *p, Vector vector) {
  std::memcpy(p, &vector, sizeof(vector));
}

// Four numbers of 16 bits, as they lie in memory.
static inline Four load_shorts(const void *p) {
  std::uint64_t numbers;
  std::memcpy(&numbers, p, sizeof(numbers));
  const ShortEight zero = {0, 0, 0, 0, 0, 0, 0, 0};
  return Four(__builtin_shufflevector(ShortEight(Pair{numbers, 0}), zero, 0, 8, 1, 9, 2, 10, 3, 11));
}

// `mask` is all ones or all zeros in each lane.
static inline Four select(Four mask, Four if_ones, Four if_zeros) {
  return if_zeros ^ ((if_zeros ^ if_ones) & mask);
}

// All ones in the lanes where bit `Bit` is set.
template <int Bit>
static inline Four spread_bit(Four value) {
  return Four(SignedFour(value << (31 - Bit)) >> 31);
}

static inline bool any(Four mask) {
  const Pair halves = Pair(mask);
  return (halves[0] | halves[1]) != 0;
}

// Moves each lane `Count` lanes up; zeros come in.
template <int Count>
static inline Four up(Four value) {
  const Four zero = {0, 0, 0, 0};
  return __builtin_shufflevector(zero, value, 4 - Count, 5 - Count, 6 - Count, 7 - Count);
}

// The records of four lanes' buckets.
struct Records {
  Four low, high;
};

static inline Records find_records(Four x, Four index, const std::uint64_t *buckets) {
  const Four place = index << kBucketBits | (x & (kTotal - 1)) >> kBucketShift;
  std::uint32_t places[4];
  store_vector(places, place);
  const Four even = Four(Pair{buckets[places[0]], buckets[places[1]]});
  const Four odd = Four(Pair{buckets[places[2]], buckets[places[3]]});
  return {__builtin_shufflevector(even, odd, 0, 2, 4, 6),
          __builtin_shufflevector(even, odd, 1, 3, 5, 7)};
}

// The codes that four lanes' states stand for: their entries, their keys, and how far in each code the
// slot lies.
struct Codes {
  Four entries, keys, within;
};

static inline Codes find_codes(Four x, const std::uint16_t *indexes, Records records,
                               const std::uint32_t *entries) {
  const Four slot = x & (kTotal - 1);
  Codes codes;
  codes.within = slot - (records.low & (kTotal - 1));
  const Four frequency = records.low >> 16;
  // Comparisons are of signed numbers, which SSE2 has; all are small.
  const Four first = Four(SignedFour(codes.within) < SignedFour(frequency));
  codes.within -= frequency & ~first;
  codes.entries = select(first, records.low, records.high);
  codes.keys = (records.high & 255) + 1 + first;
  const Four within = Four(SignedFour(codes.within) < SignedFour(codes.entries >> 16));
  if (any(~within)) {
    for (int lane = 0; lane < 4; ++lane)
      while (codes.within[lane] >= codes.entries[lane] >> 16) {
        codes.within[lane] -= codes.entries[lane] >> 16;
        codes.keys[lane] = (codes.keys[lane] + 1) & 255;
        codes.entries[lane] = entries[std::uint32_t(indexes[lane]) << 8 | codes.keys[lane]];
      }
  }
  return codes;
}

// Takes the codes off four lanes' states; may take words at `p`.
static inline Four advance(Four x, const Codes &codes, const std::uint8_t *&p) {
  const Four y = (codes.entries >> 16) * (x >> kPrecision) + codes.within;
  const Four due = Four(y >> 16 == 0);
  // The words of the lanes that are due, each moved up past those that are not: by two lanes, then
  // by one.
  const Four rests = due + 1;
  Four sums = rests + up<1>(rests);
  sums += up<2>(sums);
  const Four moves = sums - rests;
  Four words = load_shorts(p);
  words = select(spread_bit<1>(moves), up<2>(words), words);
  words = select(spread_bit<0>(moves), up<1>(words), words);
  p += 2 * (4 - sums[3]);
  return select(due, y << 16 | words, y);
}

// What keys of near tables stand for, less raw bits; `high` are the upper halves of their records.
static inline Four near_values(Four keys, Four high) {
  Four values = Four(SignedFour(keys << 24) >> 24);
  values = select(spread_bit<8>(high), values << 1, values);
  values = select(spread_bit<9>(high), values << 2, values);
  values = select(spread_bit<10>(high), values << 4, values);
  return values + (high >> 11 & 15);
}

}  // namespace kodec

#endif
