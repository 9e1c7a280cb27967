#include "compensation.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "../errors.hpp"
#include "../parallel.hpp"
#include "padded_plane.hpp"

namespace kodec {
namespace {

// Columns predicted at once at most.
constexpr std::size_t kMostPiece = 96;
static_assert(PaddedPlane::kColumns >= kMostPiece + 8 + kTapsBehind + kExcess, "pieces beyond the border");
static_assert(PaddedPlane::kRows >= std::ptrdiff_t(kBlock) + kTapsBehind, "pieces beyond the border");

// Sixteenths, which rise over a cell as a raised cosine; from the end they are what is missing to 16.
constexpr std::array<std::uint16_t, kBlock> kRising8 = {0, 1, 4, 6, 10, 12, 15, 16};
constexpr std::array<std::uint16_t, kBlock> kRising16 = {0, 0,  1,  2,  3,  5,  6,  7,
                                                         9, 10, 11, 13, 14, 15, 16, 16};

class Compensation {
 public:
  Compensation(const Planes &planes, const MotionVector *vectors, std::size_t cell, bool overlap)
      : kernels_(motion_kernels()),
        planes_(planes),
        vectors_(vectors),
        cell_(cell),
        overlap_(overlap),
        rows_((planes.height + cell - 1) / cell),
        columns_((planes.width + cell - 1) / cell),
        row_step_(blocks_along(planes.width) * (kBlock / cell)),
        rising_(cell == 8 ? kRising8 : kRising16) {}

  std::size_t bands() const { return rows_ + overlap_; }

  // A cell's rows; where cells overlap, those from the middle of one to the middle of the next.
  void band(const PaddedPlane &reference, std::size_t number, std::uint8_t *out) const {
    if (overlap_)
      overlapped_band(reference, number, out);
    else
      each_run(number, [&](std::size_t first, std::size_t last) {
        std::uint8_t piece[kBlock * kStride];
        const std::size_t y = number * cell_, x = first * cell_;
        const std::size_t height = std::min(cell_, planes_.height - y);
        const std::size_t width = std::min(last * cell_, planes_.width) - x;
        predict(reference, vector_at(number, first), y, x, height, width, piece);
        for (std::size_t row = 0; row < height; ++row)
          std::copy_n(piece + row * kStride, width, out + (y + row) * planes_.width + x);
      });
  }

 private:
  static constexpr std::size_t kStride = kMostPiece + kExcess + 1;

  MotionVector vector_at(std::size_t row, std::size_t column) const {
    return vectors_[row * row_step_ + column];
  }

  // Cells of a row side by side that have one vector, as many as a piece takes with what overlaps.
  template <typename Work>
  void each_run(std::size_t row, const Work &work) const {
    for (std::size_t first = 0, last; first < columns_; first = last) {
      for (last = first + 1; last < columns_ && (last - first + 2) * cell_ <= kMostPiece; ++last)
        if (vector_at(row, last) != vector_at(row, first)) break;
      work(first, last);
    }
  }

  // The samples that a vector brings to (y, x). Where all of them, with what taps read, are the border's,
  // farther makes no difference.
  void predict(const PaddedPlane &reference, MotionVector vector, std::size_t y, std::size_t x,
               std::size_t height, std::size_t width, std::uint8_t *out) const {
    const auto start = [](std::size_t place, int quarters, std::size_t extent, std::size_t side) {
      const std::ptrdiff_t whole = std::ptrdiff_t(place) + (quarters >> 2);
      return std::clamp(whole, -std::ptrdiff_t(extent) - kTapsBehind, std::ptrdiff_t(side) + kTapsBefore);
    };
    kernels_.interpolate(reference.at(start(y, vector.down, height, planes_.height),
                                      start(x, vector.right, width, planes_.width)),
                         reference.stride(), out, kStride, width, height, vector.down & 3,
                         vector.right & 3);
  }

