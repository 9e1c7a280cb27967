// One segment being encoded: its symbols are prepared portion by portion, from the last to the
// first, for the kernels to code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "block.hpp"
#include "bytes.hpp"
#include "kernels.hpp"
#include "stream.hpp"

namespace kodec {

class SegmentEncoder {
 public:
  // Of coded parts, whose blocks must outlive it. `lanes` is not 0.
  SegmentEncoder(std::vector<Part> parts, int lanes, const Kernels &kernels);

  int lanes() const { return lanes_; }

  // Steps of so many lanes that stream() is ready for; 0 when all symbols are coded.
  std::size_t ready();
  EncodeStream *stream() { return &stream_; }
  // The kernels have coded `steps` of them.
  void coded(std::size_t steps) { ready_ -= steps; }

  // The segment's sections, when all symbols are coded.
  Section words() const;
  Bytes bit_plane() const;
  Bytes escapes() const;

 private:
  bool next_portion();
  void code_generally();
  void start_portion();

  const std::vector<Part> parts_;
  const int lanes_;
  const Kernels &kernels_;

  std::unique_ptr<std::uint8_t[]> words_, raw_bytes_;
  std::size_t words_size_, raw_size_;
  RawWriter raw_;
  std::vector<std::uint64_t> escapes_;  // from the last to the first
  EncodeStream stream_;
  std::uint32_t states_[kMaxLanes];

  // The portion: symbols portion_ to end_ of parts_[part_].
  std::size_t part_, portion_ = 0, end_ = 0;
  std::size_t ready_ = 0;
  // Whether its symbols were supposed not to escape, and what to return to if some do.
  bool direct_ = false;
  std::uint32_t states_before_[kMaxLanes];
  std::uint8_t *words_before_ = nullptr;

  alignas(64) std::uint32_t ids_[kPortion];
};

// Codes what is left of each of one or two segments that have as many lanes.
void encode_segments(SegmentEncoder *const *segments, int count, const Kernels &kernels);

}  // namespace kodec
