#include "decoder.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "crc32c.hpp"
#include "errors.hpp"

namespace kodec {
namespace {

// Readable bytes behind the stream: a step of 32 lanes checks its pointers only afterwards, and
// has by then read at most 64 bytes of words, or 32 bytes of raw bits and a 64-bit window.
constexpr std::size_t kPadding = 64;
// Indexes are taken in portions of this many, so that they stay in the first-level cache.
constexpr std::size_t kPortion = 4096;
constexpr std::uint64_t kNoOverride = std::numeric_limits<std::uint64_t>::max();

const char *const kForeignIndexes = "; the table indexes given are not the encoder's";

[[noreturn]] void ran_out(const char *what) {
  throw MismatchError(std::string("the ") + what + " of the coder stream ran out" + kForeignIndexes);
}

// Up to 32 bits from bit `position` on; reads eight bytes.
inline std::uint32_t bits_at(const std::uint8_t *plane, std::uint64_t position, int count) {
  const std::uint64_t window = load_u64(plane + (position >> 3)) >> (position & 7);
  return std::uint32_t(window & ((std::uint64_t(1) << count) - 1));
}

// Decodes one symbol from `x`; may take the word at `word`. Returns the entry found.
inline DecodeEntry decode_symbol(std::uint32_t &x, const std::uint8_t *buckets,
                                 const DecodeEntry *entries, const std::uint8_t *&word) {
  const std::uint32_t slot = x & (kTotal - 1);
  const DecodeEntry *entry = entries + buckets[slot >> kBucketShift];
  std::uint32_t within = slot - std::uint32_t(*entry & (kTotal - 1));
  while (within >= (std::uint32_t(*entry) >> 16)) {
    within -= std::uint32_t(*entry) >> 16;
    ++entry;
  }
  const std::uint32_t y = (std::uint32_t(*entry) >> 16) * (x >> kPrecision) + within;
  // Whether a word is due is as good as random: masks, because compilers make branches of `?:`.
  const std::uint32_t due = 0u - std::uint32_t(y < kStateLow);
  x = y << (due & 16) | (load_u16(word) & due);
  word += due & 2;
  return *entry;
}

}  // namespace

Decoder::Decoder(const std::uint8_t *data, std::size_t size) {
  data_.reserve(size + kPadding);
  data_.assign(data, data + size);
  data_.resize(size + kPadding, 0);
  for (const SegmentView &view : parse_stream(data_.data(), size)) {
    segments_.emplace_back();
    segments_.back().view = view;
    start(segments_.back());
  }
}

std::uint64_t Decoder::symbols() const {
  std::uint64_t total = 0;
  for (const Segment &segment : segments_) total += segment.view.symbols;
  return total;
}

void Decoder::start(Segment &segment) {
  const SegmentView &view = segment.view;
  segment.word = view.words.begin;
  segment.escape = view.escapes.begin;
  segment.override = view.overrides.begin;
  next_override(segment, 0);
  // States are at most 35 bits each: even without any bits they stay inside the section and the
  // padding only if checked one by one.
  const auto take = [&](int count) {
    if (segment.bit + std::uint64_t(count) > 8 * std::uint64_t(view.bits.size))
      throw BitstreamError("the coder states are cut short");
    const std::uint32_t value = bits_at(view.bits.begin, segment.bit, count);
    segment.bit += std::uint64_t(count);
    return value;
  };
  for (int lane = 0; lane < view.lanes; ++lane) segment.states[lane] = take(4) + 16;
  for (int lane = 0; lane < view.lanes; ++lane) {
    const int exponent = int(segment.states[lane]);
    segment.states[lane] = 1u << exponent | take(exponent);
  }
}

void Decoder::next_override(Segment &segment, std::uint64_t first) {
  const std::uint8_t *const end = segment.view.overrides.end();
  if (segment.override == end) {
    segment.override_position = kNoOverride;
    return;
  }
  segment.override_position =
      first + read_varint<BitstreamError>(segment.override, end, "an override's position");
  const std::uint64_t index =
      read_varint<BitstreamError>(segment.override, end, "an override's index");
  if (segment.override_position >= segment.view.symbols)
    throw BitstreamError("an override lies beyond its segment's last symbol");
  if (index > kMaxTables) throw BitstreamError("an override names an impossible table");
  segment.override_index = std::uint16_t(index);
}

void Decoder::decode(const std::uint8_t *indexes, std::size_t count, const TableSet &tables,
                     std::int32_t *symbols) {
  decode_block(indexes, count, tables, symbols);
}

void Decoder::decode(const std::uint16_t *indexes, std::size_t count, const TableSet &tables,
                     std::int32_t *symbols) {
  decode_block(indexes, count, tables, symbols);
}

template <typename Index>
void Decoder::decode_block(const Index *indexes, std::size_t count, const TableSet &tables,
                           std::int32_t *symbols) {
  Index highest = 0;
  for (std::size_t i = 0; i < count; ++i) highest = std::max(highest, indexes[i]);
  if (highest > tables.size())
    throw InvalidInputError("index " + std::to_string(highest) + " names no table: the set has " +
                            std::to_string(tables.size()));
  if (count == 0) return;
  if (segments_.empty()) throw BitstreamError("the coder stream holds no symbols, but some are asked for");
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    const std::size_t begin = share_begin(count, s, segments_.size());
    const std::size_t end = share_begin(count, s + 1, segments_.size());
    decode_share(segments_[s], indexes + begin, end - begin, tables, symbols + begin);
  }
}

