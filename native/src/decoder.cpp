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

void Decoder::scan(const ScanProgram &program, std::size_t rows, std::size_t columns,
                   const std::int32_t *side, const TableSet &tables, std::int32_t *values) {
  const std::size_t channels = program.channels(), count = rows * columns * channels;
  if (count == 0) return;
  require_any_segment(segments_.size());
  Scan scan(program, rows, columns, side, std::uint32_t(tables.size()));
  std::vector<std::int64_t> means(channels);
  std::vector<std::uint16_t> indexes(channels);
  std::size_t done = 0;
  for (std::size_t s = 0; s < segments_.size(); ++s) {
    const std::size_t end = share_begin(count, s + 1, segments_.size());
    SerialDecoder share(segments_[s], end - done, tables, *kernels_);
    for (; done < end; ++done) {
      const std::size_t channel = done % channels;
      if (channel == 0) scan.predict(means.data(), indexes.data());
      const std::int64_t value = means[channel] + share.next(indexes[channel]);
      if (value < -kLargestScanValue || value > kLargestScanValue)
        throw BitstreamError("a scanned value lies beyond 2^30: a damaged stream");
      values[done] = std::int32_t(value);
      if (channel + 1 == channels) scan.take(values + done + 1 - channels);
    }
    share.finish();
  }
}

void Decoder::finish() const {
  for (const Segment &segment : segments_) segment.finish();
}

}  // namespace kodec
