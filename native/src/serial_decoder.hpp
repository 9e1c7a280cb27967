// A segment's share of a block, symbol by symbol: where each index depends on the symbols before it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "segment_decoder.hpp"

namespace kodec {

class SerialDecoder {
 public:
  // Of `count` symbols. Throws BitstreamError.
  SerialDecoder(Segment &segment, std::size_t count, const TableSet &tables, const Kernels &kernels);

  // The next symbols, whose indexes are a table's, or 0. Throws BitstreamError or MismatchError, after
  // which neither it nor its segment is of further use.
  void decode(const std::uint16_t *indexes, std::size_t count, std::int32_t *symbols);

  // After the last symbol.
  void finish();

 private:
  std::int32_t next(std::uint16_t index);
  std::uint32_t raw_bits(int count);

  Segment &segment_;
  const TableSet &tables_;
  const TableView view_;
  const Kernels &kernels_;
  std::size_t lane_ = 0;
  std::size_t used_ = 0;  // of indexes_
  std::uint16_t indexes_[kPortion];
};

}  // namespace kodec