template <typename Index>
void Decoder::decode_share(Segment &segment, const Index *indexes, std::size_t count,
                           const TableSet &tables, std::int32_t *symbols) {
  if (count > segment.view.symbols - segment.done)
    throw BitstreamError("more symbols are asked for than the coder stream holds (" +
                         std::to_string(segment.view.symbols) + " in this segment)");
  std::uint16_t effective[kPortion];
  for (std::size_t begin = 0; begin < count; begin += kPortion) {
    const std::size_t size = std::min(kPortion, count - begin);
    std::copy(indexes + begin, indexes + begin + size, effective);
    for (; segment.override_position < segment.done + size;
         next_override(segment, segment.override_position + 1))
      effective[segment.override_position - segment.done] = segment.override_index;
    // Once more, on the copy: overrides come from the stream, and the caller's array may have been
    // written to by another thread meanwhile.
    if (*std::max_element(effective, effective + size) > tables.size())
      throw MismatchError(std::string("an override names a table that the set lacks") +
                          kForeignIndexes);
    segment.index_checksum = crc32c(effective, size, segment.index_checksum);
    decode_effective(segment, effective, size, tables, symbols + begin);
    segment.done += size;
  }
}

void Decoder::decode_effective(Segment &segment, const std::uint16_t *indexes, std::size_t count,
                               const TableSet &tables, std::int32_t *symbols) {
  switch (segment.view.lanes) {
    case 0:
      if (std::any_of(indexes, indexes + count, [](std::uint16_t index) { return index != 0; }))
        ran_out("coded part");
      std::fill(symbols, symbols + count, 0);
      break;
    case 1: return decode_lanes<1>(segment, indexes, count, tables, symbols);
    case 4: return decode_lanes<4>(segment, indexes, count, tables, symbols);
    case 8: return decode_lanes<8>(segment, indexes, count, tables, symbols);
    case 16: return decode_lanes<16>(segment, indexes, count, tables, symbols);
    default: return decode_lanes<32>(segment, indexes, count, tables, symbols);
  }
}

