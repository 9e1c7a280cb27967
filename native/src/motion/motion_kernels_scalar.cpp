// motion_kernels.hpp in portable C++, in vectors that most processors have.
#include <cstdint>
#include <cstring>

#include "motion_kernels.hpp"

namespace kodec {
namespace {

constexpr int kLanes = 8;

void sads(const std::uint8_t *block, const std::uint8_t *reference, std::ptrdiff_t stride,
          std::uint32_t sums[4]) {
  for (int quarter = 0; quarter < 4; ++quarter) {
    const std::uint8_t *const a = block + (quarter / 2 * 8 * kBlock + quarter % 2 * 8);
    const std::uint8_t *const b = reference + (quarter / 2 * 8 * stride + quarter % 2 * 8);
    std::uint32_t sum = 0;
    for (int y = 0; y < 8; ++y)
      for (int x = 0; x < 8; ++x) {
        const int difference = a[y * int(kBlock) + x] - b[y * stride + x];
        sum += std::uint32_t(difference < 0 ? -difference : difference);
      }
    sums[quarter] = sum;
  }
}

#include "motion_loops.hpp"

}  // namespace

const MotionKernels kScalarMotionKernels = {sads, satd, interpolate, add_weighted, divide, average};

}  // namespace kodec
