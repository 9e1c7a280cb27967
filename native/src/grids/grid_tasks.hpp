// What tasks over grids have in common: the kernels to use, memory for each worker, partial sums.
#pragma once

#include <cstddef>
#include <vector>

#include "../layers/buffer.hpp"
#include "grid_kernels.hpp"

namespace kodec {

// Those of the instruction set that the coder's kernels use.
const GridKernels &grid_kernels();

inline std::size_t parts_of(std::size_t whole, std::size_t part) { return (whole + part - 1) / part; }

// Memory for each worker.
class Rooms {
 public:
  Rooms(std::size_t workers, std::size_t floats)
      : step_((floats + 15) / 16 * 16), buffer_(workers * step_) {}
  float *of(std::size_t worker) const { return buffer_.data() + worker * step_; }

 private:
  std::size_t step_;
  Buffer buffer_;
};

// Rows of partial sums, one for each part, added up in their order.
class PartialSums {
 public:
  PartialSums(std::size_t parts, std::size_t count)
      : parts_(parts), count_(count), buffer_(parts * count) {}
  float *of(std::size_t part) const { return buffer_.data() + part * count_; }
  void write(float *to) const {
    std::vector<double> sums(count_);
    for (std::size_t part = 0; part < parts_; ++part)
      for (std::size_t i = 0; i < count_; ++i) sums[i] += double(of(part)[i]);
    for (std::size_t i = 0; i < count_; ++i) to[i] = float(sums[i]);
  }

 private:
  std::size_t parts_, count_;
  Buffer buffer_;
};

}  // namespace kodec
