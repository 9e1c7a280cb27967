// front_kernels.hpp in AVX-512.
#include <cstdint>

#include "front_kernels.hpp"

namespace kodec {
namespace {

constexpr int kLanes = 8;
constexpr int kOutputsOfFour = 4;  // at once, where four vectors of each are

#include "front_loops.hpp"

}  // namespace

const FrontKernels kAvx512FrontKernels = {layer};

}  // namespace kodec
