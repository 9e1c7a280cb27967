// motion_kernels.hpp in AVX2.
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "motion_kernels.hpp"

namespace kodec {
namespace {

constexpr int kLanes = 16;

#include "x86_sads.hpp"
#include "motion_loops.hpp"

}  // namespace

const MotionKernels kAvx2MotionKernels = {sads, satd, interpolate, add_weighted, divide, average};

}  // namespace kodec
