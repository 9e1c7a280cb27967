// What an input of the decoder's fuzz target means: a head of 16 bytes that chooses the tables and the
// blocks with their indexes, and a coder stream.
//
//     0      table set, one of a few
//     1      how the stream is repaired
//     2      number of blocks, which of them are choices, and bytes of an index
//     3..6   sizes of the blocks
//     7..15  indexes, a pattern that is repeated
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bytes.hpp"
#include "random_items.hpp"
#include "tables.hpp"

namespace kodec {

constexpr std::size_t kFuzzHead = 16;
constexpr std::size_t kFuzzTableSets = 24;

enum class Repair { kNothing, kChecksums, kChecksumsAndLengths };

struct FuzzInput {
  std::shared_ptr<const TableSet> tables;
  Repair repair;
  int index_bytes;
  std::vector<std::vector<std::uint16_t>> blocks;  // their indexes
  std::vector<bool> choices;                       // whether no symbols follow
  Bytes stream;
};

// Few enough to be made once, different enough to reach every way that symbols are found.
inline const std::shared_ptr<const TableSet> &fuzz_tables(std::size_t number) {
  static const auto all = [] {
    std::array<std::shared_ptr<const TableSet>, kFuzzTableSets> sets;
    for (std::size_t i = 0; i < sets.size(); ++i) {
      Random random(i);
      sets[i] = random_tables(random, i == 0 ? 300 : i % 3 == 0 ? 40 : 3);
    }
    return sets;
  }();
  return all[number % kFuzzTableSets];
}

// Small blocks mostly, and some of more symbols than a kernel is given at once.
inline std::size_t fuzz_block_size(std::uint8_t byte) {
  return byte < 240 ? byte % 64 : std::size_t(byte - 240) * 80;
}

// False if there are too few bytes.
inline bool parse_fuzz_input(const std::uint8_t *data, std::size_t bytes, FuzzInput &input) {
  if (bytes < kFuzzHead) return false;
  input.tables = fuzz_tables(data[0]);
  input.repair = data[1] % 4 == 0   ? Repair::kNothing
                 : data[1] % 4 == 1 ? Repair::kChecksums
                                    : Repair::kChecksumsAndLengths;
  input.index_bytes = 1 + (data[2] >> 7);
  input.blocks.assign(1 + data[2] % 4, {});
  std::size_t total = 0;
  for (std::size_t b = 0; b < input.blocks.size(); ++b) {
    input.choices.push_back((data[2] >> (2 + b) & 1) != 0);
    const std::size_t size = fuzz_block_size(data[3 + b]);
    input.blocks[b].reserve(size);
    for (std::size_t i = 0; i < size; ++i, ++total) {
      // Nine bytes, so that every lane meets every index. Now and then one names no table.
      const std::uint8_t byte = data[7 + total % 9];
      const std::size_t named = input.tables->size() + 1;
      std::size_t index = byte == 255 ? named : std::size_t(byte) * (named > 255 ? 2 : 1) % named;
      if (input.index_bytes == 1) index &= 255;
      input.blocks[b].push_back(std::uint16_t(index));
    }
  }
  input.stream.assign(data + kFuzzHead, data + bytes);
  return true;
}

}  // namespace kodec
