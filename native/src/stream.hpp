// The layout of a coder stream: headers, sections, limits (docs/bitstream.md, "Coder stream").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bytes.hpp"
#include "kernels.hpp"

namespace kodec {

constexpr std::size_t kMaxSegments = 1024;
// Lane counts by their code in a header; 0 is a segment without coded symbols.
constexpr std::array<int, 6> kLaneCounts = {0, 1, 4, 8, 16, 32};
constexpr int kTableRans = 0;

// Where a header's first byte keeps what.
constexpr int kCoderMask = 3;
constexpr int kLaneShift = 2;
constexpr int kLaneMask = 7;
constexpr int kHasEscapes = 1 << 5;
constexpr int kHasOverrides = 1 << 6;
constexpr int kMoreSegments = 1 << 7;

// First symbol of segment `segment` of a block of `count` symbols; `segments` gives the end.
std::size_t share_begin(std::size_t count, std::size_t segment, std::size_t segments);

// The checksum of a segment: its number, its header up to the checksum itself, its body.
std::uint32_t segment_checksum(std::size_t number, const std::uint8_t *header,
                               std::size_t header_size, const std::uint8_t *body,
                               std::size_t body_size, const Kernels &kernels);

struct Section {
  const std::uint8_t *begin = nullptr;
  std::size_t size = 0;
  const std::uint8_t *end() const { return begin + size; }
};

struct SegmentView {
  int lanes = 0;
  std::uint64_t symbols = 0;
  std::uint32_t index_checksum = 0;
  Section bits, words, escapes, overrides;
};

// Checks structure, lengths and checksums of a whole stream; the views point into it.
// Throws BitstreamError, or UnsupportedError for an intact segment of another coder.
std::vector<SegmentView> parse_stream(const std::uint8_t *data, std::size_t size,
                                      const Kernels &kernels);

// One segment, ready to be put into a stream.
struct SegmentBytes {
  Bytes header, body;
};

// The inverse of parse_stream for segment `number`; `more` segments follow it, or not.
SegmentBytes write_segment(const SegmentView &view, std::size_t number, bool more,
                           const Kernels &kernels);

// All headers, then all bodies.
Bytes join_segments(const std::vector<SegmentBytes> &segments);

}  // namespace kodec
