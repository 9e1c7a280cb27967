// Encoding: blocks are prepared by a thread a symbol; then, when it is known into how many segments
// they go, one warp a segment codes its symbols from the last to the first, and another one measures
// its other sections; then each section is written.
#pragma once

#include "warp.cuh"

namespace kodec::cuda {

// What is wrong with a symbol or its index, as one number of which the least is kept: the position
// in the block (over all items), then what, then the index.
constexpr int kFaultIndexBits = 16;
constexpr std::uint64_t kIndexFault = std::uint64_t(1) << kFaultIndexBits;
constexpr int kFaultPositionShift = kFaultIndexBits + 1;
constexpr std::uint64_t kNoInputFault = ~std::uint64_t(0);

// A block of all items, one after the other, when it is prepared.
struct PreparedBlock {
  std::int32_t *symbols;
  std::uint16_t *indexes;
  std::uint32_t *entries;
  std::uint8_t *overridden;  // or null
  const std::uint8_t *tables;  // TableBlob::bytes
  std::uint32_t infos;         // TableBlob::infos
  std::uint32_t has_raw_bits;
  std::uint64_t count;         // of an item
};

struct PrepareCall {
  TableBlob tables;
  const void *symbols;
  const void *indexes;
  const std::uint8_t *overridden;  // or null
  std::uint32_t symbol_bytes, index_bytes;
  std::uint32_t items;
  PreparedBlock block;
  unsigned long long *costs;  // by item, in the unit of TableSet::cost
  unsigned long long *fault;
};

constexpr std::uint32_t kPrepareThreads = 256;

__global__ void prepare_block(PrepareCall call) {
  const Lookup<false> lookup{call.tables.bytes};
  const std::uint32_t item = blockIdx.y;
  const std::uint64_t i = std::uint64_t(blockIdx.x) * kPrepareThreads + threadIdx.x;
  std::uint32_t cost = 0;
  if (i < call.block.count) {
    const std::uint64_t at = item * call.block.count + i;
    std::int32_t symbol = call.symbol_bytes == 2 ? static_cast<const std::int16_t *>(call.symbols)[at]
                                                 : static_cast<const std::int32_t *>(call.symbols)[at];
    std::uint32_t index = call.index_bytes == 1 ? static_cast<const std::uint8_t *>(call.indexes)[at]
                                                : static_cast<const std::uint16_t *>(call.indexes)[at];
    if (index > call.tables.tables || (index == 0 && symbol != 0)) {
      atomicMin(call.fault, static_cast<unsigned long long>(at << kFaultPositionShift |
                                                            (index != 0 ? kIndexFault : 0) | index));
      symbol = 0;
      index = 0;
    }
    const PackedInfo info = lookup.info(call.tables, index);
    // As in general_id of lane.hpp.
    std::uint32_t code = (std::uint32_t(symbol) - std::uint32_t(info.offset)) >> info.shift;
    if (code > info.escape) code = info.escape;
    if (index == 0) code = 0;
    call.block.symbols[at] = symbol;
    call.block.indexes[at] = std::uint16_t(index);
    call.block.entries[at] = lookup.code(call.tables, info.first + code);
    if (call.overridden != nullptr) call.block.overridden[at] = call.overridden[at] != 0;
    cost = __ldg(call.tables.costs + info.first + code);
  }
  const std::uint64_t sum = sum_of_all(cost);
  if (lane_number() == 0 && sum > 0) atomicAdd(call.costs + item, static_cast<unsigned long long>(sum));
}

struct SegmentTask {
  std::uint32_t item, number, segments, lanes;
  std::uint64_t words_at;  // of its room in EncodeCall::words, a word a symbol
  std::uint64_t symbols;   // over all blocks
};

// What is known of a segment when it is coded.
struct SegmentSummary {
  std::uint32_t states[kMaxLanes];
  std::uint64_t words;  // they end its room
  std::uint64_t raw_bits, escape_bytes, override_bytes;
  std::uint32_t checksum;  // of its indexes
  std::uint32_t coded;     // whether any symbol is not skipped
};

// Byte offsets of a segment's sections in EncodeCall::body, each a multiple of 16. Bits, which are
// written last bit by bit, must be 0 before.
struct SectionPlan {
  std::uint64_t bits, words, escapes, overrides;
};

struct EncodeCall {
  const PreparedBlock *blocks;
  std::uint32_t block_count;
  const SegmentTask *tasks;
  SegmentSummary *summaries;
  std::uint16_t *words;
  const SectionPlan *plans;
  std::uint8_t *body;
};

// A segment's part of a block.
struct PartOnDevice {
  std::uint64_t first;  // in the arrays of the block
  std::uint64_t count;
};

__device__ inline PartOnDevice part_of(const PreparedBlock &block, const SegmentTask &task) {
  const std::uint64_t begin = begin_of_share(block.count, task.number, task.segments);
  const std::uint64_t end = begin_of_share(block.count, task.number + 1, task.segments);
  return {task.item * block.count + begin, end - begin};
}

// One step of a warp, coded with lanes in descending order and words written downwards: `top` is the
// number of words of the room that are still free. Lanes that rest have a frequency of kTotal.
__device__ inline void code_step(std::uint32_t &x, std::uint32_t entry, std::uint16_t *room,
                                 std::uint64_t &top) {
  const std::uint32_t frequency = entry >> 16;
  const bool full = x >> (32 - kPrecision) >= frequency;
  const std::uint32_t due = __ballot_sync(kAllLanes, full);
  top -= __popc(due);
  if (full) room[top + __popc(due & lanes_below())] = std::uint16_t(x);
  const std::uint32_t y = full ? x >> 16 : x;
  // At most one too low: the reciprocal's error is at most 1, and y < 2^32.
  std::uint32_t quotient = __umulhi(y, 0xFFFFFFFFu / frequency);
  if (y - quotient * frequency >= frequency) ++quotient;
  x = y + (entry & (kTotal - 1)) + quotient * (kTotal - frequency);
}

__device__ inline void code_segment(const EncodeCall &call, const SegmentTask &task,
                                    SegmentSummary &summary) {
  constexpr std::uint32_t kSkipEntry = kTotal << 16;
  // Not read again after each store.
  const std::uint32_t lane = lane_number(), lanes = task.lanes;
  std::uint16_t *const room = call.words + task.words_at;
  std::uint64_t top = task.symbols;
  std::uint32_t x = kStateLow;
  for (std::uint32_t b = call.block_count; b-- > 0;) {
    const PreparedBlock block = call.blocks[b];
    const PartOnDevice part = part_of(block, task);
    const std::uint32_t *const entries = block.entries + part.first;
    const auto entry_at = [&](std::uint64_t base) {
      return base < part.count && base + lane < part.count ? entries[base + lane] : kSkipEntry;
    };
    std::uint64_t base = (part.count + kWarp - 1) / kWarp * kWarp;
    if (base == 0) continue;
    std::uint32_t upcoming = entry_at(base - kWarp);
    for (; base > 0; base -= kWarp) {
      const std::uint32_t entry = upcoming;
      upcoming = base > kWarp ? entry_at(base - 2 * kWarp) : kSkipEntry;
      if (lanes == kWarp) {
        code_step(x, entry, room, top);
        continue;
      }
      for (std::uint32_t step = kWarp; step > 0; step -= lanes) {
        const std::uint32_t own =
            __shfl_sync(kAllLanes, entry, (step - lanes + lane) % kWarp);
        code_step(x, lane < lanes ? own : kSkipEntry, room, top);
      }
    }
  }
  summary.states[lane] = x;
  if (lane == 0) summary.words = task.symbols - top;
}

// What the escape section holds for a symbol outside the codes; as escape_code of
// segment_encoder.cpp.
__device__ inline std::uint64_t escape_value(std::int32_t symbol, const PackedInfo &info) {
  const std::int64_t code = (std::int64_t(symbol) - info.offset) >> info.shift;
  return code < 0 ? 2 * std::uint64_t(-1 - code) + 1 : 2 * std::uint64_t(code - info.escape);
}

__device__ inline std::uint32_t varint_size(std::uint64_t value) {
  std::uint32_t size = 1;
  for (; value >= 128; value >>= 7) ++size;
  return size;
}

__device__ inline std::uint8_t *write_varint(std::uint8_t *p, std::uint64_t value) {
  for (; value >= 128; value >>= 7) *p++ = std::uint8_t(value | 128);
  *p++ = std::uint8_t(value);
  return p;
}

// The distances between overrides: positions run through all blocks of a segment.
class OverrideDistances {
 public:
  // The distance of this lane's override (of lanes that have none, anything); `set` has the bits of
  // the lanes that have one, and `base` is lane 0's position.
  __device__ std::uint64_t take(std::uint32_t set, std::uint64_t base) {
    const std::uint32_t before = set & lanes_below();
    const std::uint64_t next = before ? base + kWarp - __clz(before) : next_;
    next_ = base + kWarp - __clz(set);
    return base + lane_number() - next;
  }

