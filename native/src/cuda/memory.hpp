// A device's memory, and the order in which it is used. No CUDA headers, so that the bindings need
// none. Failures are DeviceErrors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kodec::cuda {

// Devices that can be used; 0 where there is no driver.
int device_count();

// The order of one coder's work on one device: that of its calls, whatever stream each names.
class Timeline {
 public:
  // Throws InvalidInputError if there is no such device.
  explicit Timeline(int device);

  int device() const { return device_; }
  void *stream() const { return stream_; }
  // Further work goes to this stream (a cudaStream_t as an integer; 0 is the default stream).
  void move_to(std::uintptr_t stream);
  // Waits for all work so far.
  void wait() const;
  // Waits for all work on the device.
  void wait_for_device() const;
  int multiprocessors() const { return multiprocessors_; }
  // Bytes of shared memory that a block of threads can have.
  std::size_t shared_memory() const { return shared_memory_; }

 private:
  int device_;
  int multiprocessors_ = 1;
  std::size_t shared_memory_ = 0;
  bool used_ = false;
  void *stream_ = nullptr;
};

// Makes a device the thread's current one for a while.
class OnDevice {
 public:
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice &) = delete;
  OnDevice &operator=(const OnDevice &) = delete;

 private:
  int device_, before_;
};

// Memory that is allocated and freed in a timeline's order; the timeline must outlive it.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(std::size_t size, const Timeline &timeline);
  DeviceMemory(DeviceMemory &&other) noexcept { *this = std::move(other); }
  DeviceMemory &operator=(DeviceMemory &&other) noexcept;
  ~DeviceMemory() { free(); }

  void *data() const { return data_; }
  std::uint8_t *bytes() const { return static_cast<std::uint8_t *>(data_); }

  // Sets bytes.
  void fill(std::uint8_t value, std::size_t size);
  void upload(const void *source, std::size_t size);
  // Waits for the data.
  void download(void *target, std::size_t size) const;

  // A copy of `values` on the device.
  template <typename T>
  static DeviceMemory of(const std::vector<T> &values, const Timeline &timeline) {
    DeviceMemory memory(values.size() * sizeof(T), timeline);
    memory.upload(values.data(), values.size() * sizeof(T));
    return memory;
  }
  template <typename T>
  std::vector<T> fetch(std::size_t count) const {
    std::vector<T> values(count);
    download(values.data(), count * sizeof(T));
    return values;
  }

 private:
  void free() noexcept;

  void *data_ = nullptr;
  const Timeline *timeline_ = nullptr;
};

}  // namespace kodec::cuda
