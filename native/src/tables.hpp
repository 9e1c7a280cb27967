// A set of integer probability tables, and what encoder and decoder look up in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kodec {

constexpr int kPrecision = 14;
constexpr std::uint32_t kTotal = 1u << kPrecision;
constexpr int kMaxShift = 8;
constexpr std::size_t kMaxCodes = 256;
constexpr std::size_t kMaxTables = 65535;

// A coder state lies in [kStateLow, 2^32).
constexpr std::uint32_t kStateLow = 1u << 16;

// Buckets of 16 slots: 1 KiB a table, which keeps 64 tables in the second-level cache.
constexpr int kBucketBits = 10;
constexpr int kBucketShift = kPrecision - kBucketBits;

// Fraction bits of EncodeEntry::cost.
constexpr int kCostBits = 16;

struct TableInfo {
  std::int32_t offset;        // symbol value of code 0
  std::int32_t escape_value;  // offset + (escape << shift): above all that codes express
  std::uint32_t base;         // entry of code 0
  std::uint16_t escape;       // the escape code, the last one
  std::uint8_t shift;         // raw low bits
};

struct EncodeEntry {
  std::uint64_t reciprocal;  // ceil(2^46 / frequency)
  std::uint16_t start;
  std::uint16_t frequency;
  std::uint32_t cost;        // information of the code and its raw bits, in 2^-16 bit
};

// Bits 0..13 start, 15 needs_patch, 16..31 frequency, 32..63 value of the symbol (less raw bits).
using DecodeEntry = std::uint64_t;
constexpr std::uint32_t kNeedsPatch = 1u << 15;

class TableSet {
 public:
  // Throws InvalidInputError. Lengths: `total` frequencies, `count` of each of the others.
  TableSet(const std::uint16_t *frequencies, std::size_t total, const std::uint16_t *sizes,
           const std::int32_t *offsets, const std::uint8_t *shifts, std::size_t count);

  // Number of tables; symbols' indexes run from 0 (skip) to this number.
  std::size_t size() const { return infos_.size() - 1; }
  bool has_raw_bits() const { return has_raw_bits_; }
  std::uint32_t fingerprint() const { return fingerprint_; }

  // All by index. Skip is a table of one code with frequency 2^14: coding it changes no state.
  const TableInfo *infos() const { return infos_.data(); }
  const EncodeEntry *encode_entries() const { return encode_.data(); }
  const DecodeEntry *decode_entries() const { return decode_.data(); }
  // 2^kBucketBits codes for each index: the code of each bucket's first slot.
  const std::uint8_t *buckets() const { return buckets_.data(); }

 private:
  void append(const std::uint16_t *frequencies, std::size_t codes, std::int32_t offset,
              std::uint8_t shift, std::size_t table);
  void append_skip();
  void append_entry(std::uint32_t start, std::uint32_t frequency, std::int32_t value,
                    bool needs_patch, int shift);

  std::vector<TableInfo> infos_;
  std::vector<EncodeEntry> encode_;
  std::vector<DecodeEntry> decode_;
  std::vector<std::uint8_t> buckets_;
  bool has_raw_bits_ = false;
  std::uint32_t fingerprint_ = 0;
};

}  // namespace kodec