template <int Lanes>
void Decoder::decode_lanes(Segment &segment, const std::uint16_t *indexes, std::size_t count,
                           const TableSet &tables, std::int32_t *symbols) {
  const TableInfo *const infos = tables.infos();
  const std::uint8_t *const buckets = tables.buckets();
  const DecodeEntry *const entries = tables.decode_entries();
  const std::uint8_t *const last_word = segment.view.words.end();
  const std::uint8_t *word = segment.word;
  std::uint32_t x[Lanes];
  std::copy(segment.states, segment.states + Lanes, x);
  // Inlined twice, for a constant number of lanes and for the rest of a block.
  const auto step = [&](std::size_t active) {
    std::uint32_t flags = 0;
    for (std::size_t lane = 0; lane < active; ++lane) {
      const std::size_t index = indexes[lane];
      const DecodeEntry entry = decode_symbol(x[lane], buckets + (index << kBucketBits),
                                              entries + infos[index].base, word);
      symbols[lane] = std::int32_t(std::uint32_t(entry >> 32));
      flags |= std::uint32_t(entry);
    }
    if (word > last_word) ran_out("words");
    if (flags & kNeedsPatch) patch(segment, indexes, active, tables, symbols);
  };
  for (; count >= Lanes; count -= Lanes, indexes += Lanes, symbols += Lanes) step(Lanes);
  if (count > 0) step(count);
  std::copy(x, x + Lanes, segment.states);
  segment.word = word;
}

// Adds the raw low bits and resolves the escapes of one step.
void Decoder::patch(Segment &segment, const std::uint16_t *indexes, std::size_t count,
                    const TableSet &tables, std::int32_t *symbols) {
  const TableInfo *const infos = tables.infos();
  const std::uint8_t *const plane = segment.view.bits.begin;
  for (std::size_t lane = 0; lane < count; ++lane) {
    const TableInfo &info = infos[indexes[lane]];
    const std::uint32_t raw = bits_at(plane, segment.bit, info.shift);
    segment.bit += info.shift;
    if (symbols[lane] != info.escape_value) {
      symbols[lane] += std::int32_t(raw);
      continue;
    }
    if (segment.escape == segment.view.escapes.end()) ran_out("escapes");
    const std::uint64_t value =
        read_varint<BitstreamError>(segment.escape, segment.view.escapes.end(), "an escape");
    const std::int64_t code = value & 1 ? -1 - std::int64_t(value >> 1)
                                        : std::int64_t(info.escape) + std::int64_t(value >> 1);
    const std::int64_t symbol = info.offset + code * (std::int64_t(1) << info.shift) + raw;
    if (symbol < std::numeric_limits<std::int32_t>::min() ||
        symbol > std::numeric_limits<std::int32_t>::max())
      throw MismatchError(std::string("an escaped symbol does not fit 32 bits") + kForeignIndexes);
    symbols[lane] = std::int32_t(symbol);
  }
  if (segment.bit > 8 * std::uint64_t(segment.view.bits.size)) ran_out("raw bits");
}

void Decoder::finish() const {
  for (const Segment &segment : segments_) finish(segment);
}

void Decoder::finish(const Segment &segment) {
  const SegmentView &view = segment.view;
  if (segment.done != view.symbols)
    throw BitstreamError("only " + std::to_string(segment.done) + " of the " +
                         std::to_string(view.symbols) + " symbols of a segment were asked for");
  if (segment.index_checksum != view.index_checksum)
    throw MismatchError("the table indexes are not those of the encoder: another device, library "
                        "version or model computed them");
  // The indexes are right and so were the bytes: what follows only fails on wrong tables, and on
  // streams that no encoder of ours wrote.
  const auto require = [](bool condition) {
    if (!condition)
      throw BitstreamError("a segment does not end where its header says: other probability tables "
                           "than the encoder's, or a forged stream");
  };
  require(segment.word == view.words.end());
  require(segment.escape == view.escapes.end());
  require(segment.override_position == kNoOverride);
  require((segment.bit + 7) / 8 == view.bits.size);
  if (segment.bit % 8 != 0) require(bits_at(view.bits.begin, segment.bit, 8 - int(segment.bit % 8)) == 0);
  for (int lane = 0; lane < view.lanes; ++lane) require(segment.states[lane] == kStateLow);
}

}  // namespace kodec
