// All loops over grids, for the instruction set of the file that includes this.
#pragma once

#include "convolution_loops.hpp"
#include "grid_kernels.hpp"
#include "rate_loops.hpp"
#include "rounding_loops.hpp"
#include "upsampling_loops.hpp"

namespace kodec {
namespace {

constexpr GridKernels kAllLoops = {
    run_planes,
    differentiate_planes,
    rate_rows,
    convolve_rows,
    differentiate_rows,
    upsample_plane,
    differentiate_upsampled,
    filter_plane,
    differentiate_filtered,
    soft_round_values};

}  // namespace
}  // namespace kodec
