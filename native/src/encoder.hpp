// Table rANS, encoding: blocks are collected, then written backwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bytes.hpp"
#include "stream.hpp"
#include "tables.hpp"

namespace kodec {

// A block as the caller has it: symbols int16 or int32, indexes uint8 or uint16.
struct BlockInput {
  const void *symbols;
  int symbol_bytes;
  const void *indexes;
  int index_bytes;
  std::size_t count;
  const std::uint32_t *overrides;
  std::size_t override_count;
};

class Encoder {
 public:
  // Throws InvalidInputError, and is then as before.
  void add(const BlockInput &input, std::shared_ptr<const TableSet> tables);

  // 0 chooses. Throws InvalidInputError for other values than 1..1024 segments, 1, 4, 8, 16, 32
  // lanes.
  Bytes finish(std::int64_t segments, std::int64_t lanes);

 private:
  struct Escape {
    std::size_t position;
    std::uint64_t value;
  };

  struct Block {
    std::shared_ptr<const TableSet> tables;
    std::size_t count = 0;
    std::unique_ptr<std::uint32_t[]> codes;    // raw bits << 24 | entry in the table set
    std::unique_ptr<std::uint16_t[]> indexes;
    std::vector<Escape> escapes;
    std::vector<std::uint32_t> overrides;
    std::uint64_t cost = 0;                    // in 2^-kCostBits bit
  };

  // The part of a block that falls to one segment.
  struct Part {
    const Block *block;
    std::size_t begin;
    std::size_t end;
  };

  template <typename Symbol, typename Index>
  static void translate(const Symbol *symbols, const Index *indexes, Block &block);
  std::vector<Part> parts_of(std::size_t segment, std::size_t segments) const;
  void write_segment(const std::vector<Part> &parts, std::size_t number, bool more, int lanes,
                     Bytes &headers, Bytes &bodies) const;

  std::vector<Block> blocks_;
};

}  // namespace kodec
