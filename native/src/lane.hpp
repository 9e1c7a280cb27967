// One symbol in one lane: the coder's arithmetic, in portable C++. All functions are static, so
// that what one instruction set's flags made of them is never linked for another.
#pragma once

#include <array>
#include <cstdint>

#include "bytes.hpp"
#include "kernels.hpp"

namespace kodec {

// ceil(2^46 / frequency), by frequency.
struct Reciprocals {
  std::array<std::uint64_t, kTotal + 1> of{};
  constexpr Reciprocals() {
    for (std::uint64_t f = 1; f <= kTotal; ++f) of[f] = ((std::uint64_t(1) << 46) + f - 1) / f;
  }
};
inline constexpr Reciprocals kReciprocals{};

// Codes one symbol into `x`; may write a word below `p`, and overwrites it in any case.
static inline std::uint8_t *encode_symbol(std::uint32_t &x, std::uint32_t entry, std::uint8_t *p) {
  const std::uint32_t frequency = entry >> 16;
  p[-2] = std::uint8_t(x);
  p[-1] = std::uint8_t(x >> 8);
  // Arithmetic, because compilers make branches of `?:`, and this one is as good as random.
  const std::uint32_t full = (x >> (32 - kPrecision)) >= frequency;
  p -= 2 * full;
  const std::uint32_t y = x >> (16 * full);
  // Exact: y < frequency * 2^18, so the product stays below 2^64 and its error below 1 / frequency.
  const std::uint32_t quotient = std::uint32_t(y * kReciprocals.of[frequency] >> 46);
  x = y + (entry & (kTotal - 1)) + quotient * (kTotal - frequency);
  return p;
}

// Decodes one symbol from `x`; may take the word at `p`. Returns its key, and gives its entry.
static inline std::uint8_t decode_symbol(std::uint32_t &x, std::uint32_t index, const TableView &tables,
                                  const std::uint8_t *&p, std::uint32_t &entry) {
  const std::uint32_t slot = x & (kTotal - 1);
  const std::uint64_t bucket = tables.buckets[index << kBucketBits | slot >> kBucketShift];
  entry = std::uint32_t(bucket);
  std::uint8_t key = std::uint8_t(bucket >> 32);
  std::uint32_t within = slot - (entry & (kTotal - 1));
  // Which of the two is as good as random: arithmetic, because compilers make branches of `?:`.
  const std::uint32_t second = 0u - std::uint32_t(within >= entry >> 16);
  within -= (entry >> 16) & second;
  entry ^= (entry ^ std::uint32_t(bucket >> 32)) & second;
  key = std::uint8_t(key - second);
  while (within >= entry >> 16) {
    within -= entry >> 16;
    entry = tables.entries[index << 8 | ++key];
  }
  const std::uint32_t y = (entry >> 16) * (x >> kPrecision) + within;
  // So is whether a word is due.
  const std::uint32_t due = 0u - std::uint32_t(y < kStateLow);
  x = y << (due & 16) | (load_u16(p) & due);
  p += due & 2;
  return key;
}

// What a key stands for, less raw bits.
template <bool Direct>
static inline std::int32_t symbol_value(std::uint8_t key, const TableInfo *infos,
                                        std::uint32_t index) {
  if (Direct) return std::int8_t(key);
  const TableInfo info = infos[index];
  const std::uint32_t code = (key - std::uint32_t(info.offset >> info.shift)) & 255;
  return std::int32_t(std::uint32_t(info.offset) + (code << info.shift));
}

// One symbol of Kernels::general_ids; whether it escapes.
static inline bool general_id(std::int32_t symbol, std::uint32_t index, const TableInfo *infos,
                       std::uint32_t &id, std::uint8_t &raw) {
  const TableInfo info = infos[index];
  // Modulo 2^32 the distance is negative, or else as large as it really is: offset + (escape <<
  // shift) is below 2^31.
  const std::uint32_t distance = std::uint32_t(symbol) - std::uint32_t(info.offset);
  std::uint32_t code = distance >> info.shift;
  const bool escapes = code >= info.escape;
  if (escapes) code = info.escape;
  id = index << 8 | ((code + std::uint32_t(info.offset >> info.shift)) & 255);
  raw = std::uint8_t(distance & ((1u << info.shift) - 1));
  return escapes;
}

// Where a logarithm lies among the levels: each integer is where an index begins. Whether it is a
// close call, as Kernels::scale_indexes has it.
static inline double scale_position(double logarithm, const ScaleLevels &levels) {
  return (logarithm - levels.first) * levels.inverse_step + 0.5;
}
static inline bool is_close(double position, const ScaleLevels &levels) {
  const double highest = levels.count - 1;
  const double within = position > 0 ? position < highest ? position : highest : 0.0;
  const double nearest = double(std::int32_t(within + 0.5));
  const double distance = position > nearest ? position - nearest : nearest - position;
  return distance < levels.guard;
}

}  // namespace kodec
