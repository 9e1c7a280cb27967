// Random tables, blocks and streams, for the native tests and for the seeds of the fuzz targets: the
// same on every machine, so nothing of a library whose last bits differ.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "encoder.hpp"
#include "tables.hpp"

namespace kodec {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  // 0 to below - 1.
  std::uint32_t below(std::uint32_t below) { return std::uint32_t(engine_() % below); }
  template <typename T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[below(std::uint32_t(values.size()))];
  }
  // Bell-shaped, mean 0 and variance 1, at most 3.5: a sum of four 16-bit numbers.
  double normal() {
    const std::uint64_t bits = engine_();
    double sum = -2 * 65535.0;
    for (int shift = 0; shift < 64; shift += 16) sum += double(bits >> shift & 65535);
    return sum * (1.7320508075688772 / 65536);
  }

 private:
  std::mt19937_64 engine_;
};

// One to `most` tables of all shapes: bell-shaped, or as steep as a table can be.
inline std::shared_ptr<const TableSet> random_tables(Random &random, std::uint32_t most) {
  const std::uint32_t count = 1 + random.below(most);
  std::vector<std::uint16_t> frequencies, sizes;
  std::vector<std::int32_t> offsets;
  std::vector<std::uint8_t> shifts;
  const bool all_direct = random.below(2) == 0;
  for (std::uint32_t t = 0; t < count; ++t) {
    const int size = random.one_of({2, 3, 17, 100, 255, 256});
    const int shift = all_direct ? 0 : random.one_of({0, 0, 1, 2, 4, 5, 8});
    const std::int32_t highest = std::numeric_limits<std::int32_t>::max() - ((size - 1) << shift);
    const std::int32_t centred = -((size - 1) << shift) / 2;
    const std::int32_t offset =
        all_direct ? centred
                   : random.one_of({centred, centred, 0, -1, -100,
                                    std::numeric_limits<std::int32_t>::min(), highest});
    const double ratio = std::max(0.0, 1 - 1 / (random.one_of({0.02, 0.2, 5.0}) * size));
    std::vector<double> falling{1}, weights;
    for (int distance = 1; distance < size; ++distance) falling.push_back(falling.back() * ratio);
    for (int code = 0; code < size; ++code)
      weights.push_back(falling[std::size_t(std::abs(code - (size - 2) / 2))]);
    double sum = 0;
    for (double w : weights) sum += w;
    std::vector<std::uint32_t> integers;
    std::uint32_t total = 0;
    for (double w : weights) {
      integers.push_back(1 + std::uint32_t(w / sum * double(kTotal - std::uint32_t(size))));
      total += integers.back();
    }
    *std::max_element(integers.begin(), integers.end()) += kTotal - total;
    for (std::uint32_t f : integers) frequencies.push_back(std::uint16_t(f));
    sizes.push_back(std::uint16_t(size));
    offsets.push_back(offset);
    shifts.push_back(std::uint8_t(shift));
  }
  return std::make_shared<TableSet>(frequencies.data(), frequencies.size(), sizes.data(),
                                    offsets.data(), shifts.data(), count);
}

// Around the middle of its table, whose width `spread` multiplies; `wild` in a thousand escape far.
inline std::int32_t random_symbol(Random &random, const TableInfo &info, double spread,
                                  std::uint32_t wild) {
  const double width = double(info.escape << info.shift);
  double value = info.offset + width / 2 + random.normal() * (spread * width + 0.3);
  if (wild > 0 && random.below(1000) < wild)
    value = random.one_of({-2147483648.0, 2147483647.0, -32769.0, 32768.0});
  return std::int32_t(std::clamp(std::nearbyint(value), -2147483648.0, 2147483647.0));
}

struct RandomBlock {
  std::shared_ptr<const TableSet> tables;  // none: choices
  std::vector<std::int32_t> symbols;
  std::vector<std::uint16_t> indexes;  // the encoder's
  std::vector<std::uint16_t> theirs;   // the decoder's: others where there are overrides
  std::vector<std::uint32_t> overrides;
};

inline RandomBlock random_block(Random &random, std::shared_ptr<const TableSet> tables,
                                std::uint32_t count) {
  RandomBlock block;
  const std::uint32_t indexes = std::uint32_t(tables->size()) + 1;
  const double spread = random.one_of({0.0, 0.02, 0.3, 1.0, 3.0, 1e6});
  const std::uint32_t wild = random.one_of({0u, 0u, 1u, 30u});
  const std::uint32_t overridden = random.one_of({0u, 0u, 2u, 100u});
  const std::uint32_t highest = 1 + random.below(indexes);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t index = random.below(highest);
    const std::int32_t symbol = random_symbol(random, tables->infos()[index], spread, wild);
    block.symbols.push_back(index == 0 ? 0 : symbol);
    block.indexes.push_back(std::uint16_t(index));
    block.theirs.push_back(std::uint16_t(index));
    if (overridden > 0 && random.below(1000) < overridden) {
      block.overrides.push_back(i);
      block.theirs.back() = std::uint16_t(random.below(indexes));
    }
  }
  block.tables = std::move(tables);
  return block;
}

inline RandomBlock random_choices(Random &random, std::uint32_t most) {
  RandomBlock block;
  for (std::uint32_t i = random.below(most + 1); i > 0; --i) {
    const bool overridden = random.below(50) == 0;
    if (overridden) block.overrides.push_back(std::uint32_t(block.indexes.size()));
    block.indexes.push_back(std::uint16_t(random.below(1 << 16)));
    block.theirs.push_back(std::uint16_t(block.indexes.back() + (overridden ? 1 : 0)));
  }
  return block;
}

// Adds a block to an encoder, in the widest or the narrowest types.
inline void add_block(Encoder &encoder, const RandomBlock &block, bool narrow) {
  if (!block.tables) {
    encoder.choose({block.indexes.data(), block.indexes.size(), block.overrides.data(),
                    block.overrides.size()});
    return;
  }
  std::vector<std::uint8_t> bytes(block.indexes.begin(), block.indexes.end());
  const bool byte_indexes = narrow && block.tables->size() < 256;
  std::vector<std::int16_t> words(block.symbols.begin(), block.symbols.end());
  const bool word_symbols = narrow && std::equal(words.begin(), words.end(), block.symbols.begin());
  encoder.add({word_symbols ? static_cast<const void *>(words.data()) : block.symbols.data(),
               word_symbols ? 2 : 4,
               byte_indexes ? static_cast<const void *>(bytes.data()) : block.indexes.data(),
               byte_indexes ? 1 : 2, block.symbols.size(), block.overrides.data(),
               block.overrides.size()},
              block.tables);
}

}  // namespace kodec
