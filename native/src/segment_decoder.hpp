// One segment being decoded, and its share of one block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.hpp"
#include "stream.hpp"
#include "tables.hpp"

namespace kodec {

// Readable bytes that must lie behind a stream: the kernels check how far they got after each step
// only, and have by then read at most 64 bytes of words, or nine of raw bits.
constexpr std::size_t kReadAhead = 64;

// Errors of streams that make no sense with the table indexes given.
[[noreturn]] void ran_out(const char *what);
[[noreturn]] void foreign_override();
[[noreturn]] void escape_beyond_range();

// Reads the lanes' states from the beginning of the bit plane; throws BitstreamError. What is left
// are the raw bits.
RawReader read_states(const SegmentView &view, std::uint32_t *states);

struct Override {
  std::uint64_t position;
  std::uint16_t index;
};

// Reads the override at `p`, the first position of which can be `first`. Throws BitstreamError.
Override read_override(const SegmentView &view, const std::uint8_t *&p, std::uint64_t first);

// Throws BitstreamError if there are none, in a decoder that is asked for symbols.
void require_any_segment(std::size_t segments);

// Throws BitstreamError unless `count` more symbols are there after `done`.
void require_symbols(const SegmentView &view, std::uint64_t done, std::uint64_t count);

// Where a decoder came to in a segment.
struct SegmentEnd {
  std::uint64_t done;            // symbols decoded
  std::uint32_t index_checksum;  // of their indexes
  bool all_used;                 // words, escapes and overrides
  std::uint64_t raw_position;    // in bits
  const std::uint32_t *states;
};

// Throws unless that is exactly the segment's end and the indexes were the encoder's.
void check_end(const SegmentView &view, const SegmentEnd &end);

// Where a segment stands between two blocks.
class Segment {
 public:
  // Throws BitstreamError.
  explicit Segment(const SegmentView &view);

  std::uint64_t symbols() const { return view_.symbols; }

  // Its share of a block of choices: puts the encoder's in place of those that it signalled. Throws
  // BitstreamError.
  void choose(std::uint16_t *indexes, std::size_t count, const Kernels &kernels);

  // Throws unless it is exactly at its end and its indexes were the encoder's.
  void finish() const;

 private:
  friend class SerialDecoder;
  friend class ShareDecoder;
  void next_override(std::uint64_t first);
  // Overrides in the next `count` indexes, which then enter the checksum.
  void settle(std::uint16_t *indexes, std::size_t count, const Kernels &kernels);

  SegmentView view_;
  std::uint32_t states_[kMaxLanes];
  std::uint64_t done_ = 0;            // symbols decoded
  std::uint32_t index_checksum_ = 0;  // of their indexes
  const std::uint8_t *words_;
  RawReader raw_;
  const std::uint8_t *escape_, *override_;
  std::uint64_t override_position_;  // of the next override, or kNoOverride
  std::uint16_t override_index_;
};

// A segment's share of a block, decoded portion by portion. All members throw BitstreamError or
// MismatchError, after which neither it nor its segment is of further use.
class ShareDecoder {
 public:
  ShareDecoder(Segment &segment, const void *indexes, int index_bytes, std::size_t count,
               const TableSet &tables, std::int32_t *symbols, const Kernels &kernels);

  int lanes() const { return segment_.view_.lanes; }

  // Steps of so many lanes that stream() is ready for; 0 when the share is decoded.
  std::size_t ready();
  DecodeStream *stream() { return &stream_; }
  // The kernels have decoded `steps` of them.
  void decoded(std::size_t steps) { ready_ -= steps; }

 private:
  void start_portion();
  void finish_portion();
  void finish_escapes(std::size_t count);

  Segment &segment_;
  const std::uint8_t *indexes_;  // of what is left, as are symbols_ and left_
  const int index_bytes_;
  std::size_t left_;
  const TableSet &tables_;
  const TableView view_;
  std::int32_t *symbols_;
  const Kernels &kernels_;

  DecodeStream stream_;
  std::size_t size_ = 0;  // of the portion
  std::size_t ready_ = 0;
  std::uint16_t effective_[kPortion + 8];  // the portion's indexes, after overrides
  std::uint8_t shifts_[kPortion + 8];
  EscapeStep escapes_[kPortion];
};

// Decodes what is left of one or two shares.
void decode_shares(ShareDecoder *const *shares, int count, const TableSet &tables,
                   const Kernels &kernels);

}  // namespace kodec
