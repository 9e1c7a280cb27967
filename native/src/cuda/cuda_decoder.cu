#include "cuda_decoder.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "../decoder.hpp"
#include "../errors.hpp"
#include "../segment_decoder.hpp"
#include "decode_kernel.cuh"
#include "launch.cuh"

namespace kodec::cuda {
namespace {

// Threads of a block: enough to copy tables quickly, however few of them decode.
constexpr unsigned kThreads = 128;
constexpr std::uint64_t kLongestStream = std::uint64_t(1) << 32;

// What the device gets of all streams, its pieces aligned, and sixteen bytes behind each.
class Pieces {
 public:
  std::uint64_t add(const void *data, std::size_t size) {
    const std::size_t at = bytes_.size();
    bytes_.resize((at + size + 31) / 16 * 16);
    if (size > 0) std::memcpy(bytes_.data() + at, data, size);
    return at;
  }
  const Bytes &bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

SegmentState first_state(const SegmentView &view, Pieces &pieces) {
  std::vector<PlacedOverride> overrides;
  for (const std::uint8_t *p = view.overrides.begin; p != view.overrides.end();) {
    const Override next =
        read_override(view, p, overrides.empty() ? 0 : overrides.back().position + 1);
    overrides.push_back({next.position, next.index});
  }
  std::vector<std::uint64_t> escapes;
  for (const std::uint8_t *p = view.escapes.begin; p != view.escapes.end();)
    escapes.push_back(read_varint<BitstreamError>(p, view.escapes.end(), "an escape"));

  SegmentState state{};
  const RawReader raw = read_states(view, state.states);
  state.raw_position = raw.position;
  state.raw_end = raw.end;
  state.plane_at = pieces.add(view.bits.begin, view.bits.size);
  state.words_at = pieces.add(view.words.begin, view.words.size);
  state.words = std::uint32_t(view.words.size / 2);
  state.escapes_at = pieces.add(escapes.data(), 8 * escapes.size());
  state.escapes = std::uint32_t(escapes.size());
  state.overrides_at = pieces.add(overrides.data(), sizeof(PlacedOverride) * overrides.size());
  state.overrides = std::uint32_t(overrides.size());
  state.lanes = std::uint32_t(view.lanes);
  return state;
}

void require_no_fault(const SegmentState &state) {
  switch (state.fault) {
    case kIndexBeyondTables:
      throw InvalidInputError("an index of item " + std::to_string(state.item) +
                              " names no table of its set");
    case kOverrideBeyondTables: foreign_override();
    case kCodedPartRanOut: ran_out("coded part");
    case kWordsRanOut: ran_out("words");
    case kEscapesRanOut: ran_out("escapes");
    case kRawBitsRanOut: ran_out("raw bits");
    case kEscapeBeyondRange: escape_beyond_range();
    default: break;
  }
}

}  // namespace

CudaDecoder::CudaDecoder(std::vector<Bytes> streams, std::int64_t device, std::uintptr_t stream) {
  Pieces pieces;
  std::vector<SegmentState> states;
  for (Bytes &data : streams) {
    const std::size_t size = data.size();
    if (size >= kLongestStream)
      throw InvalidInputError("a CUDA decoder takes streams below 4 GiB; use the CPU's");
    // read_states and check_end read ahead.
    data.resize(size + kReadAhead, 0);
    Item item;
    item.segments = parse_stream(data.data(), size, kernels());
    item.data = std::move(data);
    item.done.resize(item.segments.size());
    for (std::size_t s = 0; s < item.segments.size(); ++s) {
      states.push_back(first_state(item.segments[s], pieces));
      states.back().item = std::uint32_t(items_.size());
      states.back().number = std::uint32_t(s);
      states.back().segments = std::uint32_t(item.segments.size());
    }
    items_.push_back(std::move(item));
  }
  timeline_ = std::make_unique<Timeline>(device);
  timeline_->move_to(stream);
  segment_count_ = states.size();
  data_ = DeviceMemory::of(pieces.bytes(), *timeline_);
  states_ = DeviceMemory::of(states, *timeline_);
}

std::uint64_t CudaDecoder::symbols(std::size_t item) const {
  std::uint64_t total = 0;
  for (const SegmentView &view : items_[item].segments) total += view.symbols;
  return total;
}

void CudaDecoder::decode(const DeviceOutput &output, const std::shared_ptr<const TableSet> &tables,
                         std::uintptr_t stream) {
  if (output.items != items_.size())
    throw InvalidInputError("there are indexes of " + std::to_string(output.items) +
                            " items, but streams of " + std::to_string(items_.size()));
  if (output.count > std::numeric_limits<std::uint32_t>::max())
    throw InvalidInputError("a block has at most 2^32 - 1 symbols");
  if (output.items == 0 || output.count == 0) return;
  for (Item &item : items_) {
    require_any_segment(item.segments.size());
    for (std::size_t s = 0; s < item.segments.size(); ++s) {
      const std::uint64_t share = share_begin(output.count, s + 1, item.segments.size()) -
                                  share_begin(output.count, s, item.segments.size());
      require_symbols(item.segments[s], item.done[s], share);
      item.done[s] += share;
    }
  }
  timeline_->move_to(stream);
  const OnDevice on(timeline_->device());
  DecodeCall call{};
  call.tables = resident(tables, *timeline_)->blob();
  call.data = data_.bytes();
  call.segments = static_cast<SegmentState *>(states_.data());
  call.segment_count = std::uint32_t(segment_count_);
  // One warp a multiprocessor as long as there are enough of these; then several, that share tables.
  call.warps = std::uint32_t(std::clamp<std::size_t>(
      segment_count_ / std::size_t(timeline_->multiprocessors()), 1, kThreads / kWarp));
  call.indexes = output.indexes;
  call.symbols = output.symbols;
  call.index_bytes = std::uint32_t(output.index_bytes);
  call.count = output.count;
  const unsigned groups = unsigned((segment_count_ + call.warps - 1) / call.warps);
  if (call.tables.size > timeline_->shared_memory()) {
    launch(decode_block<false>, dim3(groups), kThreads, 0, *timeline_, call);
    return;
  }
  // What is above 48 KiB must be asked for.
  cuda::check(cudaFuncSetAttribute(decode_block<true>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   int(timeline_->shared_memory())));
  launch(decode_block<true>, dim3(groups), kThreads, call.tables.size, *timeline_, call);
}

void CudaDecoder::check(std::uintptr_t stream) {
  timeline_->move_to(stream);
  for (const SegmentState &state : states_.fetch<SegmentState>(segment_count_))
    require_no_fault(state);
}

void CudaDecoder::finish(std::uintptr_t stream) {
  timeline_->move_to(stream);
  const std::vector<SegmentState> states = states_.fetch<SegmentState>(segment_count_);
  for (const SegmentState &state : states) require_no_fault(state);
  for (const SegmentState &state : states) {
    const bool all_used = state.word == state.words && state.escape == state.escapes &&
                          state.override_ == state.overrides;
    check_end(items_[state.item].segments[state.number],
              {state.done, state.checksum, all_used, state.raw_position, state.states});
  }
}

}  // namespace kodec::cuda
