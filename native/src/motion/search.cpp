#include "search.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "../errors.hpp"
#include "../parallel.hpp"
#include "half_pixels.hpp"

namespace kodec {
namespace {

// A part of a block, in cells.
struct Part {
  std::size_t row, column, rows, columns;
};
constexpr Part kWhole{0, 0, 2, 2};
constexpr std::array<Part, 2> kHalves[2] = {{{{0, 0, 1, 2}, {1, 0, 1, 2}}},
                                            {{{0, 0, 2, 1}, {0, 1, 2, 1}}}};
constexpr std::array<Part, 4> kQuarters = {{{0, 0, 1, 1}, {0, 1, 1, 1}, {1, 0, 1, 1}, {1, 1, 1, 1}}};
// Bits of a split, by its number.
constexpr std::uint32_t kSplitBits[4] = {1, 3, 3, 3};

// Bits of a vector's difference from what it is predicted by, in one direction, by its magnitude:
// signed Exp-Golomb.
std::uint32_t bits_of(int difference) {
  std::uint32_t bits = 1;
  for (unsigned rest = 2u * unsigned(difference) + 1; rest > 1; rest >>= 1)
    bits += 2;
  return bits;
}
using BitTable = std::array<std::uint8_t, 8 * kMostReach + 1>;
const BitTable &bit_table() {
  static const BitTable table = [] {
    BitTable bits{};
    for (std::size_t d = 0; d < bits.size(); ++d) bits[d] = std::uint8_t(bits_of(int(d)));
    return bits;
  }();
  return table;
}

int median(int a, int b, int c) { return std::max(std::min(a, b), std::min(std::max(a, b), c)); }

// Moves around the best vector.
constexpr int kLines[2][2][2] = {{{-1, 0}, {1, 0}}, {{0, -1}, {0, 1}}};
constexpr int kSquare[8][2] = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
constexpr int kHexagon[6][2] = {{0, -2}, {-2, -1}, {-2, 1}, {0, 2}, {2, 1}, {2, -1}};

struct Found {
  MotionVector vector{0, 0};
  std::uint32_t cost = ~0u;
};

class Search {
 public:
  Search(const std::uint8_t *current, const std::uint8_t *reference, std::size_t height,
         std::size_t width, const SearchOptions &options, const Hints &hints, std::size_t threads,
         MotionVector *vectors, std::uint8_t *splits)
      : kernels_(motion_kernels()),
        current_(current),
        height_(height),
        width_(width),
        options_(options),
        hints_(hints),
        planes_(kernels_, reference, height, width, options.precision > 1, threads),
        rows_(blocks_along(height)),
        columns_(blocks_along(width)),
        vectors_(vectors),
        splits_(splits) {}

  // All vectors of the blocks to the left, above, and above to the right are known.
  void block(std::size_t row, std::size_t column) const;

 private:
  struct Block {
    std::size_t row, column;
    std::array<std::uint8_t, kBlock * kBlock> pixels;
    int least_down, most_down, least_right, most_right;  // of its vectors
    MotionVector predicted;
    Found whole;
    std::array<Found, 4> quarters;  // by absolute differences, at whole pixels
  };

  MotionVector &cell(std::size_t row, std::size_t column) const {
    return vectors_[row * 2 * columns_ + column];
  }
  MotionVector predicted(const Block &block, const Part &part) const;
  std::uint32_t cost_of_bits(MotionVector vector, MotionVector predicted) const {
    const std::uint32_t bits = table_[std::size_t(std::abs(vector.down - predicted.down))] +
                               table_[std::size_t(std::abs(vector.right - predicted.right))];
    return bits * std::uint32_t(options_.bit_cost);
  }
  static bool within(const Block &block, int down, int right) {
    return down >= block.least_down && down <= block.most_down && right >= block.least_right &&
           right <= block.most_right;
  }
  MotionVector clamped(const Block &block, MotionVector vector) const {
    return {std::int16_t(std::clamp(int(vector.down), block.least_down, block.most_down)),
            std::int16_t(std::clamp(int(vector.right), block.least_right, block.most_right))};
  }
  bool try_whole_pixels(Block &block, int down, int right) const;
  void search_whole_pixels(Block &block) const;
  bool try_vector(const Block &block, const Part &part, MotionVector predicted, int down, int right,
                  Found &found) const;
  void refine(const Block &block, const Part &part, MotionVector predicted, int step,
              Found &found) const;
  void fill(const Block &block, const Part &part, MotionVector vector) const {
    for (std::size_t r = 0; r < part.rows; ++r)
      for (std::size_t c = 0; c < part.columns; ++c)
        cell(2 * block.row + part.row + r, 2 * block.column + part.column + c) = vector;
  }
  void divide(const Block &block, const Found &whole, std::array<MotionVector, 4> &chosen,
              Split &split) const;

