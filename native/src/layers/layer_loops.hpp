// All loops of the layers, as one instruction set has them.
#pragma once

#include "activation_loops.hpp"
#include "block_loops.hpp"
#include "minimal_filtering_loops.hpp"
#include "tap_loops.hpp"

namespace kodec {
namespace {

constexpr LayerKernels layers_of(const char *name) {
  return {name,          convolve_part,    normalise_positions, see_filters,
          filter_tiles,  see_for_gradient, add_gradient,        make_gradient,
          gelu_positions, gelu_gradient_positions, filter_strip};
}

}  // namespace
}  // namespace kodec
