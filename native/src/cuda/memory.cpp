#include "memory.hpp"

#include <cuda_runtime.h>

#include <map>
#include <mutex>
#include <string>

#include "check.hpp"

namespace kodec::cuda {
namespace {

cudaStream_t handle(void *stream) { return static_cast<cudaStream_t>(stream); }

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

// What a device's pool keeps of what was freed. The device's default pool keeps nothing: it gives
// memory back whenever anybody waits, and asking the driver for more takes longer than coding.
constexpr std::uint64_t kKeptBytes = std::uint64_t(512) << 20;

cudaMemPool_t pool_of(int device) {
  // Never destroyed: when the process ends, the driver may be gone before.
  static auto &pools = *new std::map<int, cudaMemPool_t>;
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto known = pools.find(device);
  if (known != pools.end()) return known->second;
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  cudaMemPool_t pool;
  check(cudaMemPoolCreate(&pool, &properties));
  std::uint64_t kept = kKeptBytes;
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept));
  return pools[device] = pool;
}

}  // namespace

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // forgotten here, as the exception tells of it
  if (status == cudaErrorMemoryAllocation) throw DeviceError("the CUDA device is out of memory");
  throw DeviceError(std::string("CUDA: ") + cudaGetErrorString(status));
}

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

Timeline::Timeline(int device) : device_(device) {
  const int count = device_count();
  if (device < 0 || device >= count)
    throw InvalidInputError("there is no CUDA device " + std::to_string(device) + " (" +
                            std::to_string(count) + " found)");
  multiprocessors_ = attribute(cudaDevAttrMultiProcessorCount, device);
  shared_memory_ = std::size_t(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
}

void Timeline::move_to(std::uintptr_t stream) {
  void *const next = reinterpret_cast<void *>(stream);
  if (used_ && next != stream_) {
    const OnDevice on(device_);
    cudaEvent_t event;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    cudaError_t status = cudaEventRecord(event, handle(stream_));
    if (status == cudaSuccess) status = cudaStreamWaitEvent(handle(next), event, 0);
    cudaEventDestroy(event);
    check(status);
  }
  used_ = true;
  stream_ = next;
}

void Timeline::wait() const {
  const OnDevice on(device_);
  check(cudaStreamSynchronize(handle(stream_)));
}

void Timeline::wait_for_device() const {
  const OnDevice on(device_);
  check(cudaDeviceSynchronize());
}

OnDevice::OnDevice(int device) : device_(device) {
  check(cudaGetDevice(&before_));
  if (before_ != device) check(cudaSetDevice(device));
}

OnDevice::~OnDevice() {
  if (before_ != device_) cudaSetDevice(before_);
}

DeviceMemory::DeviceMemory(std::size_t size, const Timeline &timeline) : timeline_(&timeline) {
  const OnDevice on(timeline.device());
  // Never nothing, so that every pointer is one.
  check(cudaMallocFromPoolAsync(&data_, size > 0 ? size : 16, pool_of(timeline.device()),
                                handle(timeline.stream())));
}

DeviceMemory &DeviceMemory::operator=(DeviceMemory &&other) noexcept {
  if (this == &other) return *this;
  free();
  data_ = std::exchange(other.data_, nullptr);
  timeline_ = other.timeline_;
  return *this;
}

void DeviceMemory::free() noexcept {
  if (data_ == nullptr) return;
  try {
    const OnDevice on(timeline_->device());
    cudaFreeAsync(data_, handle(timeline_->stream()));
  } catch (const DeviceError &) {
    // The driver is gone, and the memory with it.
  }
  data_ = nullptr;
}

void DeviceMemory::fill(std::uint8_t value, std::size_t size) {
  const OnDevice on(timeline_->device());
  if (size > 0) check(cudaMemsetAsync(data_, value, size, handle(timeline_->stream())));
}

void DeviceMemory::upload(const void *source, std::size_t size) {
  const OnDevice on(timeline_->device());
  if (size > 0)
    check(cudaMemcpyAsync(data_, source, size, cudaMemcpyHostToDevice, handle(timeline_->stream())));
}

void DeviceMemory::download(void *target, std::size_t size) const {
  const OnDevice on(timeline_->device());
  if (size > 0)
    check(cudaMemcpyAsync(target, data_, size, cudaMemcpyDeviceToHost, handle(timeline_->stream())));
  timeline_->wait();
}

}  // namespace kodec::cuda
