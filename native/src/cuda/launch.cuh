// Launching a kernel in a timeline's order.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "check.hpp"
#include "memory.hpp"

namespace kodec::cuda {

// The timeline's device must be the current one (OnDevice).
template <typename Call>
void launch(void (*kernel)(Call), dim3 grid, unsigned threads, std::size_t shared_memory,
            const Timeline &timeline, const Call &call) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_memory;
  config.stream = static_cast<cudaStream_t>(timeline.stream());
  check(cudaLaunchKernelEx(&config, kernel, call));
}

}  // namespace kodec::cuda
