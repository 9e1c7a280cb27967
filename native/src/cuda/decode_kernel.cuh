// Decoding one block of many segments, a warp for each. Whatever the stream and the indexes, nothing
// is read or written outside the arrays: every warp checks what it takes, and stops at the first error.
#pragma once

#include "warp.cuh"

namespace kodec::cuda {

// Why a segment's decoding stopped.
enum DecodeFault : std::uint32_t {
  kNoFault,
  kIndexBeyondTables,
  kOverrideBeyondTables,
  kCodedPartRanOut,
  kWordsRanOut,
  kEscapesRanOut,
  kRawBitsRanOut,
  kEscapeBeyondRange,
};

// Where a segment stands between two blocks. Byte offsets are into DecodeCall::data.
struct SegmentState {
  std::uint32_t states[kMaxLanes];
  std::uint64_t words_at;      // even
  std::uint64_t plane_at;      // two more bytes are readable
  std::uint64_t raw_position, raw_end;  // in the plane, in bits
  std::uint64_t escapes_at;    // of their values, eight bytes each
  std::uint64_t overrides_at;  // of PlacedOverride
  std::uint64_t done;          // symbols decoded
  std::uint32_t word, words;
  std::uint32_t escape, escapes;
  std::uint32_t override_, overrides;
  std::uint32_t lanes;
  std::uint32_t checksum;      // of the indexes so far
  std::uint32_t item, number, segments;  // number `number` of `segments` of its item
  std::uint32_t fault;
};

struct PlacedOverride {
  std::uint64_t position;
  std::uint64_t index;
};

struct DecodeCall {
  TableBlob tables;
  const std::uint8_t *data;
  SegmentState *segments;
  std::uint32_t segment_count;
  std::uint32_t warps;       // that decode, of each block of threads
  const void *indexes;       // item by item, of one or two bytes
  std::int32_t *symbols;     // item by item
  std::uint32_t index_bytes;
  std::uint64_t count;       // of an item's symbols
};

// Words in order, from a window of two registers a lane.
class WordWindow {
 public:
  __device__ WordWindow(const std::uint16_t *words, std::uint32_t at, std::uint32_t count)
      : words_(words), count_(count), base_(at), at_(at) {
    low_ = load(base_);
    high_ = load(base_ + kWarp);
  }

  __device__ std::uint32_t at() const { return at_; }
  __device__ bool has(std::uint32_t words) const { return words <= count_ - at_; }

  // The next words, for the lanes that are due in ascending order.
  __device__ std::uint32_t take(std::uint32_t due) {
    const std::uint32_t place = at_ - base_ + __popc(due & lanes_below());
    const std::uint32_t low = __shfl_sync(kAllLanes, low_, place % kWarp);
    const std::uint32_t high = __shfl_sync(kAllLanes, high_, place % kWarp);
    at_ += __popc(due);
    if (at_ - base_ >= kWarp) {
      base_ += kWarp;
      low_ = high_;
      high_ = load(base_ + kWarp);
    }
    return place < kWarp ? low : high;
  }

 private:
  __device__ std::uint32_t load(std::uint32_t first) const {
    // `first` may pass the end, but by too little to wrap around.
    const std::uint64_t place = std::uint64_t(first) + lane_number();
    return place < count_ ? __ldg(words_ + place) : 0u;
  }

  const std::uint16_t *words_;
  std::uint32_t count_, base_, at_;
  std::uint32_t low_, high_;
};

// One segment's share of one block.
template <bool Shared>
class ShareOnDevice {
 public:
  __device__ ShareOnDevice(const DecodeCall &call, Lookup<Shared> lookup, SegmentState &state)
      : call_(call),
        tables_(call.tables),
        lookup_(lookup),
        state_(state),
        lanes_(state.lanes),
        word_window_(reinterpret_cast<const std::uint16_t *>(call.data + state.words_at), state.word,
                     state.words),
        done_(state.done),
        escape_(state.escape),
        override_(state.override_),
        raw_position_(state.raw_position),
        raw_end_(state.raw_end),
        plane_(call.data + state.plane_at) {
    const std::uint64_t begin = begin_of_share(call.count, state.number, state.segments);
    count_ = begin_of_share(call.count, state.number + 1, state.segments) - begin;
    first_ = state.item * call.count + begin;
    symbols_ = call.symbols + first_;
  }

