#include "tables.hpp"

#include <limits>
#include <string>

#include "crc32c.hpp"
#include "errors.hpp"

namespace kodec {
namespace {

std::string name(std::size_t table) { return "table " + std::to_string(table); }

// -log2(frequency / 2^14) in units of 2^-16 bit, rounded up; in integers, because the choice of
// segments rests on it and must be the same on every machine.
std::uint32_t cost_of(std::uint32_t frequency) {
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
  encode_.reserve(total + 1);
  decode_.reserve(total + 1);
  buckets_.reserve((count + 1) << kBucketBits);
  append_skip();
  for (std::size_t t = 0, first = 0; t < count; first += sizes[t++])
    append(frequencies + first, sizes[t], offsets[t], shifts[t], t);

  fingerprint_ = crc32c(sizes, count);
  fingerprint_ = crc32c(offsets, count, fingerprint_);
  fingerprint_ = crc32c(shifts, count, fingerprint_);
  fingerprint_ = crc32c(frequencies, total, fingerprint_);
}

void TableSet::append_skip() {
  // No symbol of index 0 has value 1 (escape_value), so none is ever patched.
  infos_.push_back({0, 1, 0, 1, 0});
  append_entry(0, kTotal, 0, false, 0);
  buckets_.resize(std::size_t(1) << kBucketBits, 0);
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
  infos_.push_back({offset, std::int32_t(escape_value), std::uint32_t(encode_.size()),
                    std::uint16_t(escape), shift});
  has_raw_bits_ = has_raw_bits_ || shift > 0;

  std::uint32_t start = 0;
  for (std::size_t code = 0; code < codes; ++code) {
    const std::uint32_t frequency = frequencies[code];
    if (frequency == 0)
      throw InvalidInputError(name(table) + " has frequency 0 at code " + std::to_string(code) +
                              "; the least is 1");
    if (start + frequency > kTotal)
      throw InvalidInputError("the frequencies of " + name(table) + " add up to more than 16384");
    append_entry(start, frequency, std::int32_t(offset + (std::int64_t(code) << shift)),
                 shift > 0 || code == escape, shift);
    const std::uint32_t first = (start + (1u << kBucketShift) - 1) >> kBucketShift;
    const std::uint32_t last = (start + frequency + (1u << kBucketShift) - 1) >> kBucketShift;
    buckets_.insert(buckets_.end(), last - first, std::uint8_t(code));
    start += frequency;
  }
  if (start != kTotal)
    throw InvalidInputError("the frequencies of " + name(table) + " add up to " +
                            std::to_string(start) + ", not to 16384");
}

void TableSet::append_entry(std::uint32_t start, std::uint32_t frequency, std::int32_t value,
                            bool needs_patch, int shift) {
  const std::uint64_t reciprocal = ((std::uint64_t(1) << 46) + frequency - 1) / frequency;
  encode_.push_back({reciprocal, std::uint16_t(start), std::uint16_t(frequency),
                     cost_of(frequency) + (std::uint32_t(shift) << kCostBits)});
  decode_.push_back(DecodeEntry(start) | (needs_patch ? kNeedsPatch : 0u) |
                    DecodeEntry(frequency) << 16 | DecodeEntry(std::uint32_t(value)) << 32);
}

}  // namespace kodec
