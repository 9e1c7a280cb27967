#include "segment_decoder.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "lane.hpp"

namespace kodec {
namespace {

constexpr std::uint64_t kNoOverride = std::numeric_limits<std::uint64_t>::max();

const char *const kForeignIndexes = "; the table indexes given are not the encoder's";

// Up to 32 bits from bit `position` on; reads eight bytes.
std::uint32_t bits_at(const std::uint8_t *plane, std::uint64_t position, int count) {
  const std::uint64_t window = load_u64(plane + (position >> 3)) >> (position & 7);
  return std::uint32_t(window & ((std::uint64_t(1) << count) - 1));
}

}  // namespace

void ran_out(const char *what) {
  throw MismatchError(std::string("the ") + what + " of the coder stream ran out" + kForeignIndexes);
}

void foreign_override() {
  throw MismatchError(std::string("an override names a table that the set lacks") + kForeignIndexes);
}

void escape_beyond_range() {
  throw MismatchError(std::string("an escaped symbol does not fit 32 bits") + kForeignIndexes);
}

RawReader read_states(const SegmentView &view, std::uint32_t *states) {
  RawReader bits{view.bits.begin, 0, 8 * std::uint64_t(view.bits.size)};
  // States are at most 35 bits each: even without any bits they stay inside the section and the
  // padding only if checked one by one.
  const auto take = [&](int count) {
    if (bits.position + std::uint64_t(count) > bits.end)
      throw BitstreamError("the coder states are cut short");
    const std::uint32_t value = bits_at(bits.plane, bits.position, count);
    bits.position += std::uint64_t(count);
    return value;
  };
  for (int lane = 0; lane < view.lanes; ++lane) states[lane] = take(4) + 16;
  for (int lane = 0; lane < view.lanes; ++lane) {
    const int exponent = int(states[lane]);
    states[lane] = 1u << exponent | take(exponent);
  }
  return bits;
}

Override read_override(const SegmentView &view, const std::uint8_t *&p, std::uint64_t first) {
  const std::uint8_t *const end = view.overrides.end();
  const std::uint64_t position =
      first + read_varint<BitstreamError>(p, end, "an override's position");
  const std::uint64_t index = read_varint<BitstreamError>(p, end, "an override's index");
  if (position >= view.symbols)
    throw BitstreamError("an override lies beyond its segment's last symbol");
  if (index > kMaxTables) throw BitstreamError("an override names an impossible table");
  return {position, std::uint16_t(index)};
}

void require_any_segment(std::size_t segments) {
  if (segments == 0)
    throw BitstreamError("the coder stream holds no symbols, but some are asked for");
}

void require_symbols(const SegmentView &view, std::uint64_t done, std::uint64_t count) {
  if (count > view.symbols - done)
    throw BitstreamError("more symbols are asked for than the coder stream holds (" +
                         std::to_string(view.symbols) + " in this segment)");
}

void check_end(const SegmentView &view, const SegmentEnd &end) {
  if (end.done != view.symbols)
    throw BitstreamError("only " + std::to_string(end.done) + " of the " +
                         std::to_string(view.symbols) + " symbols of a segment were asked for");
  if (end.index_checksum != view.index_checksum)
    throw MismatchError("the table indexes are not those of the encoder: another device, library "
                        "version or model computed them");
  // The indexes are right and so were the bytes: what follows only fails on wrong tables, and on
  // streams that no encoder of ours wrote.
  const auto require = [](bool condition) {
    if (!condition)
      throw BitstreamError("a segment does not end where its header says: other probability tables "
                           "than the encoder's, or a forged stream");
  };
  require(end.all_used);
  require((end.raw_position + 7) / 8 == view.bits.size);
  const int used = int(end.raw_position % 8);
  if (used != 0) require(bits_at(view.bits.begin, end.raw_position, 8 - used) == 0);
  for (int lane = 0; lane < view.lanes; ++lane) require(end.states[lane] == kStateLow);
}

Segment::Segment(const SegmentView &view) : view_(view) {
  words_ = view_.words.begin;
  escape_ = view_.escapes.begin;
  override_ = view_.overrides.begin;
  next_override(0);
  raw_ = read_states(view_, states_);
}

void Segment::next_override(std::uint64_t first) {
  if (override_ == view_.overrides.end()) {
    override_position_ = kNoOverride;
    return;
  }
  const Override next = read_override(view_, override_, first);
  override_position_ = next.position;
  override_index_ = next.index;
}

void Segment::settle(std::uint16_t *indexes, std::size_t count, const Kernels &kernels) {
  for (; override_position_ < done_ + count; next_override(override_position_ + 1))
    indexes[override_position_ - done_] = override_index_;
  index_checksum_ = kernels.crc32c_16(indexes, count, index_checksum_);
}

void Segment::choose(std::uint16_t *indexes, std::size_t count, const Kernels &kernels) {
  require_symbols(view_, done_, count);
  settle(indexes, count, kernels);
  done_ += count;
}

void Segment::finish() const {
  const bool all_used = words_ == view_.words.end() && escape_ == view_.escapes.end() &&
                        override_position_ == kNoOverride;
  check_end(view_, {done_, index_checksum_, all_used, raw_.position, states_});
}

ShareDecoder::ShareDecoder(Segment &segment, const void *indexes, int index_bytes,
                           std::size_t count, const TableSet &tables, std::int32_t *symbols,
                           const Kernels &kernels)
    : segment_(segment),
      indexes_(static_cast<const std::uint8_t *>(indexes)),
      index_bytes_(index_bytes),
      left_(count),
      tables_(tables),
      view_(tables.view()),
      symbols_(symbols),
      kernels_(kernels) {
  require_symbols(segment.view_, segment.done_, count);
}

std::size_t ShareDecoder::ready() {
  while (ready_ == 0) {
    if (size_ > 0) finish_portion();
    if (left_ == 0) return 0;
    start_portion();
  }
  return ready_;
}

void ShareDecoder::start_portion() {
  size_ = std::min(kPortion, left_);
  if (index_bytes_ == 1) {
    std::copy(indexes_, indexes_ + size_, effective_);
  } else {
    const auto *const wide = reinterpret_cast<const std::uint16_t *>(indexes_);
    std::copy(wide, wide + size_, effective_);
  }
  segment_.settle(effective_, size_, kernels_);
  // Once more, on the copy: overrides come from the stream, and the caller's array may have been
  // written to by another thread meanwhile.
  const std::uint32_t highest = kernels_.highest_index(effective_, 2, size_);
  if (highest > tables_.size()) foreign_override();
  if (lanes() == 0) {
    if (highest != 0) ran_out("coded part");
    std::fill(symbols_, symbols_ + size_, 0);
    ready_ = 0;
  } else {
    ready_ = size_ / std::size_t(lanes());
  }
  const Nearness nearness = highest < view_.direct_below ? Nearness::kDirect
                            : highest < view_.near_below ? Nearness::kNear
                                                         : Nearness::kAny;
  stream_ = {segment_.states_, segment_.words_, segment_.view_.words.end(), effective_,
             symbols_,         shifts_,         escapes_, 0, nearness};
}

void ShareDecoder::finish_portion() {
  // The last step of a block may be partial; its high lanes rest.
  const std::size_t rest = lanes() == 0 ? 0 : size_ % std::size_t(lanes());
  if (rest > 0) {
    std::uint32_t escaped = 0;
    for (std::size_t lane = 0; lane < rest; ++lane) {
      std::uint32_t entry;
      const std::uint32_t index = stream_.indexes[lane];
      const std::uint8_t key =
          decode_symbol(segment_.states_[lane], index, view_, stream_.words, entry);
      stream_.symbols[lane] = symbol_value<false>(key, view_.infos, index);
      stream_.shifts[lane] = std::uint8_t(view_.infos[index].shift);
      escaped |= std::uint32_t((entry & kEscape) != 0) << lane;
    }
    if (stream_.words > stream_.words_end) ran_out("words");
    if (escaped) *stream_.escapes++ = {std::uint32_t(size_ - rest), escaped};
  }
  segment_.words_ = stream_.words;
  finish_escapes(std::size_t(stream_.escapes - escapes_));
  segment_.done_ += size_;
  indexes_ += size_ * std::size_t(index_bytes_);
  symbols_ += size_;
  left_ -= size_;
  size_ = 0;
}

// Resolves the portion's escapes, and adds the raw bits of all its symbols.
void ShareDecoder::finish_escapes(std::size_t count) {
  std::vector<std::pair<std::size_t, std::int64_t>> escaped;
  const std::uint8_t *const end = segment_.view_.escapes.end();
  for (std::size_t step = 0; step < count; ++step)
    for (int lane = 0; lane < kMaxLanes; ++lane) {
      if (!(escapes_[step].lanes >> lane & 1)) continue;
      const std::size_t position = escapes_[step].position + std::size_t(lane);
      const TableInfo &info = view_.infos[effective_[position]];
      if (segment_.escape_ == end) ran_out("escapes");
      const std::uint64_t value = read_varint<BitstreamError>(segment_.escape_, end, "an escape");
      const std::int64_t code = value & 1 ? -1 - std::int64_t(value >> 1)
                                          : std::int64_t(info.escape) + std::int64_t(value >> 1);
      const std::int64_t symbol = info.offset + code * (std::int64_t(1) << info.shift);
      symbols_[position] = std::int32_t(std::uint32_t(symbol));
      escaped.emplace_back(position, symbol);
    }
  if (stream_.nearness != Nearness::kDirect) {
    std::fill(shifts_ + size_, shifts_ + size_ + 8, std::uint8_t(0));
    if (!kernels_.add_raw(symbols_, shifts_, size_, segment_.raw_)) ran_out("raw bits");
  }
  for (const auto &[position, symbol] : escaped) {
    const std::int64_t raw = std::uint32_t(symbols_[position]) - std::uint32_t(symbol);
    if (symbol + raw < std::numeric_limits<std::int32_t>::min() ||
        symbol + raw > std::numeric_limits<std::int32_t>::max())
      escape_beyond_range();
  }
}

void decode_shares(ShareDecoder *const *shares, int count, const TableSet &tables,
                   const Kernels &kernels) {
  const TableView view = tables.view();
  const auto run = [&](int first, int size, std::size_t steps) {
    DecodeStream *const streams[] = {shares[first]->stream(), shares[first + size - 1]->stream()};
    if (!kernels.decode(streams, size, shares[first]->lanes(), steps, view)) ran_out("words");
    for (int s = first; s < first + size; ++s) shares[s]->decoded(steps);
  };
  if (count == 2 && shares[0]->lanes() == shares[1]->lanes())
    while (shares[0]->ready() > 0 && shares[1]->ready() > 0)
      run(0, 2, std::min(shares[0]->ready(), shares[1]->ready()));
  for (int s = 0; s < count; ++s)
    while (const std::size_t steps = shares[s]->ready()) run(s, 1, steps);
}

}  // namespace kodec