  void overlapped_band(const PaddedPlane &reference, std::size_t number, std::uint8_t *out) const {
    const std::size_t half = cell_ / 2;
    const std::size_t from = number == 0 ? 0 : number * cell_ - half;
    const std::size_t to = std::min(number * cell_ + half, planes_.height);
    if (from >= to) return;
    const std::size_t height = to - from;
    std::vector<std::uint16_t> sums(height * planes_.width);
    const std::size_t skipped = from + half - number * cell_;  // weights of rows above the picture
    const bool above = number > 0, below = number < rows_;
    for (const bool lower : {false, true}) {
      if (!(lower ? below : above)) continue;
      std::array<std::uint16_t, kBlock> weights{};
      for (std::size_t i = 0; i < height; ++i) {
        const std::uint16_t rising = rising_[skipped + i];
        weights[i] = above && below ? std::uint16_t(lower ? rising : 16 - rising) : 16;
      }
      const std::size_t row = lower ? number : number - 1;
      each_run(row, [&](std::size_t first, std::size_t last) {
        add_run(reference, row, first, last, from, height, weights.data(), sums.data());
      });
    }
    kernels_.divide(sums.data(), sums.size(), out + from * planes_.width);
  }

  void add_run(const PaddedPlane &reference, std::size_t row, std::size_t first, std::size_t last,
               std::size_t from, std::size_t height, const std::uint16_t *row_weights,
               std::uint16_t *sums) const {
    const std::size_t half = cell_ / 2;
    const bool rises = first > 0, falls = last < columns_;
    const std::size_t left = rises ? first * cell_ - half : 0;
    const std::size_t right = falls ? std::min(last * cell_ + half, planes_.width) : planes_.width;
    const std::size_t width = right - left;
    std::uint8_t piece[kBlock * kStride];
    predict(reference, vector_at(row, first), from, left, height, width, piece);
    std::array<std::uint16_t, kMostPiece> weights, scaled;
    weights.fill(16);
    if (rises) std::copy_n(rising_.begin(), std::min(cell_, width), weights.begin());
    if (falls)
      for (std::size_t x = last * cell_ - half; x < right; ++x)
        weights[x - left] = std::uint16_t(16 - rising_[x + half - last * cell_]);
    for (std::size_t y = 0; y < height; ++y) {
      if (row_weights[y] == 0) continue;
      for (std::size_t x = 0; x < width; ++x) scaled[x] = std::uint16_t(weights[x] * row_weights[y]);
      kernels_.add_weighted(piece + y * kStride, scaled.data(), width,
                            sums + y * planes_.width + left);
    }
  }

  const MotionKernels &kernels_;
  const Planes planes_;
  const MotionVector *const vectors_;
  const std::size_t cell_;
  const bool overlap_;
  const std::size_t rows_, columns_, row_step_;  // cells that have pixels; vectors of a row
  const std::array<std::uint16_t, kBlock> &rising_;
};

}  // namespace

void compensate(const std::uint8_t *reference, const Planes &planes, const MotionVector *vectors,
                std::size_t cell, bool overlap, std::size_t threads, std::uint8_t *out) {
  if (planes.count < 1 || planes.height < 1 || planes.width < 1)
    throw InvalidInputError("there must be a plane and a pixel at least");
  if (planes.height > kMostSide || planes.width > kMostSide)
    throw InvalidInputError("sides must be at most " + std::to_string(kMostSide));
  if (cell != 8 && cell != 16) throw InvalidInputError("cell must be 8 or 16");
  const Compensation compensation(planes, vectors, cell, overlap);
  const std::size_t pixels = planes.height * planes.width;
  for (std::size_t plane = 0; plane < planes.count; ++plane) {
    const PaddedPlane padded(reference + plane * pixels, planes.height, planes.width);
    run_tasks(compensation.bands(), threads, [&](std::size_t number) {
      compensation.band(padded, number, out + plane * pixels);
    });
  }
}

}  // namespace kodec