  __device__ void decode() {
    if (count_ == 0) return;
    if (state_.fault != kNoFault) return blank(0);
    const std::uint32_t lane = lane_number();
    IndexChecksum<Shared> checksum(lookup_);
    x_ = lane < lanes_ ? state_.states[lane] : kStateLow;
    std::uint64_t next_override = override_position();
    std::uint32_t upcoming = index_at(lane);
    for (std::uint64_t base = 0; base < count_; base += kWarp) {
      std::uint32_t index = upcoming;
      upcoming = index_at(base + kWarp + lane);
      if (__ballot_sync(kAllLanes, index > tables_.tables)) return stop(kIndexBeyondTables, base);
      const std::uint64_t group_end = done_ + (base + kWarp < count_ ? base + kWarp : count_);
      if (next_override < group_end) {
        for (; next_override < group_end; next_override = override_position()) {
          if (next_override - done_ - base == lane)
            index = std::uint32_t(overrides()[override_].index);
          ++override_;
        }
        if (__ballot_sync(kAllLanes, index > tables_.tables))
          return stop(kOverrideBeyondTables, base);
      }
      if (base + lane < count_) checksum.add(index);
      const std::uint32_t fault = decode_group(base, index);
      if (fault != kNoFault) return stop(fault, base);
    }
    const std::uint32_t sum = checksum.finish(state_.checksum, count_);
    __syncwarp();
    if (lane < lanes_) state_.states[lane] = x_;
    if (lane == 0) {
      state_.checksum = sum;
      state_.done = done_ + count_;
      state_.word = word_window_.at();
      state_.escape = escape_;
      state_.override_ = override_;
      state_.raw_position = raw_position_;
    }
  }

 private:
  __device__ std::uint32_t index_at(std::uint64_t i) const {
    if (i >= count_) return 0;
    return call_.index_bytes == 1
               ? __ldg(static_cast<const std::uint8_t *>(call_.indexes) + first_ + i)
               : __ldg(static_cast<const std::uint16_t *>(call_.indexes) + first_ + i);
  }

  __device__ const PlacedOverride *overrides() const {
    return reinterpret_cast<const PlacedOverride *>(call_.data + state_.overrides_at);
  }
  __device__ std::uint64_t override_position() const {
    return override_ < state_.overrides ? overrides()[override_].position : ~std::uint64_t(0);
  }

  // The symbols from `base` on, 32 or what is left, in steps of as many as there are lanes.
  __device__ std::uint32_t decode_group(std::uint64_t base, std::uint32_t index) {
    const std::uint32_t lane = lane_number();
    if (lanes_ == kWarp) return decode_step(base, index);
    if (lanes_ == 0) {
      if (__ballot_sync(kAllLanes, index != 0)) return kCodedPartRanOut;
      if (base + lane < count_) symbols_[base + lane] = 0;
      return kNoFault;
    }
    for (std::uint32_t step = 0; step < kWarp && base + step < count_; step += lanes_) {
      // Lanes without a symbol skip: that changes nothing.
      const std::uint32_t own = __shfl_sync(kAllLanes, index, (step + lane) % kWarp);
      const std::uint32_t fault = decode_step(base + step, lane < lanes_ ? own : 0);
      if (fault != kNoFault) return fault;
    }
    return kNoFault;
  }

