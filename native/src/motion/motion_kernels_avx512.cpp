// motion_kernels.hpp in AVX-512.
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "motion_kernels.hpp"

namespace kodec {
namespace {

constexpr int kLanes = 32;

#include "x86_sads.hpp"
#include "motion_loops.hpp"

}  // namespace

const MotionKernels kAvx512MotionKernels = {sads, satd, interpolate, add_weighted, divide, average};

}  // namespace kodec
