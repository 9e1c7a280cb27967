// Symbols and indexes as the encoder keeps them until it writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

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

// Choices as the caller has them: indexes that no symbols follow.
struct ChoiceInput {
  const std::uint16_t *indexes;
  std::size_t count;
  const std::uint32_t *overrides;
  std::size_t override_count;
};

// A checked copy of a block, in as few bytes as its values need.
class Block {
 public:
  // Throws InvalidInputError.
  Block(const BlockInput &input, std::shared_ptr<const TableSet> tables, const Kernels &kernels);
  explicit Block(const ChoiceInput &input);

  std::size_t count() const { return count_; }
  // Whether it has symbols, and tables for them; choices have neither.
  bool coded() const { return tables_ != nullptr; }
  std::uint32_t highest_index() const { return highest_index_; }
  const TableSet &tables() const { return *tables_; }
  const std::vector<std::uint32_t> &overrides() const { return overrides_; }
  int symbol_bytes() const { return symbol_bytes_; }
  int index_bytes() const { return index_bytes_; }
  const void *symbols(std::size_t first) const {
    return symbols_.get() + first * std::size_t(symbol_bytes_);
  }
  const void *indexes(std::size_t first) const {
    return indexes_.get() + first * std::size_t(index_bytes_);
  }
  std::int32_t symbol(std::size_t i) const;
  std::uint16_t index(std::size_t i) const;

 private:
  void check_overrides() const;
  [[noreturn]] void refuse(const BlockInput &input) const;

  std::shared_ptr<const TableSet> tables_;
  std::size_t count_;
  std::uint32_t highest_index_ = 0;
  int symbol_bytes_ = 2, index_bytes_;
  std::unique_ptr<std::uint8_t[]> symbols_, indexes_;
  std::vector<std::uint32_t> overrides_;
};

// The part of a block that falls to one segment.
struct Part {
  const Block *block;
  std::size_t begin;
  std::size_t end;
};

// Those of the parts that have symbols.
std::vector<Part> coded_parts(const std::vector<Part> &parts);

// The information in the symbols of coded parts, in 2^-16 bit; of many symbols, an estimate from a sample.
// 0 only if all are skipped.
std::uint64_t cost_of(const std::vector<Part> &parts);

}  // namespace kodec
