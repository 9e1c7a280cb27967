// Table rANS, decoding: memory-safe on any stream and any indexes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bytes.hpp"
#include "stream.hpp"
#include "tables.hpp"

namespace kodec {

class Decoder {
 public:
  // Copies the stream. Throws BitstreamError or UnsupportedError.
  Decoder(const std::uint8_t *data, std::size_t size);

  // Decodes the next block into `symbols` (count). Throws InvalidInputError before anything is
  // decoded if an index names no table; BitstreamError or MismatchError otherwise, after which the
  // decoder is of no further use.
  void decode(const std::uint8_t *indexes, std::size_t count, const TableSet &tables,
              std::int32_t *symbols);
  void decode(const std::uint16_t *indexes, std::size_t count, const TableSet &tables,
              std::int32_t *symbols);

  // Symbols in the whole stream, as its headers say.
  std::uint64_t symbols() const;

  // Throws unless every segment is exactly at its end and its indexes were the encoder's.
  void finish() const;

 private:
  struct Segment {
    SegmentView view;
    std::uint32_t states[kMaxLanes];
    std::uint64_t done = 0;            // symbols decoded
    std::uint32_t index_checksum = 0;  // of their indexes
    const std::uint8_t *word = nullptr;
    std::uint64_t bit = 0;
    const std::uint8_t *escape = nullptr;
    const std::uint8_t *override = nullptr;
    std::uint64_t override_position = 0;  // of the next override, or kNoOverride
    std::uint16_t override_index = 0;
  };

  static void start(Segment &segment);
  static void next_override(Segment &segment, std::uint64_t first);
  static void finish(const Segment &segment);
  template <typename Index>
  void decode_block(const Index *indexes, std::size_t count, const TableSet &tables,
                    std::int32_t *symbols);
  template <typename Index>
  void decode_share(Segment &segment, const Index *indexes, std::size_t count,
                    const TableSet &tables, std::int32_t *symbols);
  static void decode_effective(Segment &segment, const std::uint16_t *indexes, std::size_t count,
                               const TableSet &tables, std::int32_t *symbols);
  template <int Lanes>
  static void decode_lanes(Segment &segment, const std::uint16_t *indexes, std::size_t count,
                           const TableSet &tables, std::int32_t *symbols);
  static void patch(Segment &segment, const std::uint16_t *indexes, std::size_t count,
                    const TableSet &tables, std::int32_t *symbols);

  Bytes data_;
  std::vector<Segment> segments_;
};

}  // namespace kodec
