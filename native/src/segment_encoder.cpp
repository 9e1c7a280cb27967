#include "segment_encoder.hpp"

#include <algorithm>

#include "lane.hpp"

namespace kodec {
namespace {

// What the kernels may write below a stream's lowest word.
constexpr std::size_t kSlack = 64;
// Of one state, in the bit plane.
constexpr std::size_t kMostStateBits = 4 + 31;

// Least significant bit first; at most `capacity` bits.
class BitWriter {
 public:
  explicit BitWriter(std::uint64_t capacity) : out_(std::size_t(capacity / 8 + 8)) {}

  // At most 32 bits.
  void put(std::uint32_t value, int bits) {
    pending_ |= std::uint64_t(value) << count_;
    count_ += bits;
    if (count_ >= 32) {
      store_u32(out_.data() + size_, std::uint32_t(pending_));
      size_ += 4;
      pending_ >>= 32;
      count_ -= 32;
    }
  }

  Bytes finish() {
    store_u32(out_.data() + size_, std::uint32_t(pending_));
    out_.resize(size_ + std::size_t(count_ + 7) / 8);
    return std::move(out_);
  }

 private:
  Bytes out_;
  std::size_t size_ = 0;
  std::uint64_t pending_ = 0;
  int count_ = 0;
};

// A state in [2^b, 2^(b+1)) is written as b - 16 in four bits, and its b bits below the highest.
void put_states(BitWriter &bits, const std::uint32_t *states, int lanes) {
  const auto exponent = [](std::uint32_t x) {
    int b = 16;
    while (x >> b > 1) ++b;
    return b;
  };
  for (int lane = 0; lane < lanes; ++lane) bits.put(std::uint32_t(exponent(states[lane]) - 16), 4);
  for (int lane = 0; lane < lanes; ++lane) {
    const int b = exponent(states[lane]);
    bits.put(states[lane] & ((1u << b) - 1), b);
  }
}

// What the escape section holds for a symbol outside the codes.
std::uint64_t escape_code(std::int32_t symbol, const TableInfo &info) {
  const std::int64_t code = (std::int64_t(symbol) - info.offset) >> info.shift;
  return code < 0 ? 2 * std::uint64_t(-1 - code) + 1 : 2 * std::uint64_t(code - info.escape);
}

}  // namespace

SegmentEncoder::SegmentEncoder(std::vector<Part> parts, int lanes, const Kernels &kernels)
    : parts_(std::move(parts)), lanes_(lanes), kernels_(kernels), part_(parts_.size()) {
  std::size_t symbols = 0, with_raw_bits = 0;
  for (const Part &part : parts_) {
    symbols += part.end - part.begin;
    if (part.block->tables().has_raw_bits()) with_raw_bits += part.end - part.begin;
  }
  words_size_ = 2 * symbols + kSlack;  // one word a symbol at most
  words_.reset(new std::uint8_t[words_size_]);
  raw_size_ = with_raw_bits * kMaxShift / 8;
  raw_bytes_.reset(new std::uint8_t[raw_size_]);
  raw_.begin = raw_bytes_.get() + raw_size_;
  std::fill(states_, states_ + kMaxLanes, kStateLow);
  stream_ = {states_, words_.get() + words_size_, ids_, nullptr, 0};
}

std::size_t SegmentEncoder::ready() {
  while (ready_ == 0) {
    if (direct_ && (stream_.flags & (kNoCode | kEscape))) {
      std::copy(states_before_, states_before_ + kMaxLanes, states_);
      stream_.words = words_before_;
      code_generally();
    } else if (!next_portion()) {
      return 0;
    }
  }
  return ready_;
}

bool SegmentEncoder::next_portion() {
  end_ = portion_;
  while (part_ == parts_.size() || end_ == parts_[part_].begin) {
    if (part_ == 0) {
      direct_ = false;
      return false;
    }
    portion_ = end_ = parts_[--part_].end;
  }
  const Part &part = parts_[part_];
  const Block &block = *part.block;
  portion_ = part.begin + (end_ - 1 - part.begin) / kPortion * kPortion;
  std::copy(states_, states_ + kMaxLanes, states_before_);
  words_before_ = stream_.words;
  const TableView tables = block.tables().view();
  stream_.entries = tables.entries;
  // That none of them escapes is supposed here, and turns out in coding.
  const std::size_t size = end_ - portion_;
  direct_ = (block.highest_index() < tables.direct_below ||
             kernels_.highest_index(block.indexes(portion_), block.index_bytes(), size) <
                 tables.direct_below) &&
            kernels_.direct_ids(block.symbols(portion_), block.symbol_bytes(),
                                block.indexes(portion_), block.index_bytes(), size, ids_);
  if (direct_)
    start_portion();
  else
    code_generally();
  return true;
}

void SegmentEncoder::code_generally() {
  direct_ = false;
  const Block &block = *parts_[part_].block;
  const TableView tables = block.tables().view();
  const std::size_t size = end_ - portion_;
  std::uint16_t escapes[kPortion + 1];
  std::uint8_t raw[kPortion + 8], shifts[kPortion + 8];
  std::size_t escape_count = kernels_.general_ids(
      block.symbols(portion_), block.symbol_bytes(), block.indexes(portion_), block.index_bytes(),
      size, tables.infos, ids_, raw, shifts, escapes);
  while (escape_count-- > 0) {
    const std::size_t i = portion_ + escapes[escape_count];
    escapes_.push_back(escape_code(block.symbol(i), tables.infos[block.index(i)]));
  }
  if (block.tables().has_raw_bits()) kernels_.put_raw(raw, shifts, size, raw_);
  start_portion();
}

void SegmentEncoder::start_portion() {
  const std::size_t size = end_ - portion_;
  const std::size_t rest = size % std::size_t(lanes_);
  stream_.flags = 0;
  // The last step of a block may be partial; its high lanes rest.
  for (std::size_t lane = rest; lane-- > 0;) {
    const std::uint32_t entry = stream_.entries[ids_[size - rest + lane]];
    stream_.flags |= entry;
    stream_.words = encode_symbol(states_[lane], entry, stream_.words);
  }
  stream_.ids = ids_ + (size - rest);
  ready_ = (size - rest) / std::size_t(lanes_);
}

Section SegmentEncoder::words() const {
  return {stream_.words, std::size_t(words_.get() + words_size_ - stream_.words)};
}

Bytes SegmentEncoder::bit_plane() const {
  const std::uint8_t *const end = raw_bytes_.get() + raw_size_;
  const std::size_t raw_bytes = std::size_t(end - raw_.begin);
  BitWriter bits(8 * raw_bytes + std::size_t(raw_.count) + kMostStateBits * std::size_t(lanes_));
  put_states(bits, states_, lanes_);
  bits.put(std::uint32_t(raw_.pending), raw_.count);
  for (const std::uint8_t *p = raw_.begin; p < end; p += 4) bits.put(load_u32(p), 32);
  return bits.finish();
}

Bytes SegmentEncoder::escapes() const {
  Bytes section;
  for (std::size_t i = escapes_.size(); i-- > 0;) append_varint(section, escapes_[i]);
  return section;
}

void encode_segments(SegmentEncoder *const *segments, int count, const Kernels &kernels) {
  EncodeStream *const streams[] = {segments[0]->stream(), segments[count - 1]->stream()};
  if (count == 2)
    while (segments[0]->ready() > 0 && segments[1]->ready() > 0) {
      const std::size_t steps = std::min(segments[0]->ready(), segments[1]->ready());
      kernels.encode(streams, 2, segments[0]->lanes(), steps);
      for (int s = 0; s < 2; ++s) segments[s]->coded(steps);
    }
  for (int s = 0; s < count; ++s)
    while (const std::size_t steps = segments[s]->ready()) {
      kernels.encode(streams + s, 1, segments[s]->lanes(), steps);
      segments[s]->coded(steps);
    }
}

}  // namespace kodec
