#include "serial_decoder.hpp"

#include <limits>

#include "errors.hpp"
#include "lane.hpp"

namespace kodec {

SerialDecoder::SerialDecoder(Segment &segment, std::size_t count, const TableSet &tables,
                             const Kernels &kernels)
    : segment_(segment), tables_(tables), view_(tables.view()), kernels_(kernels) {
  require_symbols(segment.view_, segment.done_, count);
}

void SerialDecoder::decode(const std::uint16_t *indexes, std::size_t count, std::int32_t *symbols) {
  for (std::size_t i = 0; i < count; ++i) symbols[i] = next(indexes[i]);
}

inline std::int32_t SerialDecoder::next(std::uint16_t index) {
  if (segment_.override_position_ == segment_.done_) {
    index = segment_.override_index_;
    segment_.next_override(segment_.override_position_ + 1);
    if (index > tables_.size()) foreign_override();
  }
  indexes_[used_++] = index;
  if (used_ == kPortion) finish();
  ++segment_.done_;
  const std::size_t lanes = std::size_t(segment_.view_.lanes);
  if (lanes == 0) {
    if (index != 0) ran_out("coded part");
    return 0;
  }
  std::uint32_t entry;
  const std::uint8_t key =
      decode_symbol(segment_.states_[lane_], index, view_, segment_.words_, entry);
  if (segment_.words_ > segment_.view_.words.end()) ran_out("words");
  lane_ = lane_ + 1 == lanes ? 0 : lane_ + 1;
  const TableInfo &info = view_.infos[index];
  std::int64_t symbol = symbol_value<false>(key, view_.infos, index);
  if (entry & kEscape) {
    const std::uint8_t *const end = segment_.view_.escapes.end();
    if (segment_.escape_ == end) ran_out("escapes");
    const std::uint64_t value = read_varint<BitstreamError>(segment_.escape_, end, "an escape");
    const std::int64_t code = value & 1 ? -1 - std::int64_t(value >> 1)
                                        : std::int64_t(info.escape) + std::int64_t(value >> 1);
    symbol = info.offset + code * (std::int64_t(1) << info.shift);
  }
  if (info.shift > 0) symbol += raw_bits(info.shift);
  if (symbol < std::numeric_limits<std::int32_t>::min() ||
      symbol > std::numeric_limits<std::int32_t>::max())
    escape_beyond_range();
  return std::int32_t(symbol);
}

std::uint32_t SerialDecoder::raw_bits(int count) {
  RawReader &raw = segment_.raw_;
  if (raw.position + std::uint64_t(count) > raw.end) ran_out("raw bits");
  // At most 8 bits, of two bytes.
  const std::uint32_t window = load_u16(raw.plane + (raw.position >> 3)) >> (raw.position & 7);
  raw.position += std::uint64_t(count);
  return window & ((1u << count) - 1);
}

void SerialDecoder::finish() {
  segment_.index_checksum_ = kernels_.crc32c_16(indexes_, used_, segment_.index_checksum_);
  used_ = 0;
}

}  // namespace kodec
