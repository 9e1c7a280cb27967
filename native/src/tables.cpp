#include "tables.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "crc32c.hpp"
#include "errors.hpp"

namespace kodec {
namespace {

std::string name(std::size_t table) { return "table " + std::to_string(table); }

// -log2(frequency / 2^14) in units of 2^-16 bit, rounded up; in integers, because the choice of
// segments rests on it and must be the same on every machine.
std::uint32_t information(std::uint32_t frequency) {
  std::uint64_t mantissa = frequency;
  int exponent = 0;
  for (; mantissa >> (exponent + 1); ++exponent) {
  }
  mantissa <<= 31 - exponent;  // in [2^31, 2^32), a number in [1, 2)
  std::uint32_t log2 = std::uint32_t(exponent);
  for (int bit = 0; bit < kCostBits; ++bit) {
    mantissa = mantissa * mantissa >> 31;
    const bool carry = mantissa >> 32;
    log2 = log2 << 1 | std::uint32_t(carry);
    if (carry) mantissa >>= 1;
  }
  return (std::uint32_t(kPrecision) << kCostBits) - log2;
}

using Costs = std::array<std::uint32_t, kTotal + 1>;

Costs make_costs() {
  Costs costs{};
  for (std::uint32_t frequency = 1; frequency <= kTotal; ++frequency)
    costs[frequency] = information(frequency);
  return costs;
}

bool is_near(const TableInfo &info) {
  const std::int64_t first_key = info.offset >> info.shift;
  return info.shift <= kMostNearShift && first_key >= -128 && first_key + info.escape <= 128;
}

}  // namespace

TableSet::TableSet(const std::uint16_t *frequencies, std::size_t total,
                   const std::uint16_t *sizes, const std::int32_t *offsets,
                   const std::uint8_t *shifts, std::size_t count) {
  if (count < 1 || count > kMaxTables)
    throw InvalidInputError("a table set holds 1 to 65535 tables, not " + std::to_string(count));
  std::size_t expected = 0;
  for (std::size_t t = 0; t < count; ++t) {
    if (sizes[t] < 2 || sizes[t] > kMaxCodes)
      throw InvalidInputError(name(t) + " has " + std::to_string(sizes[t]) +
                              " codes; 2 to 256 are possible, the escape included");
    expected += sizes[t];
  }
  if (expected != total)
    throw InvalidInputError("sizes add up to " + std::to_string(expected) + " codes, but there are " +
                            std::to_string(total) + " frequencies");
  infos_.reserve(count + 1);
  entries_.reserve((count + 1) * kMaxCodes);
  buckets_.reserve((count + 1) << kBucketBits);
  append_skip();
  for (std::size_t t = 0, first = 0; t < count; first += sizes[t++])
    append(frequencies + first, sizes[t], offsets[t], shifts[t], t);

  const auto direct = [](const TableInfo &info) { return info.shift == 0 && is_near(info); };
  const auto first_not = [this](auto property) {
    return std::uint32_t(std::find_if_not(infos_.begin(), infos_.end(), property) - infos_.begin());
  };
  direct_below_ = first_not(direct);
  near_below_ = first_not(is_near);
  fingerprint_ = crc32c(sizes, count);
  fingerprint_ = crc32c(offsets, count, fingerprint_);
  fingerprint_ = crc32c(shifts, count, fingerprint_);
  fingerprint_ = crc32c(frequencies, total, fingerprint_);
}

std::uint32_t TableSet::cost(std::uint32_t id) const {
  static const Costs costs = make_costs();
  return costs[entries_[id] >> 16] + (std::uint32_t(infos_[id >> 8].shift) << kCostBits);
}

void TableSet::append_skip() {
  // A table of one code with frequency 2^14: coding it changes no state.
  infos_.push_back({0, 1, 0});
  entries_.resize(kMaxCodes, kNoCode | 1u << 16);
  append_entry(0, 0, kTotal, false);
  append_buckets();
}

void TableSet::append(const std::uint16_t *frequencies, std::size_t codes, std::int32_t offset,
                      std::uint8_t shift, std::size_t table) {
  if (shift > kMaxShift)
    throw InvalidInputError(name(table) + " has " + std::to_string(shift) +
                            " raw low bits; at most 8 are possible");
  const std::size_t escape = codes - 1;
  const std::int64_t escape_value = std::int64_t(offset) + (std::int64_t(escape) << shift);
  if (escape_value > std::numeric_limits<std::int32_t>::max())
    throw InvalidInputError(name(table) + " reaches symbols above 2^31 - 1; lower its offset");
  infos_.push_back({offset, std::uint16_t(escape), shift});
  has_raw_bits_ = has_raw_bits_ || shift > 0;
  entries_.resize(entries_.size() + kMaxCodes, kNoCode | 1u << 16);

  std::uint32_t start = 0;
  for (std::size_t code = 0; code < codes; ++code) {
    const std::uint32_t frequency = frequencies[code];
    if (frequency == 0)
      throw InvalidInputError(name(table) + " has frequency 0 at code " + std::to_string(code) +
                              "; the least is 1");
    if (start + frequency > kTotal)
      throw InvalidInputError("the frequencies of " + name(table) + " add up to more than 16384");
    append_entry(std::uint8_t(std::uint32_t(offset >> shift) + code), start, frequency, code == escape);
    start += frequency;
  }
  if (start != kTotal)
    throw InvalidInputError("the frequencies of " + name(table) + " add up to " +
                            std::to_string(start) + ", not to 16384");
  append_buckets();
}

void TableSet::append_entry(std::uint8_t key, std::uint32_t start, std::uint32_t frequency,
                            bool escape) {
  entries_[entries_.size() - kMaxCodes + key] = start | (escape ? kEscape : 0u) | frequency << 16;
}

void TableSet::append_buckets() {
  const TableInfo &info = infos_.back();
  const std::uint32_t *const entries = entries_.data() + entries_.size() - kMaxCodes;
  const std::uint32_t shift = is_near(info) ? info.shift : 0u;
  const std::uint32_t rest = std::uint32_t(info.offset) & ((1u << shift) - 1);
  std::uint8_t key = std::uint8_t(info.offset >> info.shift);
  for (std::uint32_t slot = 0; slot < kTotal; slot += kBucketSlots) {
    while (slot >= (entries[key] & (kTotal - 1)) + (entries[key] >> 16)) ++key;
    // The last code has no next one, and slots enough.
    const std::uint32_t next = entries[std::uint8_t(key + 1)] & ~(kTotal - 1) & ~kNoCode;
    const std::uint32_t high = next | rest << 11 | shift << 8 | key;
    buckets_.push_back(entries[key] | std::uint64_t(high) << 32);
  }
}

}  // namespace kodec
