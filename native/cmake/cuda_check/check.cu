#include <cuda_runtime.h>

__global__ void kernel(int *out) { *out = __popc(__ballot_sync(0xFFFFFFFFu, threadIdx.x > 0)); }

cudaError_t run(int *out) {
  cudaLaunchConfig_t config{};
  config.blockDim = dim3(32);
  return cudaLaunchKernelEx(&config, kernel, out);
}