  const MotionKernels &kernels_;
  const std::uint8_t *const current_;
  const std::size_t height_, width_;
  const SearchOptions options_;
  const Hints hints_;
  const HalfPixels planes_;
  const std::size_t rows_, columns_;
  MotionVector *const vectors_;
  std::uint8_t *const splits_;
  const BitTable &table_ = bit_table();
};

// The median of the neighbours to the left, above, and above to the right, or to the left where that one
// is not known yet. Beyond the picture they are zero; in its first row the left one stands for all.
MotionVector Search::predicted(const Block &block, const Part &part) const {
  const std::size_t row = 2 * block.row + part.row, column = 2 * block.column + part.column;
  const MotionVector left = column > 0 ? cell(row, column - 1) : MotionVector{0, 0};
  if (row == 0) return left;
  const MotionVector above = cell(row - 1, column);
  const std::size_t behind = column + part.columns;
  const bool known = behind < 2 * columns_ && (part.row == 0 || behind < 2 * block.column + 2);
  const MotionVector third = known        ? cell(row - 1, behind)
                             : column > 0 ? cell(row - 1, column - 1)
                                          : MotionVector{0, 0};
  return {std::int16_t(median(left.down, above.down, third.down)),
          std::int16_t(median(left.right, above.right, third.right))};
}

bool Search::try_whole_pixels(Block &block, int down, int right) const {
  if (!within(block, 4 * down, 4 * right)) return false;
  std::uint32_t sums[4];
  const PaddedPlane &plane = planes_.whole();
  kernels_.sads(block.pixels.data(),
                plane.at(std::ptrdiff_t(block.row * kBlock) + down,
                         std::ptrdiff_t(block.column * kBlock) + right),
                plane.stride(), sums);
  const MotionVector vector{std::int16_t(4 * down), std::int16_t(4 * right)};
  const std::uint32_t bits = cost_of_bits(vector, block.predicted);
  for (int q = 0; q < 4; ++q)
    if (16 * sums[q] + bits < block.quarters[q].cost) block.quarters[q] = {vector, 16 * sums[q] + bits};
  const std::uint32_t cost = 16 * (sums[0] + sums[1] + sums[2] + sums[3]) + bits;
  if (cost >= block.whole.cost) return false;
  block.whole = {vector, cost};
  return true;
}

// From the best of the neighbours' vectors and the hints: hexagons while they lead on, then the square around.
void Search::search_whole_pixels(Block &block) const {
  const std::size_t row = 2 * block.row, column = 2 * block.column;
  const auto neighbour = [&](MotionVector vector) {
    const MotionVector v = clamped(block, vector);
    // Clamped vectors are near whole ones that are within as well: bounds are multiples of 4.
    try_whole_pixels(block, (v.down + 2) >> 2, (v.right + 2) >> 2);
  };
  try_whole_pixels(block, 0, 0);
  neighbour(block.predicted);
  if (column > 0) neighbour(cell(row, column - 1));
  if (row > 0) {
    neighbour(cell(row - 1, column));
    if (column + 2 < 2 * columns_) neighbour(cell(row - 1, column + 2));
    if (column > 0) neighbour(cell(row - 1, column - 1));
  }
  for (std::size_t field = 0; field < hints_.fields; ++field)
    neighbour(hints_.vectors[(field * 2 * rows_ + row) * 2 * columns_ + column]);
  const auto around = [&](const auto &steps) {
    const int down = block.whole.vector.down >> 2, right = block.whole.vector.right >> 2;
    bool better = false;
    for (const auto &step : steps) better |= try_whole_pixels(block, down + step[0], right + step[1]);
    return better;
  };
  for (int moves = 0; moves < options_.reach && around(kHexagon);) ++moves;
  around(kSquare);
}

bool Search::try_vector(const Block &block, const Part &part, MotionVector predicted, int down,
                        int right, Found &found) const {
  if (!within(block, down, right)) return false;
  const MotionVector vector{std::int16_t(down), std::int16_t(right)};
  std::uint32_t cost = cost_of_bits(vector, predicted);
  for (std::size_t r = part.row; r < part.row + part.rows; ++r)
    for (std::size_t c = part.column; c < part.column + part.columns; ++c) {
      const HalfPixels::Pair pair =
          planes_.at(4 * std::ptrdiff_t(block.row * kBlock + 8 * r) + down,
                     4 * std::ptrdiff_t(block.column * kBlock + 8 * c) + right);
      cost += 16 * kernels_.satd(block.pixels.data() + 8 * (r * kBlock + c), pair.a, pair.b,
                                 planes_.whole().stride());
      if (cost >= found.cost) return false;
    }
  found = {vector, cost};
  return true;
}

// Along columns, then along rows from there: half of what a square takes. Twice each, which finds what
// a square finds but for some hundredths of a decibel.
void Search::refine(const Block &block, const Part &part, MotionVector predicted, int step,
                    Found &found) const {
  for (; step * options_.precision >= 4; step /= 2) {
    for (int round = 0; round < 2; ++round) {
      const MotionVector from = found.vector;
      for (const auto &moves : kLines) {
        const MotionVector middle = found.vector;
        for (const auto &move : moves)
          if (try_vector(block, part, predicted, middle.down + step * move[0],
                         middle.right + step * move[1], found))
            break;
      }
      if (found.vector == from) break;
    }
  }
}

// `chosen` and `split` are the whole block's, and change where a division costs less.
void Search::divide(const Block &block, const Found &whole, std::array<MotionVector, 4> &chosen,
              Split &split) const {
  const std::uint32_t bit = std::uint32_t(options_.bit_cost);
  std::uint32_t least = whole.cost + bit * kSplitBits[0];
  const auto attempt = [&](Split kind, const auto &parts, const auto &find) {
    std::uint32_t cost = bit * kSplitBits[std::size_t(kind)];
    for (const Part &part : parts) {
      const MotionVector around = predicted(block, part);
      Found found;
      find(part, around, found);
      fill(block, part, found.vector);
      cost += found.cost;
    }
    if (cost >= least) return;
    least = cost;
    split = kind;
    for (std::size_t q = 0; q < 4; ++q)
      chosen[q] = cell(2 * block.row + q / 2, 2 * block.column + q % 2);
  };
  const auto start = [&](const Part &part, MotionVector around, MotionVector vector, Found &found) {
    try_vector(block, part, around, vector.down, vector.right, found);
  };
  attempt(Split::quarters, kQuarters, [&](const Part &part, MotionVector around, Found &found) {
    start(part, around, whole.vector, found);
    const MotionVector other = block.quarters[2 * part.row + part.column].vector;
    if (other != whole.vector) start(part, around, other, found);
    refine(block, part, around, 4, found);
  });
  // Halves, from what their quarters found: seldom worth it where the quarters were not.
  if (split == Split::none) return;
  const std::array<MotionVector, 4> quarters = chosen;
  for (const Split kind : {Split::rows, Split::columns})
    attempt(kind, kHalves[std::size_t(kind) - 1],
            [&](const Part &part, MotionVector around, Found &found) {
              const MotionVector first = quarters[2 * part.row + part.column];
              const MotionVector second =
                  quarters[2 * (part.row + part.rows - 1) + part.column + part.columns - 1];
              start(part, around, whole.vector, found);
              if (first != whole.vector) start(part, around, first, found);
              if (second != whole.vector && second != first) start(part, around, second, found);
              refine(block, part, around, 1, found);
            });
}

void Search::block(std::size_t row, std::size_t column) const {
  Block block;
  block.row = row;
  block.column = column;
  const std::size_t y = row * kBlock, x = column * kBlock;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const std::uint8_t *const from = current_ + std::min(y + i, height_ - 1) * width_ + x;
    const std::size_t inside = std::min(kBlock, width_ - x);
    std::uint8_t *const to = block.pixels.data() + i * kBlock;
    std::copy_n(from, inside, to);
    std::fill(to + inside, to + kBlock, from[inside - 1]);
  }
  const auto bounds = [&](std::size_t place, std::size_t side, int &least, int &most) {
    const std::ptrdiff_t before = std::ptrdiff_t(place) + HalfPixels::kBefore;
    const std::ptrdiff_t behind = std::ptrdiff_t(side - place) + HalfPixels::kBehind;
    least = -4 * int(std::min(before, std::ptrdiff_t(options_.reach)));
    most = 4 * int(std::min(behind, std::ptrdiff_t(options_.reach)));
  };
  bounds(y, height_, block.least_down, block.most_down);
  bounds(x, width_, block.least_right, block.most_right);
  block.predicted = predicted(block, kWhole);
  search_whole_pixels(block);
  Found whole;
  try_vector(block, kWhole, block.predicted, block.whole.vector.down, block.whole.vector.right, whole);
  const MotionVector around = clamped(block, block.predicted);
  if (around != whole.vector)
    try_vector(block, kWhole, block.predicted, around.down, around.right, whole);
  refine(block, kWhole, block.predicted, 2, whole);
  Split split = Split::none;
  std::array<MotionVector, 4> chosen;
  chosen.fill(whole.vector);
  // Where nothing is left that a division could save.
  const std::uint32_t left = whole.cost - cost_of_bits(whole.vector, block.predicted);
  if (options_.splits && left > 4 * std::uint32_t(options_.bit_cost))
    divide(block, whole, chosen, split);
  for (std::size_t q = 0; q < 4; ++q) fill(block, kQuarters[q], chosen[q]);
  splits_[row * columns_ + column] = std::uint8_t(split);
}

void require(bool fits, const std::string &message) {
  if (!fits) throw InvalidInputError(message);
}

}  // namespace

