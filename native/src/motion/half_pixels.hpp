// A reference to search in: its pixels, and those half a pixel below, right, and both.
#pragma once

#include <optional>

#include "../parallel.hpp"
#include "motion_kernels.hpp"
#include "padded_plane.hpp"

namespace kodec {

class HalfPixels {
 public:
  // Blocks may lie so far beyond the border: what is farther out looks the same.
  static constexpr std::ptrdiff_t kBefore = kBlock + 8, kBehind = 8;

  HalfPixels(const MotionKernels &kernels, const std::uint8_t *plane, std::size_t height,
             std::size_t width, bool halves, std::size_t threads)
      : whole_(plane, height, width) {
    if (!halves) return;
    for (std::optional<PaddedPlane> &half : halves_) half.emplace(height, width);
    constexpr std::ptrdiff_t kAround = kBefore + 1;
    const std::size_t rows = height + 2 * kAround, columns = width + 2 * kAround;
    run_tasks((rows + kStripe - 1) / kStripe, threads, [&](std::size_t stripe) {
      const std::size_t first = stripe * kStripe;
      const std::ptrdiff_t y = std::ptrdiff_t(first) - kAround;
      for (int half = 1; half < 4; ++half) {
        PaddedPlane &out = *halves_[half - 1];
        kernels.interpolate(whole_.at(y, -kAround), whole_.stride(), out.at(y, -kAround), out.stride(),
                            columns, std::min(kStripe, rows - first), half & 2, half << 1 & 2);
      }
    });
  }

  const PaddedPlane &whole() const { return whole_; }

  // Two samples of the planes whose mean is that at (y, x), in quarters of a pixel: for odd places those
  // on both sides, of which neither is a whole pixel where both places are odd. The same one twice
  // where none has to be between. Close to what `interpolate` gives, and much quicker.
  struct Pair {
    const std::uint8_t *a, *b;
  };
  Pair at(std::ptrdiff_t y, std::ptrdiff_t x) const {
    const std::ptrdiff_t upper = y >> 1, left = x >> 1, lower = (y + 1) >> 1, right = (x + 1) >> 1;
    if (!(y & 1) || !(x & 1) || ((upper ^ left) & 1)) return {half(upper, left), half(lower, right)};
    return {half(upper, right), half(lower, left)};
  }

 private:
  static constexpr std::size_t kStripe = 16;
  static_assert(kStripe <= kMostRows);
  static_assert(PaddedPlane::kRows >= kBefore + 1 + kTapsBehind, "rows around");

  // The sample at (y, x), in halves of a pixel.
  const std::uint8_t *half(std::ptrdiff_t y, std::ptrdiff_t x) const {
    const std::ptrdiff_t number = (y & 1) * 2 + (x & 1);
    return (number == 0 ? whole_ : *halves_[number - 1]).at(y >> 1, x >> 1);
  }

  PaddedPlane whole_;
  std::optional<PaddedPlane> halves_[3];
};

}  // namespace kodec
