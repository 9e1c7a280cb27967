// Table rANS, encoding: blocks are collected, then written backwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "block.hpp"
#include "bytes.hpp"
#include "stream.hpp"

namespace kodec {

class Encoder {
 public:
  // Throws InvalidInputError if KODEC_SIMD is wrong.
  Encoder() : kernels_(kernels()) {}

  // Throws InvalidInputError, and is then as before.
  void add(const BlockInput &input, std::shared_ptr<const TableSet> tables);

  // 0 chooses. Throws InvalidInputError for other values than 1..1024 segments, 1, 4, 8, 16, 32
  // lanes. Uses up to `threads` threads.
  Bytes finish(std::int64_t segments, std::int64_t lanes, std::size_t threads) const;

 private:
  std::vector<Part> parts_of(std::size_t segment, std::size_t segments) const;

  const Kernels &kernels_;
  std::vector<Block> blocks_;
};

}  // namespace kodec