void search_motion(const std::uint8_t *current, const std::uint8_t *reference, std::size_t height,
                   std::size_t width, const SearchOptions &options, const Hints &hints,
                   std::size_t threads, MotionVector *vectors, std::uint8_t *splits) {
  require(height > 0 && width > 0, "there must be a pixel at least");
  require(height <= kMostSide && width <= kMostSide, "sides must be at most " + std::to_string(kMostSide));
  require(options.reach >= 1 && options.reach <= kMostReach,
          "reach must be 1 to " + std::to_string(kMostReach));
  require(options.bit_cost >= 0 && options.bit_cost <= kMostBitCost,
          "bit_cost must be 0 to " + std::to_string(kMostBitCost));
  require(options.precision == 1 || options.precision == 2 || options.precision == 4,
          "precision must be 1, 2 or 4");
  const Search search(current, reference, height, width, options, hints, threads, vectors, splits);
  const std::size_t rows = blocks_along(height), columns = blocks_along(width);
  // Each row follows the one above two blocks behind. Tasks start in order, so that the row waited for
  // has always started; and searching a block allocates nothing, so that it always ends.
  const std::unique_ptr<std::atomic<std::size_t>[]> done(new std::atomic<std::size_t>[rows]);
  for (std::size_t row = 0; row < rows; ++row) done[row] = 0;
  run_tasks(rows, threads, [&](std::size_t row) {
    for (std::size_t column = 0; column < columns; ++column) {
      const std::size_t needed = std::min(column + 2, columns);
      while (row > 0 && done[row - 1].load(std::memory_order_acquire) < needed)
        std::this_thread::yield();
      search.block(row, column);
      done[row].store(column + 1, std::memory_order_release);
    }
  });
}

void luma_of(const std::uint8_t *rgb, std::size_t pixels, std::uint8_t *luma) {
  for (std::size_t i = 0; i < pixels; ++i)
    luma[i] = std::uint8_t((54u * rgb[i] + 183u * rgb[pixels + i] + 19u * rgb[2 * pixels + i] + 128u) >> 8);
}

}  // namespace kodec