 private:
  std::uint64_t next_ = 0;  // the position after the last one
};

__device__ inline void measure_segment(const EncodeCall &call, const SegmentTask &task,
                                       SegmentSummary &summary) {
  const std::uint32_t lane = lane_number();
  std::uint64_t raw_bits = 0, escape_bytes = 0, override_bytes = 0, position = 0;
  std::uint32_t checksum = 0, coded = 0;
  OverrideDistances distances;
  for (std::uint32_t b = 0; b < call.block_count; ++b) {
    const PreparedBlock block = call.blocks[b];
    const PartOnDevice part = part_of(block, task);
    const Lookup<false> lookup{block.tables};
    TableBlob blob{};
    blob.infos = block.infos;
    IndexChecksum<false> sum(lookup);
    for (std::uint64_t base = 0; base < part.count; base += kWarp) {
      const std::uint64_t at = part.first + base + lane;
      const bool on = base + lane < part.count;
      const std::uint32_t index = on ? block.indexes[at] : 0;
      const bool escapes = on && (block.entries[at] & kEscape) != 0;
      if (on) sum.add(index);
      coded |= index;
      if (block.has_raw_bits) raw_bits += lookup.info(blob, index).shift;
      if (escapes)
        escape_bytes += varint_size(escape_value(block.symbols[at], lookup.info(blob, index)));
      if (block.overridden != nullptr) {
        const bool overridden = on && block.overridden[at] != 0;
        const std::uint32_t set = __ballot_sync(kAllLanes, overridden);
        if (set) {
          const std::uint64_t distance = distances.take(set, position + base);
          if (overridden) override_bytes += varint_size(distance) + varint_size(index);
        }
      }
    }
    if (part.count > 0) checksum = sum.finish(checksum, part.count);
    position += part.count;
  }
  raw_bits = sum_of_all(raw_bits);
  escape_bytes = sum_of_all(escape_bytes);
  override_bytes = sum_of_all(override_bytes);
  coded = __ballot_sync(kAllLanes, coded != 0);
  if (lane > 0) return;
  summary.raw_bits = raw_bits;
  summary.escape_bytes = escape_bytes;
  summary.override_bytes = override_bytes;
  summary.checksum = checksum;
  summary.coded = coded != 0;
}

// Blocks of one warp, two for each segment.
__global__ void code_segments(EncodeCall call) {
  const SegmentTask &task = call.tasks[blockIdx.x / 2];
  SegmentSummary &summary = call.summaries[blockIdx.x / 2];
  if (blockIdx.x % 2 == 0)
    code_segment(call, task, summary);
  else
    measure_segment(call, task, summary);
}

// Lanes write their bits at the same time, into words that may be each other's.
__device__ inline void put_bits(std::uint32_t *plane, std::uint64_t position, std::uint32_t value,
                                std::uint32_t bits) {
  if (bits == 0 || value == 0) return;
  const std::uint64_t wide = std::uint64_t(value) << (position % 32);
  atomicOr(plane + position / 32, std::uint32_t(wide));
  // Only if there is something, as the section may end with this word.
  if (wide >> 32) atomicOr(plane + position / 32 + 1, std::uint32_t(wide >> 32));
}

__device__ inline void write_bits(const EncodeCall &call, const SegmentTask &task,
                                  const SegmentSummary &summary, const SectionPlan &plan) {
  const std::uint32_t lane = lane_number();
  std::uint32_t *const plane = reinterpret_cast<std::uint32_t *>(call.body + plan.bits);
  const bool has_state = lane < task.lanes;
  const std::uint32_t x = summary.states[lane];
  const std::uint32_t exponent = has_state ? 31 - __clz(x) : 0;
  std::uint32_t sum = sum_up_to(exponent);
  if (has_state) {
    put_bits(plane, 4 * lane, exponent - 16, 4);
    put_bits(plane, 4 * task.lanes + sum - exponent, x & ((1u << exponent) - 1), exponent);
  }
  if (summary.raw_bits == 0) return;
  std::uint64_t position = 4 * task.lanes + __shfl_sync(kAllLanes, sum, kWarp - 1);
  for (std::uint32_t b = 0; b < call.block_count; ++b) {
    const PreparedBlock block = call.blocks[b];
    if (!block.has_raw_bits) continue;
    const PartOnDevice part = part_of(block, task);
    const Lookup<false> lookup{block.tables};
    TableBlob blob{};
    blob.infos = block.infos;
    for (std::uint64_t base = 0; base < part.count; base += kWarp) {
      const std::uint64_t at = part.first + base + lane;
      const bool on = base + lane < part.count;
      const PackedInfo info = lookup.info(blob, on ? block.indexes[at] : 0u);
      sum = sum_up_to(info.shift);
      if (info.shift > 0) {
        const std::uint32_t distance = std::uint32_t(block.symbols[at]) - std::uint32_t(info.offset);
        put_bits(plane, position + sum - info.shift, distance & ((1u << info.shift) - 1), info.shift);
      }
      position += __shfl_sync(kAllLanes, sum, kWarp - 1);
    }
  }
}

__device__ inline void write_escapes_and_overrides(const EncodeCall &call, const SegmentTask &task,
                                                   const SegmentSummary &summary,
                                                   const SectionPlan &plan) {
  if (summary.escape_bytes == 0 && summary.override_bytes == 0) return;
  const std::uint32_t lane = lane_number();
  std::uint8_t *escape = call.body + plan.escapes, *override_ = call.body + plan.overrides;
  std::uint64_t position = 0;
  OverrideDistances distances;
  for (std::uint32_t b = 0; b < call.block_count; ++b) {
    const PreparedBlock block = call.blocks[b];
    const PartOnDevice part = part_of(block, task);
    const Lookup<false> lookup{block.tables};
    TableBlob blob{};
    blob.infos = block.infos;
    for (std::uint64_t base = 0; base < part.count; base += kWarp) {
      const std::uint64_t at = part.first + base + lane;
      const bool on = base + lane < part.count;
      const bool escapes = on && (block.entries[at] & kEscape) != 0;
      if (__ballot_sync(kAllLanes, escapes)) {
        const std::uint64_t value =
            escapes ? escape_value(block.symbols[at], lookup.info(blob, block.indexes[at])) : 0;
        const std::uint32_t size = escapes ? varint_size(value) : 0;
        const std::uint32_t sum = sum_up_to(size);
        if (escapes) write_varint(escape + sum - size, value);
        escape += __shfl_sync(kAllLanes, sum, kWarp - 1);
      }
      if (block.overridden == nullptr) continue;
      const bool overridden = on && block.overridden[at] != 0;
      const std::uint32_t set = __ballot_sync(kAllLanes, overridden);
      if (!set) continue;
      const std::uint64_t distance = distances.take(set, position + base);
      const std::uint32_t index = on ? block.indexes[at] : 0;
      const std::uint32_t size = overridden ? varint_size(distance) + varint_size(index) : 0;
      const std::uint32_t sum = sum_up_to(size);
      if (overridden) write_varint(write_varint(override_ + sum - size, distance), index);
      override_ += __shfl_sync(kAllLanes, sum, kWarp - 1);
    }
    position += part.count;
  }
}

__device__ inline void copy_words(const EncodeCall &call, const SegmentTask &task,
                                  const SegmentSummary &summary, const SectionPlan &plan) {
  const std::uint16_t *const words = call.words + task.words_at + (task.symbols - summary.words);
  std::uint16_t *const out = reinterpret_cast<std::uint16_t *>(call.body + plan.words);
  for (std::uint64_t i = lane_number(); i < summary.words; i += kWarp) out[i] = words[i];
}

// Blocks of one warp, three for each segment.
__global__ void write_sections(EncodeCall call) {
  const SegmentTask &task = call.tasks[blockIdx.x / 3];
  const SegmentSummary &summary = call.summaries[blockIdx.x / 3];
  const SectionPlan &plan = call.plans[blockIdx.x / 3];
  if (blockIdx.x % 3 == 2)
    write_escapes_and_overrides(call, task, summary, plan);
  else if (summary.coded == 0)
    return;
  else if (blockIdx.x % 3 == 0)
    copy_words(call, task, summary, plan);
  else
    write_bits(call, task, summary, plan);
}

}  // namespace kodec::cuda
