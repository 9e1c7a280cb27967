#include "decoder.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "errors.hpp"
#include "parallel.hpp"
#include "serial_decoder.hpp"

namespace kodec {

Decoder::Decoder(const std::uint8_t *data, std::size_t size) : kernels_(&kernels()) {
  data_.reserve(size + kReadAhead);
  data_.assign(data, data + size);
  data_.resize(size + kReadAhead, 0);
  for (const SegmentView &view : parse_stream(data_.data(), size, *kernels_))
    segments_.emplace_back(view);
}

std::uint64_t Decoder::symbols() const {
  std::uint64_t total = 0;
  for (const Segment &segment : segments_) total += segment.symbols();
  return total;
}

void Decoder::decode(const void *indexes, int index_bytes, std::size_t count,
                     const TableSet &tables, std::int32_t *symbols, std::size_t threads) {
  const std::uint32_t highest = kernels_->highest_index(indexes, index_bytes, count);
  if (highest > tables.size())
    throw InvalidInputError("index " + std::to_string(highest) + " names no table: the set has " +
                            std::to_string(tables.size()));
  if (count == 0) return;
  require_any_segment(segments_.size());
  // Two segments a task, so that they can be decoded in turn.
  const std::size_t segments = segments_.size();
  run_tasks((segments + 1) / 2, useful_threads(count, threads), [&](std::size_t task) {
    std::optional<ShareDecoder> shares[2];
    const std::size_t first = 2 * task, size = std::min<std::size_t>(2, segments - first);
    for (std::size_t s = 0; s < size; ++s) {
      const std::size_t begin = share_begin(count, first + s, segments);
      const std::size_t end = share_begin(count, first + s + 1, segments);
      shares[s].emplace(segments_[first + s],
                        static_cast<const std::uint8_t *>(indexes) + begin * std::size_t(index_bytes),
                        index_bytes, end - begin, tables, symbols + begin, *kernels_);
    }
    ShareDecoder *const both[] = {&*shares[0], size == 2 ? &*shares[1] : nullptr};
    decode_shares(both, int(size), tables, *kernels_);
  });
}

void Decoder::choose(std::uint16_t *indexes, std::size_t count) {
  if (count == 0) return;
  require_any_segment(segments_.size());
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    const std::size_t begin = share_begin(count, s, segments_.size());
    const std::size_t end = share_begin(count, s + 1, segments_.size());
    segments_[s].choose(indexes + begin, end - begin, *kernels_);
  }
}

namespace {

// A scan program's pass, position by position.
class PositionPass : public ScanPass {
 public:
  PositionPass(const ScanProgram &program, std::size_t rows, std::size_t columns,
               const std::int32_t *side, std::uint32_t highest_index, std::int32_t *values)
      : scan_(program, rows, columns, side, highest_index),
        count_(rows * columns * program.channels()),
        means_(program.channels()),
        indexes_(program.channels()),
        values_(values) {}

  std::size_t symbols() const override { return count_; }

  const std::vector<std::uint16_t> &predict() override {
    scan_.predict(means_.data(), indexes_.data());
    return indexes_;
  }

  void take(const std::int32_t *symbols) override {
    for (std::size_t c = 0; c < means_.size(); ++c) {
      const std::int64_t value = means_[c] + symbols[c];
      if (value < -kLargestScanValue || value > kLargestScanValue)
        throw BitstreamError("a scanned value lies beyond 2^30: a damaged stream");
      values_[c] = std::int32_t(value);
    }
    scan_.take(values_);
    values_ += means_.size();
  }

 private:
  Scan scan_;
  const std::size_t count_;
  std::vector<std::int64_t> means_;
  std::vector<std::uint16_t> indexes_;
  std::int32_t *values_;  // of the next position
};

}  // namespace

void Decoder::scan(const ScanProgram &program, std::size_t rows, std::size_t columns,
                   const std::int32_t *side, const TableSet &tables, std::int32_t *values) {
  PositionPass pass(program, rows, columns, side, std::uint32_t(tables.size()), values);
  scan(pass, tables);
}

void Decoder::scan(ScanPass &pass, const TableSet &tables) {
  const std::size_t count = pass.symbols();
  if (count == 0) return;
  require_any_segment(segments_.size());
  std::vector<std::int32_t> symbols;
  std::optional<SerialDecoder> share;
  std::size_t done = 0, segment = 0, end = 0;
  while (done < count) {
    const std::vector<std::uint16_t> &indexes = pass.predict();
    symbols.resize(indexes.size());
    for (std::size_t i = 0; i < indexes.size();) {
      while (done == end) {
        if (share) share->finish();
        end = share_begin(count, segment + 1, segments_.size());
        share.emplace(segments_[segment++], end - done, tables, *kernels_);
      }
      const std::size_t size = std::min(indexes.size() - i, end - done);
      share->decode(indexes.data() + i, size, symbols.data() + i);
      i += size;
      done += size;
    }
    pass.take(symbols.data());
  }
  share->finish();
}

void Decoder::finish() const {
  for (const Segment &segment : segments_) segment.finish();
}

}  // namespace kodec
