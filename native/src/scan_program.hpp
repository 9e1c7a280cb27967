// A serial order in integers: each position's symbols are predicted from values before it, by a small
// network whose every sum is exact. The same on every machine, and without Python between positions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kodec {

// Where a position looks: `up` rows above and `right` columns to the right (negative: left), at one of
// the channels. Earlier positions alone: up > 0, or up == 0 and right < 0.
struct ScanTap {
  std::int32_t up, right, channel;
};

// y = (W x + b + 2^(fraction-1)) >> fraction, of x set to [-bound, bound]; then max(y, 0) if
// rectified. Weights are row-major, one row an output.
struct ScanLayer {
  std::size_t inputs, outputs;
  std::vector<std::int32_t> weights;
  std::vector<std::int64_t> biases;
  int fraction;
  std::int64_t bound;
  bool rectified;
};

constexpr std::int64_t kLargestScanValue = 1 << 30;

class ScanProgram {
 public:
  // The first layer takes the taps' values and then `side` integers that the caller gives for each
  // position; the last gives for each channel a mean, and then for each channel an index.
  // Throws InvalidInputError unless all that fits together and no sum can reach 2^53.
  ScanProgram(std::size_t channels, std::size_t side, std::vector<ScanTap> taps,
              std::vector<ScanLayer> layers);

  std::size_t channels() const { return channels_; }
  std::size_t side() const { return side_; }

 private:
  friend class Scan;
  std::size_t channels_, side_;
  std::vector<ScanTap> taps_;
  std::vector<ScanLayer> layers_;
  std::int32_t up_ = 0, left_ = 0, right_ = 0;  // how far taps reach
  std::size_t widest_ = 0;
};

// One pass over a grid of `rows` x `columns` positions, row by row.
class Scan {
 public:
  // `side` holds rows * columns * program.side() integers; both must outlive it. Indexes are set to
  // 1..highest_index.
  Scan(const ScanProgram &program, std::size_t rows, std::size_t columns, const std::int32_t *side,
       std::uint32_t highest_index);

  // Means and indexes (channels of each) of the next position.
  void predict(std::int64_t *means, std::uint16_t *indexes);

  // Its values (channels); the pass goes on to the next position.
  void take(const std::int32_t *values);

 private:
  const ScanProgram &program_;
  const std::size_t columns_, stride_;
  const std::int32_t *side_;
  const std::uint32_t highest_index_;
  std::size_t row_ = 0, column_ = 0;
  std::vector<std::int32_t> values_;       // with margins of zeros
  std::vector<std::ptrdiff_t> offsets_;    // of the taps, from a position's first value
  std::vector<std::int64_t> now_, next_;   // activations
};

}  // namespace kodec
