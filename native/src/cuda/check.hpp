// CUDA's status codes as exceptions.
#pragma once

#include <cuda_runtime.h>

#include "../errors.hpp"

namespace kodec::cuda {

// Throws DeviceError unless `status` is cudaSuccess.
void check(cudaError_t status);

}  // namespace kodec::cuda
