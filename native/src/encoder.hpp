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

// Throws InvalidInputError unless these are what Encoder::finish takes.
void check_layout(std::int64_t segments, std::int64_t lanes);

// Of what a cost (see TableSet::cost) stands for.
inline std::uint64_t bytes_of(std::uint64_t cost) { return cost >> (kCostBits + 3); }

// The lanes for a segment of this cost.
int choose_lanes(std::uint64_t cost);

class Encoder {
 public:
  // Throws InvalidInputError if KODEC_SIMD is wrong.
  Encoder() : kernels_(kernels()) {}

  // Throws InvalidInputError, and is then as before.
  void add(const BlockInput &input, std::shared_ptr<const TableSet> tables);

  // Appends choices: indexes that the decoder computes too, that no symbol follows and that cost
  // nothing but their overrides. They enter the index checksum. Throws as `add` does.
  void choose(const ChoiceInput &input);

  // 0 chooses. Throws InvalidInputError for other values than 1..1024 segments, 1, 4, 8, 16, 32
  // lanes. Uses up to `threads` threads.
  Bytes finish(std::int64_t segments, std::int64_t lanes, std::size_t threads) const;

 private:
  std::vector<Part> parts_of(std::size_t segment, std::size_t segments) const;

  const Kernels &kernels_;
  std::vector<Block> blocks_;
};

}  // namespace kodec
