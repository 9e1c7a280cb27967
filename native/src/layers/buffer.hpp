// Memory for what layers make.
#pragma once

#include <cstddef>

namespace kodec {

// Uninitialised floats, aligned to a cache line. Throws std::bad_alloc.
//
// A picture's features are touched once or twice: with fresh memory for each, a third of a layer's
// time would go to page faults. So those of megabytes lie in huge pages where the system has these,
// and up to 256 MiB that are no longer needed are kept for the next. The system may have them back
// at any time (MADV_FREE).
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
