#include "encoder.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "crc32c.hpp"
#include "errors.hpp"

namespace kodec {
namespace {

constexpr std::uint32_t kEntryMask = (1u << 24) - 1;

// A 32-lane segment costs about 95 bytes: at 64 KiB and above that is under 0.15 %. Below, a
// segment decodes in a millisecond or two, and starting another thread on it gains little.
constexpr std::uint64_t kSegmentBytes = 64 << 10;
constexpr std::uint64_t kMostChosenSegments = 64;
// Lanes cost about three bytes each (3.1 without packed states): 1/0.005 of that is 0.5 %.
constexpr std::uint64_t kBytesPerLane = 620;

std::uint64_t bytes_of(std::uint64_t cost) { return cost >> (kCostBits + 3); }

int choose_lanes(std::uint64_t cost) {
  int lanes = 1;
  for (int candidate : kLaneCounts)
    if (candidate * kBytesPerLane <= bytes_of(cost)) lanes = std::max(lanes, candidate);
  return lanes;
}

// Codes one symbol into `x`; may write a word below `p`.
inline std::uint8_t *encode_symbol(std::uint32_t &x, const EncodeEntry &entry, std::uint8_t *p) {
  const std::uint32_t frequency = entry.frequency;
  p[-2] = std::uint8_t(x);
  p[-1] = std::uint8_t(x >> 8);
  // Arithmetic, because compilers make branches of `?:`, and this one is as good as random.
  const std::uint32_t full = (x >> (32 - kPrecision)) >= frequency;
  p -= 2 * full;
  const std::uint32_t y = x >> (16 * full);
  // Exact: y < frequency * 2^18, so the product stays below 2^64 and its error below 1 / frequency.
  const std::uint32_t quotient = std::uint32_t(y * entry.reciprocal >> 46);
  x = y + entry.start + quotient * (kTotal - frequency);
  return p;
}

template <int Lanes>
std::uint8_t *encode_part(const std::uint32_t *codes, std::size_t count,
                          const EncodeEntry *entries, std::uint32_t *states, std::uint8_t *p) {
  std::uint32_t x[Lanes];
  std::copy(states, states + Lanes, x);
  std::size_t i = count - count % Lanes;
  for (std::size_t lane = count % Lanes; lane-- > 0;)
    p = encode_symbol(x[lane], entries[codes[i + lane] & kEntryMask], p);
  while (i > 0) {
    i -= Lanes;
    for (int lane = Lanes; lane-- > 0;)
      p = encode_symbol(x[lane], entries[codes[i + std::size_t(lane)] & kEntryMask], p);
  }
  std::copy(x, x + Lanes, states);
  return p;
}

auto encode_function(int lanes) {
  switch (lanes) {
    case 1: return encode_part<1>;
    case 4: return encode_part<4>;
    case 8: return encode_part<8>;
    case 16: return encode_part<16>;
    default: return encode_part<32>;
  }
}

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

constexpr std::uint64_t kMaxStateBits = 4 + 31;

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

}  // namespace

template <typename Symbol, typename Index>
void Encoder::translate(const Symbol *symbols, const Index *indexes, Block &block) {
  const TableSet &tables = *block.tables;
  for (std::size_t i = 0; i < block.count; ++i) {
    const std::size_t index = indexes[i];
    const std::int32_t symbol = symbols[i];
    if (index > tables.size())
      throw InvalidInputError("index " + std::to_string(index) + " at position " +
                              std::to_string(i) + " names no table: the set has " +
                              std::to_string(tables.size()));
    const TableInfo &info = tables.infos()[index];
    const std::int64_t distance = std::int64_t(symbol) - info.offset;
    std::int64_t code = distance >> info.shift;
    const std::uint32_t raw = std::uint32_t(distance) & ((1u << info.shift) - 1);
    if (std::uint64_t(code) >= info.escape) {
      if (index == 0)
        throw InvalidInputError("the symbol at position " + std::to_string(i) + " is " +
                                std::to_string(symbol) + ", but index 0 (skip) stands for 0 only");
      const std::uint64_t value = code < 0 ? 2 * std::uint64_t(-1 - code) + 1
                                           : 2 * std::uint64_t(code - info.escape);
      block.escapes.push_back({i, value});
      code = info.escape;
    }
    const std::uint32_t entry = info.base + std::uint32_t(code);
    block.cost += tables.encode_entries()[entry].cost;
    block.codes[i] = raw << 24 | entry;
    block.indexes[i] = std::uint16_t(index);
  }
}

void Encoder::add(const BlockInput &input, std::shared_ptr<const TableSet> tables) {
  if (input.count > std::numeric_limits<std::uint32_t>::max())
    throw InvalidInputError("a block has at most 2^32 - 1 symbols; split it");
  Block block;
  block.tables = std::move(tables);
  block.count = input.count;
  block.codes.reset(new std::uint32_t[input.count]);
  block.indexes.reset(new std::uint16_t[input.count]);
  block.overrides.assign(input.overrides, input.overrides + input.override_count);
  for (std::size_t j = 0; j < block.overrides.size(); ++j) {
    if (block.overrides[j] >= block.count)
      throw InvalidInputError("override position " + std::to_string(block.overrides[j]) +
                              " lies outside the block of " + std::to_string(block.count));
    if (j > 0 && block.overrides[j] <= block.overrides[j - 1])
      throw InvalidInputError("override positions must ascend strictly; sort them");
  }
  const auto with_indexes = [&](const auto *symbols) {
    if (input.index_bytes == 1)
      translate(symbols, static_cast<const std::uint8_t *>(input.indexes), block);
    else
      translate(symbols, static_cast<const std::uint16_t *>(input.indexes), block);
  };
  if (input.symbol_bytes == 2)
    with_indexes(static_cast<const std::int16_t *>(input.symbols));
  else
    with_indexes(static_cast<const std::int32_t *>(input.symbols));
  blocks_.push_back(std::move(block));
}

std::vector<Encoder::Part> Encoder::parts_of(std::size_t segment, std::size_t segments) const {
  std::vector<Part> parts;
  for (const Block &block : blocks_)
    parts.push_back({&block, share_begin(block.count, segment, segments),
                     share_begin(block.count, segment + 1, segments)});
  return parts;
}

Bytes Encoder::finish(std::int64_t segments, std::int64_t lanes) {
  if (segments < 0 || segments > std::int64_t(kMaxSegments))
    throw InvalidInputError("segments must be 1 to 1024, or 0 to choose, not " +
                            std::to_string(segments));
  if (std::find(kLaneCounts.begin(), kLaneCounts.end(), lanes) == kLaneCounts.end())
    throw InvalidInputError("lanes must be 1, 4, 8, 16 or 32, or 0 to choose, not " +
                            std::to_string(lanes));
  std::uint64_t cost = 0, symbols = 0;
  for (const Block &block : blocks_) {
    cost += block.cost;
    symbols += block.count;
  }
  if (symbols == 0) return {0};
  if (segments == 0)
    segments = std::int64_t(std::clamp<std::uint64_t>(bytes_of(cost) / kSegmentBytes, 1,
                                                      kMostChosenSegments));
  Bytes headers, bodies;
  for (std::size_t s = 0; s < std::size_t(segments); ++s) {
    const bool more = s + 1 < std::size_t(segments);
    write_segment(parts_of(s, std::size_t(segments)), s, more, int(lanes), headers, bodies);
  }
  headers.insert(headers.end(), bodies.begin(), bodies.end());
  return headers;
}

void Encoder::write_segment(const std::vector<Part> &parts, std::size_t number, bool more,
                            int lanes, Bytes &headers, Bytes &bodies) const {
  std::uint64_t symbols = 0, cost = 0;
  std::uint32_t index_checksum = 0;
  Bytes escapes, overrides;
  std::uint64_t next_override = 0;
  for (const Part &part : parts) {
    const Block &block = *part.block;
    const EncodeEntry *const entries = block.tables->encode_entries();
    for (std::size_t i = part.begin; i < part.end; ++i)
      cost += entries[block.codes[i] & kEntryMask].cost;
    index_checksum = crc32c(block.indexes.get() + part.begin, part.end - part.begin, index_checksum);
    for (const Escape &escape : block.escapes)
      if (escape.position >= part.begin && escape.position < part.end)
        append_varint(escapes, escape.value);
    for (const std::uint32_t position : block.overrides)
      if (position >= part.begin && position < part.end) {
        const std::uint64_t place = symbols + (position - part.begin);
        append_varint(overrides, place - next_override);
        append_varint(overrides, block.indexes[position]);
        next_override = place + 1;
      }
    symbols += part.end - part.begin;
  }
  if (symbols >= kVarintLimit) throw InvalidInputError("a segment has too many symbols; use more");
  // Every code of a table costs something: no cost, no coded symbol.
  if (cost == 0) lanes = 0;
  else if (lanes == 0) lanes = choose_lanes(cost);

  std::size_t word_bytes = 0;
  Bytes bit_plane;
  std::unique_ptr<std::uint8_t[]> words;
  const std::uint8_t *first_word = nullptr;
  if (lanes > 0) {
    // One word a symbol at most, and one more because encode_symbol writes before it decides.
    const std::size_t capacity = 2 * (std::size_t(symbols) + 1);
    words.reset(new std::uint8_t[capacity]);
    std::uint8_t *p = words.get() + capacity;
    std::uint32_t states[kMaxLanes];
    std::fill(states, states + kMaxLanes, kStateLow);
    const auto encode = encode_function(lanes);
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      p = encode(part->block->codes.get() + part->begin, part->end - part->begin,
                 part->block->tables->encode_entries(), states, p);
    first_word = p;
    word_bytes = std::size_t(words.get() + capacity - p);
    BitWriter bits(kMaxShift * symbols + kMaxStateBits * std::uint64_t(lanes));
    put_states(bits, states, lanes);
    for (const Part &part : parts) {
      if (!part.block->tables->has_raw_bits()) continue;
      const TableInfo *const infos = part.block->tables->infos();
      for (std::size_t i = part.begin; i < part.end; ++i)
        bits.put(part.block->codes[i] >> 24, infos[part.block->indexes[i]].shift);
    }
    bit_plane = bits.finish();
  }

  const std::size_t header_begin = headers.size(), body_begin = bodies.size();
  const auto lane_code = std::find(kLaneCounts.begin(), kLaneCounts.end(), lanes) - kLaneCounts.begin();
  headers.push_back(std::uint8_t(kTableRans | int(lane_code) << kLaneShift |
                                 (escapes.empty() ? 0 : kHasEscapes) |
                                 (overrides.empty() ? 0 : kHasOverrides) |
                                 (more ? kMoreSegments : 0)));
  append_varint(headers, symbols);
  if (lanes > 0) {
    append_varint(headers, bit_plane.size());
    append_varint(headers, word_bytes / 2);
  }
  if (!escapes.empty()) append_varint(headers, escapes.size());
  if (!overrides.empty()) append_varint(headers, overrides.size());
  append_u32(headers, index_checksum);

  bodies.insert(bodies.end(), bit_plane.begin(), bit_plane.end());
  bodies.insert(bodies.end(), first_word, first_word + word_bytes);
  bodies.insert(bodies.end(), escapes.begin(), escapes.end());
  bodies.insert(bodies.end(), overrides.begin(), overrides.end());
  append_u32(headers, segment_checksum(number, headers.data() + header_begin,
                                       headers.size() - header_begin, bodies.data() + body_begin,
                                       bodies.size() - body_begin));
}

}  // namespace kodec
