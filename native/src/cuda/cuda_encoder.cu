#include "cuda_encoder.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "../encoder.hpp"
#include "../errors.hpp"
#include "../stream.hpp"
#include "encode_kernels.cuh"
#include "launch.cuh"

namespace kodec::cuda {
namespace {

// A segment of 32 lanes costs about 95 bytes: 0.46 % of this, and a warp is to have work.
constexpr std::uint64_t kBytesPerSegment = 20 << 10;
constexpr std::size_t kMostItems = 65535;
constexpr std::size_t kFaultsAtOnce = 256;

std::size_t aligned(std::size_t size) { return (size + 15) / 16 * 16; }

std::size_t choose_segments(std::uint64_t cost) {
  return std::size_t(std::clamp<std::uint64_t>(bytes_of(cost) / kBytesPerSegment, 1, kMaxSegments));
}

// Where a block's arrays lie in its memory.
PreparedBlock layout(std::uint8_t *memory, std::size_t items, std::size_t count, bool overridden,
                     const TableBlob &tables, std::size_t &size) {
  const std::size_t all = items * count;
  size = 0;
  const auto place = [&](std::size_t bytes) {
    std::uint8_t *const at = memory + size;
    size += aligned(bytes);
    return at;
  };
  PreparedBlock block{};
  block.symbols = reinterpret_cast<std::int32_t *>(place(4 * all));
  block.entries = reinterpret_cast<std::uint32_t *>(place(4 * all));
  block.indexes = reinterpret_cast<std::uint16_t *>(place(2 * all));
  block.overridden = overridden ? place(all) : nullptr;
  block.tables = tables.bytes;
  block.infos = tables.infos;
  block.has_raw_bits = tables.has_raw_bits;
  block.count = count;
  return block;
}

// Bytes of a segment's sections.
struct Sizes {
  std::size_t bits, words, escapes, overrides;
};

Sizes sizes_of(const SegmentSummary &summary, std::uint32_t lanes) {
  Sizes sizes{0, 0, std::size_t(summary.escape_bytes), std::size_t(summary.override_bytes)};
  if (!summary.coded) return sizes;
  std::uint64_t bits = summary.raw_bits + 4 * lanes;
  for (std::uint32_t lane = 0; lane < lanes; ++lane) {
    int exponent = 16;
    while (summary.states[lane] >> exponent > 1) ++exponent;
    bits += std::uint64_t(exponent);
  }
  sizes.bits = std::size_t((bits + 7) / 8);
  sizes.words = std::size_t(2 * summary.words);
  return sizes;
}

}  // namespace

CudaEncoder::CudaEncoder(std::int64_t items, std::int64_t device) {
  if (items < 0 || items > std::int64_t(kMostItems))
    throw InvalidInputError("an encoder takes 0 to 65535 items, not " + std::to_string(items));
  items_ = std::size_t(items);
  timeline_ = std::make_unique<Timeline>(device);
}

void CudaEncoder::add(const DeviceInput &input, const std::shared_ptr<const TableSet> &tables,
                      std::uintptr_t stream) {
  if (input.items != items_)
    throw InvalidInputError("there are symbols of " + std::to_string(input.items) +
                            " items, but the encoder was made for " + std::to_string(items_));
  if (input.count > std::numeric_limits<std::uint32_t>::max())
    throw InvalidInputError("a block has at most 2^32 - 1 symbols; split it");
  if (input.items == 0 || input.count == 0) return;
  timeline_->move_to(stream);
  const OnDevice on(timeline_->device());
  if (costs_.data() == nullptr) {
    costs_ = DeviceMemory(8 * items_, *timeline_);
    costs_.fill(0, 8 * items_);
  }
  if (blocks_.size() == kFaultsAtOnce * faults_.size()) {
    DeviceMemory faults(8 * kFaultsAtOnce, *timeline_);
    faults.fill(0xFF, 8 * kFaultsAtOnce);
    faults_.push_back(std::move(faults));
  }
  Block block{resident(tables, *timeline_), input.count, input.overridden != nullptr, {}};
  const TableBlob &blob = block.tables->blob();
  std::size_t size;
  layout(nullptr, items_, block.count, block.overridden, blob, size);
  block.memory = DeviceMemory(size, *timeline_);

  PrepareCall call{};
  call.tables = blob;
  call.symbols = input.symbols;
  call.indexes = input.indexes;
  call.overridden = input.overridden;
  call.symbol_bytes = std::uint32_t(input.symbol_bytes);
  call.index_bytes = std::uint32_t(input.index_bytes);
  call.items = std::uint32_t(items_);
  call.block = layout(block.memory.bytes(), items_, block.count, block.overridden, blob, size);
  call.costs = static_cast<unsigned long long *>(costs_.data());
  call.fault = static_cast<unsigned long long *>(faults_.back().data()) +
               blocks_.size() % kFaultsAtOnce;
  const std::size_t groups = (input.count + kPrepareThreads - 1) / kPrepareThreads;
  launch(prepare_block, dim3(unsigned(groups), unsigned(items_)), kPrepareThreads, 0, *timeline_,
         call);
  blocks_.push_back(std::move(block));
}

void CudaEncoder::require_valid_input() const {
  for (std::size_t b = 0; b < blocks_.size();) {
    const std::vector<std::uint64_t> faults =
        faults_[b / kFaultsAtOnce].fetch<std::uint64_t>(kFaultsAtOnce);
    for (std::size_t i = 0; i < kFaultsAtOnce && b < blocks_.size(); ++i, ++b) {
      if (faults[i] == kNoInputFault) continue;
      const std::uint64_t position = faults[i] >> kFaultPositionShift;
      const std::string where = "at position " + std::to_string(position % blocks_[b].count) +
                                " of item " + std::to_string(position / blocks_[b].count);
      if (faults[i] & kIndexFault)
        throw InvalidInputError("index " + std::to_string(faults[i] % kIndexFault) + " " + where +
                                " names no table: the set has " +
                                std::to_string(blocks_[b].tables->blob().tables));
      throw InvalidInputError("the symbol " + where +
                              " is not 0, but index 0 (skip) stands for 0 only");
    }
  }
}

std::uint64_t CudaEncoder::symbols() const { return symbols_of(0, 1); }

std::uint64_t CudaEncoder::symbols_of(std::size_t segment, std::size_t segments) const {
  std::uint64_t sum = 0;
  for (const Block &block : blocks_)
    sum += share_begin(block.count, segment + 1, segments) - share_begin(block.count, segment, segments);
  return sum;
}

std::vector<Bytes> CudaEncoder::finish(std::int64_t asked_segments, std::int64_t asked_lanes,
                                       std::uintptr_t stream) {
  check_layout(asked_segments, asked_lanes);
  if (symbols() == 0) return std::vector<Bytes>(items_, Bytes{0});
  timeline_->move_to(stream);
  const OnDevice on(timeline_->device());
  require_valid_input();

  std::vector<SegmentTask> tasks;
  const std::vector<std::uint64_t> costs = costs_.fetch<std::uint64_t>(items_);
  std::uint64_t room = 0;
  for (std::size_t item = 0; item < items_; ++item) {
    const std::size_t segments =
        asked_segments > 0 ? std::size_t(asked_segments) : choose_segments(costs[item]);
    const int lanes = asked_lanes > 0 ? int(asked_lanes) : choose_lanes(costs[item] / segments);
    for (std::size_t s = 0; s < segments; ++s) {
      const std::uint64_t symbols = symbols_of(s, segments);
      if (symbols >= kVarintLimit)
        throw InvalidInputError("a segment has too many symbols; use more");
      tasks.push_back({std::uint32_t(item), std::uint32_t(s), std::uint32_t(segments),
                       std::uint32_t(lanes), room, symbols});
      room += symbols;
    }
  }
  std::vector<PreparedBlock> blocks;
  for (const Block &block : blocks_) {
    std::size_t size;
    blocks.push_back(layout(block.memory.bytes(), items_, block.count, block.overridden,
                            block.tables->blob(), size));
  }
  const DeviceMemory device_blocks = DeviceMemory::of(blocks, *timeline_);
  const DeviceMemory device_tasks = DeviceMemory::of(tasks, *timeline_);
  const DeviceMemory summaries(tasks.size() * sizeof(SegmentSummary), *timeline_);
  const DeviceMemory words(2 * room, *timeline_);
  EncodeCall call{};
  call.blocks = static_cast<const PreparedBlock *>(device_blocks.data());
  call.block_count = std::uint32_t(blocks.size());
  call.tasks = static_cast<const SegmentTask *>(device_tasks.data());
  call.summaries = static_cast<SegmentSummary *>(summaries.data());
  call.words = static_cast<std::uint16_t *>(words.data());
  launch(code_segments, dim3(unsigned(2 * tasks.size())), kWarp, 0, *timeline_, call);
  const std::vector<SegmentSummary> coded = summaries.fetch<SegmentSummary>(tasks.size());

  std::vector<SectionPlan> plans;
  std::size_t size = 0;
  const auto place = [&size](std::size_t bytes) {
    const std::size_t at = size;
    size += aligned(bytes);
    return std::uint64_t(at);
  };
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const Sizes sizes = sizes_of(coded[t], tasks[t].lanes);
    SectionPlan plan;
    plan.bits = place(sizes.bits);
    plan.words = place(sizes.words);
    plan.escapes = place(sizes.escapes);
    plan.overrides = place(sizes.overrides);
    plans.push_back(plan);
  }
  const DeviceMemory device_plans = DeviceMemory::of(plans, *timeline_);
  DeviceMemory device_body(size, *timeline_);
  device_body.fill(0, size);
  call.plans = static_cast<const SectionPlan *>(device_plans.data());
  call.body = device_body.bytes();
  launch(write_sections, dim3(unsigned(3 * tasks.size())), kWarp, 0, *timeline_, call);
  const Bytes body = device_body.fetch<std::uint8_t>(size);

  std::vector<Bytes> streams;
  std::vector<SegmentBytes> segments;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const Sizes sizes = sizes_of(coded[t], tasks[t].lanes);
    SegmentView view;
    view.lanes = coded[t].coded ? int(tasks[t].lanes) : 0;
    view.symbols = tasks[t].symbols;
    view.index_checksum = coded[t].checksum;
    view.bits = {body.data() + plans[t].bits, sizes.bits};
    view.words = {body.data() + plans[t].words, sizes.words};
    view.escapes = {body.data() + plans[t].escapes, sizes.escapes};
    view.overrides = {body.data() + plans[t].overrides, sizes.overrides};
    const bool more = tasks[t].number + 1 < tasks[t].segments;
    segments.push_back(write_segment(view, tasks[t].number, more, kernels()));
    if (more) continue;
    streams.push_back(join_segments(segments));
    segments.clear();
  }
  return streams;
}

}  // namespace kodec::cuda
