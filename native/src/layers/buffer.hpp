// Memory for what layers make.
#pragma once

#include <cstddef>

namespace kodec {

// Bytes of buffers that are no longer needed and kept for the next.
constexpr std::size_t kMostFreedKept = std::size_t(256) << 20;

// Keep no more than so many from here on; what was the limit before. Each module has its own.
std::size_t keep_freed(std::size_t bytes);

// Uninitialised floats, aligned to a cache line. Throws std::bad_alloc.
//
// A picture's features are touched once or twice: with fresh memory for each, a third of a layer's
// time would go to page faults. So those of megabytes lie in huge pages where the system has these,
// and some that are no longer needed are kept for the next. The system may have them back at any time
// (MADV_FREE), but counts them as the process's until then.
class Buffer {
 public:
  explicit Buffer(std::size_t floats);
  ~Buffer();
  Buffer(Buffer &&other) noexcept : data_(other.data_), mapped_(other.mapped_) {
    other.data_ = nullptr;
    other.mapped_ = 0;
  }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  Buffer &operator=(Buffer &&) = delete;

  float *data() const { return data_; }

 private:
  float *data_;
  std::size_t mapped_;  // bytes from the system, or 0 of the heap
};

}  // namespace kodec
