// A serial order in integers, front by front: each value of a grid is predicted from values before it by
// a small network whose every sum is exact. The positions of a front do not depend on each other, so that
// as many are computed at once as the machine has lanes; the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "front_kernels.hpp"
#include "scan_pass.hpp"

namespace kodec {

// Where a position looks: `down` rows below (0 or less) and `right` columns to the right.
struct FrontTap {
  std::int32_t down, right;
};

// y = (W x + b) >> shift, then max(y, 0) if rectified. Weights are row-major, one row an output.
struct FrontLayer {
  std::size_t inputs, outputs;
  std::vector<std::int64_t> weights, biases;
  int shift;
  bool rectified;
};

// The same for the kernels.
struct ExactLayer {
  std::size_t inputs, outputs, padded;
  std::vector<double> weights, biases;  // as in LayerView
  int shift;
  bool rectified;

  LayerView view() const {
    return {inputs, outputs, padded, weights.data(), biases.data(), shift, rectified};
  }
};

// What the network's outputs mean, both with 8 fraction bits: a mean, of which the nearest multiple of
// 2^-mean_bits counts, and a log scale, for which there are levels between `lowest` and `highest`. The
// multiple's nearest integer shifts the symbol, and its sign mirrors it; a level's tables are those of the
// 2^(mean_bits - 1) + 1 distances from the integer.
struct LocatedLevel {
  int mean_bits;
  std::uint32_t first;  // index of its table for distance 0
};
struct LocatedScales {
  std::int32_t lowest, highest;
  std::vector<LocatedLevel> levels;
};

constexpr int kFrontFraction = 8;
constexpr std::uint32_t kMaxFrontIndex = 65535;

class FrontProgram {
 public:
  // Values lie in [least, most]. The first layer takes the taps' values, then `side` integers of a
  // position, set to [-side_bound, side_bound]; the last takes what the one before it gives, then once more
  // what the first takes, and gives a mean and a log scale. Throws InvalidInputError unless all that fits
  // together, taps look back alone, and no sum can reach 2^53.
  FrontProgram(std::vector<FrontTap> taps, std::size_t side, std::int64_t side_bound,
               std::int32_t least, std::int32_t most, const std::vector<FrontLayer> &layers,
               LocatedScales scales);

  std::size_t side() const { return side_; }
  std::uint32_t highest_index() const { return highest_index_; }
  // Positions with the same column + slope * row form a front.
  std::size_t slope() const { return slope_; }

 private:
  friend class FrontPass;
  void check_taps();
  void add_layer(const FrontLayer &layer, std::vector<std::int64_t> &bounds, std::size_t number);
  void check_scales();

  std::vector<FrontTap> taps_;
  std::size_t side_, slope_ = 1;
  std::int64_t side_bound_;
  std::int32_t least_, most_;
  std::vector<ExactLayer> layers_;
  LocatedScales scales_;
  std::vector<LocatedLevel> level_of_;  // by log scale - lowest
  std::uint32_t highest_index_ = 0;
  std::size_t up_ = 0, fronts_back_ = 1;  // how far taps reach: rows above, fronts before
  std::size_t widest_ = 0;                // of the layers
};

// One pass over a grid of `rows` x `columns` values.
class FrontPass : public ScanPass {
 public:
  // `side`: program.side() integers for each 2^side_shift x 2^side_shift positions, row by row; it and the
  // program must outlive the pass, `values` (rows * columns) too: results where decoded, or what is known.
  FrontPass(const FrontProgram &program, std::size_t rows, std::size_t columns,
            const std::int32_t *side, int side_shift, std::int32_t *values, const FrontKernels &kernels);

  // Positions that the side integers cover: so many of them are read.
  static std::size_t sides(std::size_t rows, std::size_t columns, int side_shift) {
    const std::size_t mask = (std::size_t(1) << side_shift) - 1;
    return ((rows + mask) >> side_shift) * ((columns + mask) >> side_shift);
  }

  std::size_t symbols() const override { return rows_ * columns_; }
  const std::vector<std::uint16_t> &predict() override;
  void take(const std::int32_t *symbols) override;

  // In place of `take`, where values are known: their symbols, as many as there were indexes. Throws
  // InvalidInputError for values out of range.
  void known(std::int32_t *symbols);

 private:
  void gather(std::size_t first, std::size_t width);
  void locate(std::size_t first, std::size_t count);
  std::int32_t *front(std::int64_t back) {
    return ring_.data() + (std::size_t(std::int64_t(front_) - back) & ring_mask_) * stride_;
  }
  // Of the position at the front's `i`-th row.
  std::size_t place(std::size_t i) const {
    const std::size_t row = first_row_ + i;
    return row * columns_ + (front_ - program_.slope_ * row);
  }
  void advance();

  const FrontProgram &program_;
  const FrontKernels &kernels_;
  const std::size_t rows_, columns_;
  const std::int32_t *const side_;
  const int side_shift_;
  std::int32_t *const values_;
  std::size_t front_ = 0, first_row_ = 0, count_ = 0;
  std::size_t stride_, ring_mask_;
  std::vector<std::int32_t> ring_;  // the last fronts, each by rows, zeros where there is no value
  std::vector<double> room_;        // of a tile: hidden values, the last ones right before the inputs
  double *inputs_;
  std::vector<std::uint16_t> indexes_;
  std::vector<std::int32_t> whole_;  // integers nearest to the means
  std::vector<std::int8_t> sign_;
};

}  // namespace kodec
