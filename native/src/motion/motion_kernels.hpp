// The inner loops of motion search and compensation. All in integers, so that every instruction set
// gives the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kodec {

// Blocks of luma, whose rows lie 16 apart whatever their width.
constexpr std::size_t kBlock = 16;
// Values that kernels may read, and write, beyond the width they are asked for.
constexpr std::size_t kExcess = 31;
// Rows at most of one call of `interpolate`.
constexpr std::size_t kMostRows = 64;
// The filters' taps reach so far, before and behind.
constexpr std::ptrdiff_t kTapsBefore = 3, kTapsBehind = 4;

struct MotionKernels {
  // Sums of absolute differences of a 16x16 block's four quarters, row by row.
  void (*sads)(const std::uint8_t *block, const std::uint8_t *reference, std::ptrdiff_t stride,
               std::uint32_t sums[4]);

  // Of 8x8 pixels of a block, less the mean of a and b (of one stride), rounded up: the sum of
  // magnitudes of the orthonormal Hadamard transform.
  std::uint32_t (*satd)(const std::uint8_t *block, const std::uint8_t *a, const std::uint8_t *b,
                        std::ptrdiff_t stride);

  // Pixels `down` and `right` quarters (0..3) below and right of the source's: the luma filters of H.265
  // (2013), along rows and then columns, rounded once. Up to kExcess more columns may be read and written.
  void (*interpolate)(const std::uint8_t *source, std::ptrdiff_t stride, std::uint8_t *out,
                      std::ptrdiff_t out_stride, std::size_t width, std::size_t height, int down,
                      int right);

  // sums += weights * values; the sums stay below 2^16.
  void (*add_weighted)(const std::uint8_t *values, const std::uint16_t *weights, std::size_t count,
                       std::uint16_t *sums);
  // 256ths, rounded.
  void (*divide)(const std::uint16_t *sums, std::size_t count, std::uint8_t *out);

  // Means, rounded up.
  void (*average)(const std::uint8_t *a, const std::uint8_t *b, std::size_t count, std::uint8_t *out);
};

extern const MotionKernels kScalarMotionKernels;
#if defined(KODEC_X86_KERNELS)
extern const MotionKernels kAvx2MotionKernels;
extern const MotionKernels kAvx512MotionKernels;
#endif

// Those that go with kernels(). Throws as it does.
const MotionKernels &motion_kernels();

}  // namespace kodec
