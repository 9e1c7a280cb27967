// A plane of 8-bit samples with its border repeated around it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace kodec {

class PaddedPlane {
 public:
  // Of the border, above and below, left and right.
  static constexpr std::ptrdiff_t kRows = 32, kColumns = 160;

  // All zeros.
  PaddedPlane(std::size_t height, std::size_t width)
      : stride_(std::ptrdiff_t(width) + 2 * kColumns),
        samples_((height + 2 * std::size_t(kRows)) * std::size_t(stride_)) {}

  // Of a plane of these sizes, contiguous.
  PaddedPlane(const std::uint8_t *plane, std::size_t height, std::size_t width)
      : PaddedPlane(height, width) {
    for (std::size_t y = 0; y < height; ++y) {
      std::uint8_t *const row = at(std::ptrdiff_t(y), 0);
      std::memcpy(row, plane + y * width, width);
      std::memset(row - kColumns, row[0], std::size_t(kColumns));
      std::memset(row + width, row[width - 1], std::size_t(kColumns));
    }
    const std::uint8_t *const first = at(0, -kColumns);
    const std::uint8_t *const last = at(std::ptrdiff_t(height) - 1, -kColumns);
    for (std::ptrdiff_t y = 1; y <= kRows; ++y) {
      std::memcpy(at(-y, -kColumns), first, std::size_t(stride_));
      std::memcpy(at(std::ptrdiff_t(height) - 1 + y, -kColumns), last, std::size_t(stride_));
    }
  }

  std::ptrdiff_t stride() const { return stride_; }
  std::uint8_t *at(std::ptrdiff_t y, std::ptrdiff_t x) {
    return samples_.data() + (y + kRows) * stride_ + x + kColumns;
  }
  const std::uint8_t *at(std::ptrdiff_t y, std::ptrdiff_t x) const {
    return samples_.data() + (y + kRows) * stride_ + x + kColumns;
  }

 private:
  std::ptrdiff_t stride_;
  std::vector<std::uint8_t> samples_;
};

}  // namespace kodec
