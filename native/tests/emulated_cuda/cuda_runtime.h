// In place of CUDA's header, for tests on machines without a device: what the kernels and their
// callers use, on the CPU. Kernels run block by block; a block's threads are fibers that run in a
// shuffled order from one collective operation to the next. A warp whose lanes are not all at the
// same operation is a failure, as are dead ends. Device memory is heap memory filled with rubbish, so
// that AddressSanitizer watches it; "asynchronous" calls are done at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#define __host__
#define __device__
#define __global__
#define __shared__

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint4 {
  unsigned x, y, z, w;
};

extern dim3 threadIdx, blockIdx, blockDim;

namespace emulation {

// What cudaDeviceGetAttribute reports.
extern int multiprocessors, shared_memory_limit;
// Of the order in which threads run.
extern std::uint32_t schedule;
extern unsigned long long kernels_run;

void run(dim3 grid, unsigned threads, std::size_t shared_bytes, const std::function<void()> &thread);

// Waits for all lanes of the warp; returns what each of them brought.
const std::uint64_t *exchange(const char *operation, std::uint32_t mask, std::uint64_t value);
void block_barrier();

}  // namespace emulation


inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const std::uint64_t *const all = emulation::exchange("ballot", mask, predicate != 0);
  unsigned bits = 0;
  for (int lane = 0; lane < 32; ++lane) bits |= unsigned(all[lane]) << lane;
  return bits;
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return T(emulation::exchange("shfl", mask, std::uint64_t(value))[lane & 31]);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
  const int lane = int(threadIdx.x % 32), from = lane - int(distance);
  return T(emulation::exchange("shfl_up", mask, std::uint64_t(value))[from < 0 ? lane : from]);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits) {
  const int lane = int(threadIdx.x % 32);
  return T(emulation::exchange("shfl_xor", mask, std::uint64_t(value))[lane ^ bits]);
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) { emulation::exchange("syncwarp", mask, 0); }
inline void __syncthreads() { emulation::block_barrier(); }

template <typename T>
T __ldg(const T *p) {
  return *p;
}
inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __clz(unsigned value) { return value == 0 ? 32 : __builtin_clz(value); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return unsigned(static_cast<unsigned long long>(a) * b >> 32);
}
template <typename T>
T atomicAdd(T *p, T value) {
  return std::exchange(*p, *p + value);
}
template <typename T>
T atomicMin(T *p, T value) {
  return std::exchange(*p, *p < value ? *p : value);
}
inline unsigned atomicOr(unsigned *p, unsigned value) { return std::exchange(*p, *p | value); }

using cudaStream_t = struct EmulatedStream *;
using cudaEvent_t = struct EmulatedEvent *;
using cudaMemPool_t = struct EmulatedPool *;
enum cudaError_t { cudaSuccess, cudaErrorMemoryAllocation };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount, cudaDevAttrMaxSharedMemoryPerBlockOptin };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaMemAllocationType { cudaMemAllocationTypePinned };
enum cudaMemLocationType { cudaMemLocationTypeDevice };
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold };
struct cudaMemPoolProps {
  cudaMemAllocationType allocType;
  struct {
    cudaMemLocationType type;
    int id;
  } location;
};
constexpr unsigned cudaEventDisableTiming = 2;

cudaError_t cudaGetLastError();
const char *cudaGetErrorString(cudaError_t status);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr which, int device);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *properties);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value);
cudaError_t cudaMallocFromPoolAsync(void **data, std::size_t size, cudaMemPool_t pool,
                                    cudaStream_t stream);
cudaError_t cudaFreeAsync(void *data, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *data, int value, std::size_t size, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void *target, const void *source, std::size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream);

template <typename Kernel>
cudaError_t cudaFuncSetAttribute(Kernel *, cudaFuncAttribute, int) {
  return cudaSuccess;
}

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

template <typename... Expected, typename... Given>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Expected...),
                               Given &&...arguments) {
  emulation::run(config->gridDim, config->blockDim.x, config->dynamicSmemBytes,
                 [&] { kernel(arguments...); });
  return cudaSuccess;
}
