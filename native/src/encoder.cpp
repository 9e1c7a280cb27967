#include "encoder.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "errors.hpp"
#include "parallel.hpp"
#include "segment_encoder.hpp"

namespace kodec {
namespace {

// A segment of 32 lanes costs about 95 bytes. Two of them, which one thread codes in turn and far
// faster than one, cost 0.07 % from here on; further ones, for further threads, 0.03 % of these.
constexpr std::uint64_t kTwoSegmentsFrom = 128 << 10;
constexpr std::uint64_t kFurtherPairAt = 640 << 10;
constexpr std::uint64_t kMostChosenPairs = 32;
// Lanes cost about three bytes each (3.1 without packed states): 1/0.005 of that is 0.5 %.
constexpr std::uint64_t kBytesPerLane = 620;

std::size_t choose_segments(std::uint64_t cost) {
  const std::uint64_t bytes = bytes_of(cost);
  if (bytes < kTwoSegmentsFrom) return 1;
  return 2 * std::size_t(std::clamp<std::uint64_t>(bytes / kFurtherPairAt, 1, kMostChosenPairs));
}

std::uint64_t symbols_of(const std::vector<Part> &parts) {
  std::uint64_t symbols = 0;
  for (const Part &part : parts) symbols += part.end - part.begin;
  return symbols;
}

std::uint32_t index_checksum_of(const std::vector<Part> &parts, const Kernels &kernels) {
  std::uint32_t checksum = 0;
  std::uint16_t wide[kPortion];
  for (const Part &part : parts) {
    if (part.block->index_bytes() == 2) {
      checksum = kernels.crc32c_16(static_cast<const std::uint16_t *>(part.block->indexes(part.begin)),
                                   part.end - part.begin, checksum);
      continue;
    }
    for (std::size_t i = part.begin; i < part.end; i += kPortion) {
      const std::size_t size = std::min(kPortion, part.end - i);
      const auto *const indexes = static_cast<const std::uint8_t *>(part.block->indexes(i));
      std::copy(indexes, indexes + size, wide);
      checksum = kernels.crc32c_16(wide, size, checksum);
    }
  }
  return checksum;
}

Bytes overrides_of(const std::vector<Part> &parts) {
  Bytes section;
  std::uint64_t before = 0, next = 0;
  for (const Part &part : parts) {
    const std::vector<std::uint32_t> &positions = part.block->overrides();
    for (auto at = std::lower_bound(positions.begin(), positions.end(), part.begin);
         at != positions.end() && *at < part.end; ++at) {
      const std::uint64_t place = before + (*at - part.begin);
      append_varint(section, place - next);
      append_varint(section, part.block->index(*at));
      next = place + 1;
    }
    before += part.end - part.begin;
  }
  return section;
}

// Puts a segment together; `coded` is empty where all symbols are skipped.
SegmentBytes assemble(const std::vector<Part> &parts, const std::optional<SegmentEncoder> &coded,
                      std::size_t number, bool more, const Kernels &kernels) {
  const Bytes overrides = overrides_of(parts);
  Bytes bit_plane, escapes;
  SegmentView view;
  if (coded) {
    bit_plane = coded->bit_plane();
    escapes = coded->escapes();
    view.lanes = coded->lanes();
    view.words = coded->words();
  }
  view.symbols = symbols_of(parts);
  view.index_checksum = index_checksum_of(parts, kernels);
  view.bits = {bit_plane.data(), bit_plane.size()};
  view.escapes = {escapes.data(), escapes.size()};
  view.overrides = {overrides.data(), overrides.size()};
  return write_segment(view, number, more, kernels);
}

}  // namespace

void check_layout(std::int64_t segments, std::int64_t lanes) {
  if (segments < 0 || segments > std::int64_t(kMaxSegments))
    throw InvalidInputError("segments must be 1 to 1024, or 0 to choose, not " +
                            std::to_string(segments));
  if (std::find(kLaneCounts.begin(), kLaneCounts.end(), lanes) == kLaneCounts.end())
    throw InvalidInputError("lanes must be 1, 4, 8, 16 or 32, or 0 to choose, not " +
                            std::to_string(lanes));
}

int choose_lanes(std::uint64_t cost) {
  int lanes = 1;
  for (int candidate : kLaneCounts)
    if (candidate * kBytesPerLane <= bytes_of(cost)) lanes = std::max(lanes, candidate);
  return lanes;
}

void Encoder::add(const BlockInput &input, std::shared_ptr<const TableSet> tables) {
  blocks_.emplace_back(input, std::move(tables), kernels_);
}

void Encoder::choose(const ChoiceInput &input) { blocks_.emplace_back(input); }

std::vector<Part> Encoder::parts_of(std::size_t segment, std::size_t segments) const {
  std::vector<Part> parts;
  for (const Block &block : blocks_)
    parts.push_back({&block, share_begin(block.count(), segment, segments),
                     share_begin(block.count(), segment + 1, segments)});
  return parts;
}

Bytes Encoder::finish(std::int64_t asked_segments, std::int64_t asked_lanes,
                      std::size_t threads) const {
  check_layout(asked_segments, asked_lanes);
  const std::vector<Part> whole = parts_of(0, 1);
  const std::uint64_t symbols = symbols_of(whole);
  if (symbols == 0) return {0};
  const std::uint64_t whole_cost = asked_segments > 1 ? 0 : cost_of(coded_parts(whole));
  const std::size_t segments =
      asked_segments > 0 ? std::size_t(asked_segments) : choose_segments(whole_cost);
  std::vector<SegmentBytes> pieces(segments);
  // Two segments a task, so that they can be coded in turn.
  run_tasks((segments + 1) / 2, useful_threads(symbols, threads), [&](std::size_t task) {
    const std::size_t first = 2 * task, count = std::min<std::size_t>(2, segments - first);
    std::vector<Part> parts[2];
    std::optional<SegmentEncoder> coders[2];
    SegmentEncoder *coded[2];
    int coded_count = 0;
    for (std::size_t s = 0; s < count; ++s) {
      parts[s] = parts_of(first + s, segments);
      if (symbols_of(parts[s]) >= kVarintLimit)
        throw InvalidInputError("a segment has too many symbols; use more");
      const std::vector<Part> symbols_alone = coded_parts(parts[s]);
      const std::uint64_t cost = segments == 1 ? whole_cost : cost_of(symbols_alone);
      // Every code of a table costs something: no cost, no coded symbol.
      if (cost == 0) continue;
      coders[s].emplace(symbols_alone, asked_lanes == 0 ? choose_lanes(cost) : int(asked_lanes),
                        kernels_);
      coded[coded_count++] = &*coders[s];
    }
    if (coded_count == 2 && coded[0]->lanes() == coded[1]->lanes())
      encode_segments(coded, 2, kernels_);
    else
      for (int s = 0; s < coded_count; ++s) encode_segments(coded + s, 1, kernels_);
    for (std::size_t s = 0; s < count; ++s)
      pieces[first + s] = assemble(parts[s], coders[s], first + s, first + s + 1 < segments, kernels_);
  });
  return join_segments(pieces);
}

}  // namespace kodec
