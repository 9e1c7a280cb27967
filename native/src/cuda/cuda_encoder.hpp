// Table rANS, encoding, on a CUDA device: several items at once, from device memory. The streams are
// those of the CPU's Encoder for the same segments and lanes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../bytes.hpp"
#include "../tables.hpp"
#include "device_tables.hpp"
#include "memory.hpp"

namespace kodec::cuda {

// A block of all items, item by item, in the memory of the encoder's device: symbols int16 or int32,
// indexes uint8 or uint16, and a byte for each symbol that is not 0 where its index is to be written
// into the stream (null: nowhere).
struct DeviceInput {
  const void *symbols;
  int symbol_bytes;
  const void *indexes;
  int index_bytes;
  const std::uint8_t *overridden;
  std::size_t items;
  std::size_t count;  // of an item
};

class CudaEncoder {
 public:
  // Throws InvalidInputError.
  CudaEncoder(std::int64_t items, std::int64_t device);

  int device() const { return timeline_->device(); }

  // Copies the block, in the stream's order, without waiting for it. Throws InvalidInputError if the
  // shape is wrong; what else can be wrong, finish() tells.
  void add(const DeviceInput &input, const std::shared_ptr<const TableSet> &tables,
           std::uintptr_t stream);

  // One coder stream an item. 0 chooses: a segment for each 20 KiB, and as Encoder does, lanes. Throws
  // InvalidInputError also if an index names no table, or a skipped symbol is not 0.
  std::vector<Bytes> finish(std::int64_t segments, std::int64_t lanes, std::uintptr_t stream);

 private:
  struct Block {
    std::shared_ptr<const ResidentTables> tables;
    std::size_t count;
    bool overridden;
    DeviceMemory memory;
  };
  void require_valid_input() const;
  std::uint64_t symbols() const;
  // Of one segment of an item.
  std::uint64_t symbols_of(std::size_t segment, std::size_t segments) const;

  std::size_t items_;
  std::unique_ptr<Timeline> timeline_;
  std::vector<Block> blocks_;
  DeviceMemory costs_;                // by item
  std::vector<DeviceMemory> faults_;  // by block, so many at a time
};

}  // namespace kodec::cuda
