#include "stream.hpp"

#include <algorithm>
#include <string>

#include "errors.hpp"

namespace kodec {
namespace {

struct Header {
  Section fields;  // the header up to its checksum
  std::uint32_t checksum = 0;
  int coder = kTableRans;
  SegmentView view;
  bool more = false;
};

std::uint32_t read_u32(const std::uint8_t *&p, const std::uint8_t *end) {
  if (end - p < 4) throw BitstreamError("a segment header is cut short");
  p += 4;
  return load_u32(p - 4);
}

std::size_t read_length(const std::uint8_t *&p, const std::uint8_t *end, std::uint64_t unit) {
  const std::uint64_t bytes = unit * read_varint<BitstreamError>(p, end, "a section length");
  if (bytes > std::uint64_t(end - p))
    throw BitstreamError("a section is longer than what is left of the stream");
  return std::size_t(bytes);
}

Header read_header(const std::uint8_t *&p, const std::uint8_t *end) {
  Header header;
  header.fields.begin = p;
  if (p == end) throw BitstreamError("a segment header is missing");
  const int kind = *p++;
  const std::size_t lane_code = std::size_t(kind >> kLaneShift & kLaneMask);
  if (lane_code >= kLaneCounts.size())
    throw BitstreamError("a segment header names an unknown number of lanes");
  header.coder = kind & kCoderMask;
  header.more = kind & kMoreSegments;
  header.view.lanes = kLaneCounts[lane_code];
  header.view.symbols = read_varint<BitstreamError>(p, end, "a symbol count");
  if (header.view.lanes > 0) {
    header.view.bits.size = read_length(p, end, 1);
    header.view.words.size = read_length(p, end, 2);
  }
  for (const auto &[flag, section] : {std::pair{kHasEscapes, &header.view.escapes},
                                      std::pair{kHasOverrides, &header.view.overrides}})
    if (kind & flag) {
      section->size = read_length(p, end, 1);
      if (section->size == 0) throw BitstreamError("a segment header announces an empty section");
    }
  header.view.index_checksum = read_u32(p, end);
  header.fields.size = std::size_t(p - header.fields.begin);
  header.checksum = read_u32(p, end);
  return header;
}

void refuse_other_coders(int coder) {
  if (coder == kTableRans) return;
  static const char *const names[] = {"", " (interval)", " (raw)", ""};
  throw UnsupportedError("the stream needs coder " + std::to_string(coder) + names[coder] +
                         ", which this version does not carry; a newer kodec may");
}

}  // namespace

std::size_t share_begin(std::size_t count, std::size_t segment, std::size_t segments) {
  const std::size_t even = count / segments + (count % segments != 0);
  const std::size_t share = (even + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
  return segment == segments ? count : std::min(count, share * segment);
}

std::uint32_t segment_checksum(std::size_t number, const std::uint8_t *header,
                               std::size_t header_size, const std::uint8_t *body,
                               std::size_t body_size, const Kernels &kernels) {
  const std::uint16_t ordinal = std::uint16_t(number);
  return kernels.crc32c(body, body_size,
                        kernels.crc32c(header, header_size, kernels.crc32c_16(&ordinal, 1, 0)));
}

std::vector<SegmentView> parse_stream(const std::uint8_t *data, std::size_t size,
                                      const Kernels &kernels) {
  if (size == 0) throw BitstreamError("the coder stream is empty; even one without symbols has a byte");
  std::vector<SegmentView> segments;
  if (size == 1 && data[0] == 0) return segments;

  const std::uint8_t *p = data;
  const std::uint8_t *const end = data + size;
  std::vector<Header> headers;
  do {
    if (headers.size() == kMaxSegments) throw BitstreamError("a coder stream has at most 1024 segments");
    headers.push_back(read_header(p, end));
  } while (headers.back().more);

  for (std::size_t number = 0; number < headers.size(); ++number) {
    Header &header = headers[number];
    const std::uint8_t *const body = p;
    for (Section *section : {&header.view.bits, &header.view.words, &header.view.escapes,
                             &header.view.overrides}) {
      if (section->size > std::size_t(end - p))
        throw BitstreamError("the coder stream is truncated: a section is longer than what is left");
      section->begin = p;
      p += section->size;
    }
    if (segment_checksum(number, header.fields.begin, header.fields.size, body,
                         std::size_t(p - body), kernels) != header.checksum)
      throw BitstreamError("segment " + std::to_string(number) + " is damaged: wrong checksum");
  }
  if (p != end)
    throw BitstreamError(std::to_string(end - p) + " bytes follow the end of the coder stream");
  segments.reserve(headers.size());
  for (const Header &header : headers) {
    refuse_other_coders(header.coder);
    segments.push_back(header.view);
  }
  return segments;
}

SegmentBytes write_segment(const SegmentView &view, std::size_t number, bool more,
                           const Kernels &kernels) {
  SegmentBytes out;
  const auto lane_code =
      std::find(kLaneCounts.begin(), kLaneCounts.end(), view.lanes) - kLaneCounts.begin();
  out.header.push_back(std::uint8_t(kTableRans | int(lane_code) << kLaneShift |
                                    (view.escapes.size == 0 ? 0 : kHasEscapes) |
                                    (view.overrides.size == 0 ? 0 : kHasOverrides) |
                                    (more ? kMoreSegments : 0)));
  append_varint(out.header, view.symbols);
  if (view.lanes > 0) {
    append_varint(out.header, view.bits.size);
    append_varint(out.header, view.words.size / 2);
  }
  if (view.escapes.size > 0) append_varint(out.header, view.escapes.size);
  if (view.overrides.size > 0) append_varint(out.header, view.overrides.size);
  append_u32(out.header, view.index_checksum);

  out.body.reserve(view.bits.size + view.words.size + view.escapes.size + view.overrides.size);
  for (const Section *section : {&view.bits, &view.words, &view.escapes, &view.overrides})
    if (section->size > 0) out.body.insert(out.body.end(), section->begin, section->end());
  append_u32(out.header, segment_checksum(number, out.header.data(), out.header.size(),
                                          out.body.data(), out.body.size(), kernels));
  return out;
}

Bytes join_segments(const std::vector<SegmentBytes> &segments) {
  std::size_t size = 0;
  for (const SegmentBytes &segment : segments) size += segment.header.size() + segment.body.size();
  Bytes stream;
  stream.reserve(size);
  for (const SegmentBytes &segment : segments)
    stream.insert(stream.end(), segment.header.begin(), segment.header.end());
  for (const SegmentBytes &segment : segments)
    stream.insert(stream.end(), segment.body.begin(), segment.body.end());
  return stream;
}

}  // namespace kodec
