// front_kernels.hpp in AVX2.
#include <cstdint>

#include "front_kernels.hpp"

namespace kodec {
namespace {

constexpr int kLanes = 4;
constexpr int kOutputsOfFour = 2;  // at once, where four vectors of each are

#include "front_loops.hpp"

}  // namespace

const FrontKernels kAvx2FrontKernels = {layer};

}  // namespace kodec
