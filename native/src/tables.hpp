// A set of integer probability tables, and what encoder and decoder look up in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace kodec {

constexpr int kMaxShift = 8;
constexpr std::size_t kMaxCodes = 256;
constexpr std::size_t kMaxTables = 65535;

// Fraction bits of TableSet::cost.
constexpr int kCostBits = 16;

class TableSet {
 public:
  // Throws InvalidInputError. Lengths: `total` frequencies, `count` of each of the others.
  TableSet(const std::uint16_t *frequencies, std::size_t total, const std::uint16_t *sizes,
           const std::int32_t *offsets, const std::uint8_t *shifts, std::size_t count);

  // Number of tables; symbols' indexes run from 0 (skip) to this number.
  std::size_t size() const { return infos_.size() - 1; }
  bool has_raw_bits() const { return has_raw_bits_; }
  std::uint32_t fingerprint() const { return fingerprint_; }

  const TableInfo *infos() const { return infos_.data(); }
  TableView view() const {
    return {entries_.data(), buckets_.data(), infos_.data(), direct_below_, near_below_};
  }
  // Information of a symbol that is coded by this entry, raw bits included, in 2^-16 bit.
  std::uint32_t cost(std::uint32_t id) const;

 private:
  void append(const std::uint16_t *frequencies, std::size_t codes, std::int32_t offset,
              std::uint8_t shift, std::size_t table);
  void append_skip();
  void append_entry(std::uint8_t key, std::uint32_t start, std::uint32_t frequency, bool escape);
  void append_buckets();

  std::vector<TableInfo> infos_;
  std::vector<std::uint32_t> entries_;
  std::vector<std::uint64_t> buckets_;
  std::uint32_t direct_below_ = 0, near_below_ = 0;
  bool has_raw_bits_ = false;
  std::uint32_t fingerprint_ = 0;
};

}  // namespace kodec
