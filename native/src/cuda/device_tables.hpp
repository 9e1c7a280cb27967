// A table set as the CUDA kernels see it, in a device's memory.
//
// Packed: a decoder's part of 64 Gaussian tables is about 33 KB, small enough for shared memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../tables.hpp"
#include "memory.hpp"

namespace kodec::cuda {

// By index. Sixteen bytes, loaded at once.
struct PackedInfo {
  std::int32_t offset;
  std::uint32_t first;   // of its codes
  std::uint32_t escape;  // the escape code
  std::uint32_t shift;   // raw low bits
};

struct TableBlob {
  const std::uint8_t *bytes;    // the operators of crc_operators.hpp, then infos, codes, buckets
  std::uint32_t size;           // of what the decoder needs, a multiple of 16
  std::uint32_t infos;          // byte offset of PackedInfo by index
  std::uint32_t codes;          // of start | kEscape | frequency << 16, by PackedInfo::first + code
  std::uint32_t buckets;        // of the first slot's code, a byte, by index << kBucketBits | bucket
  const std::uint32_t *costs;   // TableSet::cost, by PackedInfo::first + code
  std::uint32_t tables;         // the highest index
  std::uint32_t has_raw_bits;
};

// The bytes of a blob, costs at their end, and where its pieces lie (TableBlob::bytes and costs stay
// null).
struct PackedTables {
  explicit PackedTables(const TableSet &tables);
  TableBlob layout{};
  std::uint32_t costs;  // byte offset
  std::vector<std::uint8_t> bytes;
};

class ResidentTables {
 public:
  ResidentTables(const TableSet &tables, const Timeline &timeline);
  ~ResidentTables();
  const TableBlob &blob() const { return blob_; }

 private:
  const Timeline timeline_;
  DeviceMemory memory_;
  TableBlob blob_;
};

// The set on the timeline's device; copied there when first asked for, and kept as long as the set
// lives.
std::shared_ptr<const ResidentTables> resident(const std::shared_ptr<const TableSet> &tables,
                                               const Timeline &timeline);

}  // namespace kodec::cuda
