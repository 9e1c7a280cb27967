// Fuzz target: any tables and any blocks into the encoder. What is wrong must be refused, what is
// accepted must give the same stream from every kernel that this machine runs, and come back from it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "available_kernels.hpp"
#include "decoder.hpp"
#include "encoder.hpp"
#include "stream.hpp"

namespace {

using namespace kodec;

// The input, from its first byte to its last and then zeros.
class Choices {
 public:
  Choices(const std::uint8_t *data, std::size_t size) : data_(data), size_(size) {}
  std::uint8_t byte() { return at_ < size_ ? data_[at_++] : 0; }
  std::uint32_t integer() {
    const std::uint32_t low = byte(), second = byte(), third = byte(), high = byte();
    return low | second << 8 | third << 16 | high << 24;
  }
  bool left() const { return at_ < size_; }

 private:
  const std::uint8_t *data_;
  std::size_t size_, at_ = 0;
};

void require(bool condition, const char *what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Whether `work` is refused.
template <typename Work>
bool refuses(Work work) {
  try {
    work();
  } catch (const InvalidInputError &) {
    return true;
  }
  return false;
}

// One to four tables; null if something is wrong with them, which TableSet must notice.
std::shared_ptr<const TableSet> choose_tables(Choices &choices) {
  const std::uint8_t kind = choices.byte();
  const std::size_t count = 1 + kind % 4;
  std::vector<std::uint16_t> frequencies, sizes;
  std::vector<std::int32_t> offsets;
  std::vector<std::uint8_t> shifts;
  bool valid = true;
  for (std::size_t t = 0; t < count; ++t) {
    const std::size_t size = std::size_t(choices.byte()) + 1;
    const std::uint8_t shift = kind & 4 ? 0 : choices.byte() % 10;
    const std::int32_t offset = kind & 8 ? -std::int32_t(choices.byte()) : std::int32_t(choices.integer());
    const std::uint8_t steepness = choices.byte();
    valid = valid && size >= 2 && shift <= 8 &&
            offset + (std::int64_t(size - 1) << shift) <= std::numeric_limits<std::int32_t>::max();
    std::vector<std::uint32_t> table(size, 1);
    std::uint32_t room = kTotal - std::uint32_t(size);
    for (std::size_t code = (size - 1) / 2; room > 0; code = (code + 1) % size) {
      const std::uint32_t more = std::max(1u, room * steepness / 256);
      table[code] += more;
      room -= more;
    }
    if (kind & 128 && t + 1 == count) {
      const std::uint8_t wrong = choices.byte();
      table[wrong % size] += wrong;
      table[(wrong + 1) % size] -= wrong & 64 ? wrong : 0;
      std::uint64_t sum = 0;
      for (std::uint32_t f : table) {
        valid = valid && f >= 1 && f <= kTotal;
        sum += f;
      }
      valid = valid && sum == kTotal;
    }
    for (std::uint32_t f : table) frequencies.push_back(std::uint16_t(std::min(f, 65535u)));
    sizes.push_back(std::uint16_t(size));
    offsets.push_back(offset);
    shifts.push_back(shift);
  }
  std::shared_ptr<const TableSet> tables;
  const bool refused = refuses([&] {
    tables = std::make_shared<TableSet>(frequencies.data(), frequencies.size(), sizes.data(),
                                        offsets.data(), shifts.data(), count);
  });
  require(refused != valid, valid ? "good tables were refused" : "bad tables were accepted");
  return tables;
}

struct Chosen {
  std::shared_ptr<const TableSet> tables;
  std::vector<std::int32_t> symbols;
  std::vector<std::int16_t> narrow;
  std::vector<std::uint16_t> indexes;
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint32_t> overrides;
  bool narrow_symbols, byte_indexes, valid = true, choices = false;

  BlockInput input() const {
    return {narrow_symbols ? static_cast<const void *>(narrow.data()) : symbols.data(),
            narrow_symbols ? 2 : 4,
            byte_indexes ? static_cast<const void *>(bytes.data()) : indexes.data(),
            byte_indexes ? 1 : 2, symbols.size(), overrides.data(), overrides.size()};
  }
};

// A pattern of a few symbols, repeated to the block's size.
Chosen choose_block(Choices &choices, std::shared_ptr<const TableSet> tables) {
  Chosen block;
  const std::uint8_t kind = choices.byte(), size = choices.byte();
  const std::size_t count = kind & 64 ? std::size_t(size) * 9 : size;
  const std::size_t pattern = 1 + choices.byte() % 32;
  std::vector<std::int32_t> symbols;
  std::vector<std::uint16_t> indexes;
  for (std::size_t i = 0; i < pattern; ++i) {
    const std::uint8_t chosen = choices.byte();
    const std::uint16_t index =
        chosen == 255 ? std::uint16_t(tables->size() + 1) : std::uint16_t(chosen % (tables->size() + 1));
    const TableInfo &info = tables->infos()[std::min<std::size_t>(index, tables->size())];
    const std::uint8_t where = choices.byte();
    std::int32_t symbol;
    if (where == 255)
      symbol = std::int32_t(choices.integer());
    else if (where == 254)
      symbol = choices.byte() & 1 ? std::numeric_limits<std::int32_t>::min()
                                  : std::numeric_limits<std::int32_t>::max();
    else
      symbol = std::int32_t(std::uint32_t(info.offset) + (std::uint32_t(where) << info.shift) + chosen % 3);
    indexes.push_back(index);
    symbols.push_back(index == 0 && where < 250 ? 0 : symbol);
  }
  block.narrow_symbols = true;
  block.byte_indexes = kind & 1;
  block.choices = kind & 32;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t index = indexes[i % pattern];
    const std::int32_t symbol = symbols[i % pattern];
    block.symbols.push_back(symbol);
    block.narrow.push_back(std::int16_t(symbol));
    block.indexes.push_back(index);
    block.bytes.push_back(std::uint8_t(index));
    block.narrow_symbols = block.narrow_symbols && block.narrow.back() == symbol;
    block.valid = block.valid && (block.choices || (index <= tables->size() && (index > 0 || symbol == 0)));
  }
  if (kind & 2) block.narrow_symbols = false;
  for (int i = kind >> 2 & 7; i > 0; --i) {
    const std::uint32_t position = choices.byte();
    block.valid = block.valid && position < count &&
                  (block.overrides.empty() || position > block.overrides.back());
    block.overrides.push_back(position);
  }
  block.tables = std::move(tables);
  return block;
}

Bytes encode(const std::vector<Chosen> &blocks, std::int64_t segments, std::int64_t lanes) {
  Encoder encoder;
  for (const Chosen &block : blocks) {
    const bool refused = refuses([&] {
      if (block.choices)
        encoder.choose({block.indexes.data(), block.indexes.size(), block.overrides.data(),
                        block.overrides.size()});
      else
        encoder.add(block.input(), block.tables);
    });
    require(refused != block.valid, block.valid ? "a good block was refused" : "a bad block was accepted");
  }
  return encoder.finish(segments, lanes, 1);
}

void decode(const Bytes &stream, const std::vector<Chosen> &blocks) {
  Decoder decoder(stream.data(), stream.size());
  for (const Chosen &block : blocks) {
    if (!block.valid) continue;
    std::vector<std::uint16_t> theirs = block.indexes;
    for (std::uint32_t position : block.overrides) theirs[position] = 0;
    if (block.choices) {
      decoder.choose(theirs.data(), theirs.size());
      require(theirs == block.indexes, "other choices came back");
      continue;
    }
    std::vector<std::int32_t> symbols(theirs.size());
    decoder.decode(theirs.data(), 2, theirs.size(), *block.tables, symbols.data(), 1);
    require(symbols == block.symbols, "other symbols came back");
  }
  decoder.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static const std::vector<std::string> names = kernel_names();
  Choices choices(data, size);
  const std::int64_t segments = std::int8_t(choices.byte()) % 41;
  const std::uint8_t lane_choice = choices.byte();
  const std::int64_t lanes =
      lane_choice < 240 ? kLaneCounts[lane_choice % kLaneCounts.size()] : lane_choice - 240;
  const bool good_layout =
      segments >= 0 && std::find(kLaneCounts.begin(), kLaneCounts.end(), lanes) != kLaneCounts.end();
  std::vector<Chosen> blocks;
  std::shared_ptr<const TableSet> tables;
  do {
    if (!tables || choices.byte() & 1) tables = choose_tables(choices);
    if (!tables) return 0;
    blocks.push_back(choose_block(choices, tables));
  } while (choices.left() && blocks.size() < 4);

  std::optional<Bytes> expected;
  for (const std::string &name : names) {
    use_kernel(name);
    Bytes stream;
    const bool refused = refuses([&] { stream = encode(blocks, segments, lanes); });
    require(refused != good_layout, "a layout was judged wrongly");
    if (refused) return 0;
    if (!expected) expected = stream;
    require(stream == *expected, "the kernels wrote different streams");
    decode(stream, blocks);
  }
  return 0;
}
