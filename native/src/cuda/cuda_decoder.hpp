// Table rANS, decoding, on a CUDA device: several items at once, into device memory. Memory-safe on
// any streams and any indexes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "../bytes.hpp"
#include "../stream.hpp"
#include "../tables.hpp"
#include "memory.hpp"

namespace kodec::cuda {

// Item by item, in the memory of the decoder's device: indexes uint8 or uint16.
struct DeviceOutput {
  const void *indexes;
  int index_bytes;
  std::int32_t *symbols;
  std::size_t items;
  std::size_t count;  // of an item
};

class CudaDecoder {
 public:
  // Copies the streams, one an item. Throws BitstreamError, UnsupportedError, InvalidInputError.
  CudaDecoder(std::vector<Bytes> streams, std::int64_t device, std::uintptr_t stream);

  int device() const { return timeline_->device(); }
  std::size_t items() const { return items_.size(); }
  // Symbols of an item, as its headers say.
  std::uint64_t symbols(std::size_t item) const;

  // Decodes the next block of all items, in the stream's order, without waiting for it. Throws
  // InvalidInputError before anything is decoded if the shape is wrong, BitstreamError if there are
  // fewer symbols. What else is wrong, check() and finish() tell; until then, symbols from there on
  // are 0.
  void decode(const DeviceOutput &output, const std::shared_ptr<const TableSet> &tables,
              std::uintptr_t stream);

  // Waits, and throws InvalidInputError if an index named no table, BitstreamError or MismatchError
  // as Decoder::decode.
  void check(std::uintptr_t stream);

  // The same, and throws unless every segment is exactly at its end with the encoder's indexes.
  void finish(std::uintptr_t stream);

 private:
  struct Item {
    Bytes data;
    std::vector<SegmentView> segments;
    std::vector<std::uint64_t> done;  // by segment, symbols asked for
  };

  std::vector<Item> items_;
  std::unique_ptr<Timeline> timeline_;
  std::size_t segment_count_ = 0;
  DeviceMemory data_, states_;
};

}  // namespace kodec::cuda