  __device__ std::uint32_t decode_step(std::uint64_t first, std::uint32_t index) {
    const PackedInfo info = lookup_.info(tables_, index);
    const std::uint32_t slot = x_ & (kTotal - 1);
    std::uint32_t code = lookup_.template load<std::uint8_t>(
        tables_.buckets + (index << kBucketBits | slot >> kBucketShift));
    std::uint32_t entry = lookup_.code(tables_, info.first + code);
    std::uint32_t within = slot - (entry & (kTotal - 1));
    // Ends, since the frequencies of a table sum to kTotal.
    while (within >= entry >> 16) {
      within -= entry >> 16;
      entry = lookup_.code(tables_, info.first + ++code);
    }
    const std::uint32_t y = (entry >> 16) * (x_ >> kPrecision) + within;
    const bool short_of_bits = y < kStateLow;
    const std::uint32_t due = __ballot_sync(kAllLanes, short_of_bits);
    if (!word_window_.has(__popc(due))) return kWordsRanOut;
    const std::uint32_t word = word_window_.take(due);
    x_ = short_of_bits ? y << 16 | word : y;

    std::int32_t symbol = std::int32_t(std::uint32_t(info.offset) + (code << info.shift));
    const bool escapes = entry & kEscape;
    std::int64_t wide = 0;
    const std::uint32_t escaped = __ballot_sync(kAllLanes, escapes);
    if (escaped) {
      if (std::uint32_t(__popc(escaped)) > state_.escapes - escape_) return kEscapesRanOut;
      if (escapes) {
        const std::uint64_t *const values =
            reinterpret_cast<const std::uint64_t *>(call_.data + state_.escapes_at);
        const std::uint64_t value = values[escape_ + __popc(escaped & lanes_below())];
        const std::int64_t beyond = value & 1 ? -1 - std::int64_t(value >> 1)
                                              : std::int64_t(info.escape) + std::int64_t(value >> 1);
        wide = info.offset + beyond * (std::int64_t(1) << info.shift);
      }
      escape_ += __popc(escaped);
    }
    std::uint32_t raw = 0;
    if (tables_.has_raw_bits && __ballot_sync(kAllLanes, info.shift != 0)) {
      const std::uint32_t sum = sum_up_to(info.shift);
      const std::uint32_t all = __shfl_sync(kAllLanes, sum, kWarp - 1);
      if (all > raw_end_ - raw_position_) return kRawBitsRanOut;
      if (info.shift != 0) {
        const std::uint64_t at = raw_position_ + sum - info.shift;
        const std::uint8_t *const p = plane_ + (at >> 3);
        raw = (__ldg(p) | std::uint32_t(__ldg(p + 1)) << 8) >> (at & 7) & ((1u << info.shift) - 1);
      }
      raw_position_ += all;
    }
    symbol = std::int32_t(std::uint32_t(symbol) + raw);
    if (escaped) {
      wide += raw;
      const bool fits = wide == std::int32_t(std::uint32_t(std::uint64_t(wide)));
      if (__ballot_sync(kAllLanes, escapes && !fits)) return kEscapeBeyondRange;
      if (escapes) symbol = std::int32_t(std::uint32_t(std::uint64_t(wide)));
    }
    const std::uint32_t lane = lane_number();
    if (lane < lanes_ && first + lane < count_) symbols_[first + lane] = symbol;
    return kNoFault;
  }

  // From an error on, symbols are 0: something that networks can go on with until it is asked for.
  __device__ void stop(std::uint32_t fault, std::uint64_t base) {
    __syncwarp();
    if (lane_number() == 0) state_.fault = fault;
    blank(base);
  }
  __device__ void blank(std::uint64_t base) {
    for (std::uint64_t i = base + lane_number(); i < count_; i += kWarp) symbols_[i] = 0;
  }

  const DecodeCall &call_;
  const TableBlob &tables_;
  const Lookup<Shared> lookup_;
  SegmentState &state_;
  const std::uint32_t lanes_;
  std::uint64_t count_, first_;
  std::int32_t *symbols_;
  std::uint32_t x_ = kStateLow;
  WordWindow word_window_;
  const std::uint64_t done_;
  std::uint32_t escape_, override_;
  std::uint64_t raw_position_;
  const std::uint64_t raw_end_;
  const std::uint8_t *const plane_;
};

// Blocks of threads of which the first `warps` warps decode, one segment each; all of them copy the
// tables.
template <bool Shared>
__global__ void decode_block(DecodeCall call) {
  Lookup<Shared> lookup{call.tables.bytes};
  if constexpr (Shared) {
    extern __shared__ uint4 shared_memory[];
    const uint4 *const source = reinterpret_cast<const uint4 *>(call.tables.bytes);
    for (std::uint32_t i = threadIdx.x; i < call.tables.size / 16; i += blockDim.x)
      shared_memory[i] = __ldg(source + i);
    __syncthreads();
    lookup.bytes = reinterpret_cast<const std::uint8_t *>(shared_memory);
  }
  const std::uint32_t warp = threadIdx.x / kWarp;
  const std::uint32_t segment = blockIdx.x * call.warps + warp;
  if (warp >= call.warps || segment >= call.segment_count) return;
  ShareOnDevice<Shared>(call, lookup, call.segments[segment]).decode();
}

}  // namespace kodec::cuda
