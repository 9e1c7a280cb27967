// Random items through every kernel that this machine runs: all write the same bytes, with any number
// of threads, and all read them back; scans and the indexes of scales are the same, too. Several
// items at a time. The checksum printed is of all of it, and the same on every machine.
// round_trips [ITEMS [FIRST_SEED]]; a failure ends it with status 1.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>

#include "available_kernels.hpp"
#include "crc32c.hpp"
#include "decoder.hpp"
#include "parallel.hpp"
#include "random_items.hpp"
#include "random_scan.hpp"
#include "scale_indexes.hpp"

namespace {

using namespace kodec;

constexpr std::size_t kCallers = 3;
// Every so many items one is large enough for several threads: of one block.
constexpr std::uint64_t kLargeEvery = 64;
constexpr std::uint32_t kLarge = 3 << 18;

[[noreturn]] void fail(const char *what) { throw std::runtime_error(what); }

struct Item {
  std::vector<RandomBlock> blocks;
  std::vector<std::optional<RandomScan>> scans;  // of the blocks that are one
};

Item random_item(Random &random, bool large) {
  Item item;
  const std::uint32_t most = random.one_of({70u, 3000u, 3000u, 20000u});
  std::shared_ptr<const TableSet> tables;
  for (std::uint32_t b = large ? 1 : 1 + random.below(5); b > 0; --b) {
    if (!tables || random.below(2) == 0)
      tables = random_tables(random, random.one_of({3u, 70u, 300u}));
    const std::uint32_t kind = large ? 7 : random.below(8);
    item.scans.emplace_back();
    if (kind == 0) item.scans.back() = random_scan(random, tables);
    item.blocks.push_back(
        kind == 0  ? item.scans.back()->block
        : kind < 3 ? random_choices(random, most)
                   : random_block(random, tables, large ? kLarge : random.below(most + 1)));
  }
  return item;
}

std::vector<std::int32_t> decoded(Decoder &decoder, const RandomBlock &block,
                                  const std::vector<std::uint16_t> &indexes, std::size_t threads) {
  std::vector<std::int32_t> symbols(block.symbols.size());
  decoder.decode(indexes.data(), 2, symbols.size(), *block.tables, symbols.data(), threads);
  return symbols;
}

void check_decoding(const Item &item, const Bytes &stream, std::size_t threads) {
  Decoder decoder(stream.data(), stream.size());
  for (std::size_t b = 0; b < item.blocks.size(); ++b) {
    const RandomBlock &block = item.blocks[b];
    if (item.scans[b]) {
      const RandomScan &scan = *item.scans[b];
      std::vector<std::int32_t> values(scan.values.size());
      decoder.scan(scan.program(), scan.rows, scan.columns, scan.side.data(), *block.tables,
                   values.data());
      if (values != scan.values) fail("other values came back from a scan");
    } else if (!block.tables) {
      std::vector<std::uint16_t> chosen = block.theirs;
      decoder.choose(chosen.data(), chosen.size());
      if (chosen != block.indexes) fail("other choices came back");
    } else if (decoded(decoder, block, block.theirs, threads) != block.symbols) {
      fail("other symbols came back");
    }
  }
  decoder.finish();
}

// How decoding a stream of one block with indexes of the wrong order ends.
std::string wrong_end(const RandomBlock &block, const Bytes &stream, std::size_t threads) {
  const std::vector<std::uint16_t> indexes(block.theirs.rbegin(), block.theirs.rend());
  try {
    Decoder decoder(stream.data(), stream.size());
    decoded(decoder, block, indexes, threads);
    decoder.finish();
  } catch (const BitstreamError &error) {
    return error.what();
  }
  return "";
}

// The checksum of the indexes of random scales, and of which are close calls.
std::uint32_t scales_checksum(Random &random) {
  const int count = 1 + int(random.below(255));
  const double step = random.one_of({0.1, 0.125, 1.0}), guard = random.one_of({0.0, 1e-9, 1e-3});
  const ScaleLevels levels{random.normal(), 1 / step, count, guard};
  std::vector<double> logarithms;
  for (std::uint32_t i = random.below(3000); i > 0; --i) {
    const double place = random.below(2) == 0 ? (random.normal() + 1) * count
                                              : random.below(256) - 0.5 + random.normal() * guard;
    logarithms.push_back(levels.first + place * step);
  }
  std::vector<std::uint16_t> indexes(logarithms.size());
  const std::vector<std::uint32_t> close =
      scale_indexes(logarithms.data(), logarithms.size(), levels, indexes.data(), 2);
  const std::vector<std::int32_t> positions(close.begin(), close.end());
  return crc32c(positions.data(), positions.size(), crc32c(indexes.data(), indexes.size()));
}

struct Result {
  std::size_t symbols = 0;
  std::int32_t checksum = 0;
};

Result check(std::uint64_t seed) {
  Random random(seed);
  const bool large = seed % kLargeEvery == 0;
  const Item item = random_item(random, large);
  const std::int64_t segments = large ? random.one_of({7, 40}) : random.one_of({0, 1, 2, 3, 7, 40});
  const std::int64_t lanes = random.one_of({0, 1, 4, 8, 16, 32, 32, 32});
  const std::size_t threads = 2 + random.below(3);
  const bool narrow = random.below(2) == 0;
  Result result;
  Encoder encoder;
  for (const RandomBlock &block : item.blocks) {
    add_block(encoder, block, narrow);
    result.symbols += block.indexes.size();
  }
  const Bytes stream = encoder.finish(segments, lanes, 1);
  if (encoder.finish(segments, lanes, threads) != stream) fail("several threads write another stream");
  check_decoding(item, stream, threads);
  if (large && wrong_end(item.blocks[0], stream, threads) != wrong_end(item.blocks[0], stream, 1))
    fail("wrong indexes end otherwise with several threads");
  result.checksum =
      std::int32_t(crc32c(stream.data(), stream.size(), scales_checksum(random)));
  return result;
}

std::vector<Result> check_all(std::uint64_t first, std::size_t items) {
  std::vector<Result> results(items);
  run_tasks(items, kCallers, [&](std::size_t item) {
    try {
      results[item] = check(first + item);
    } catch (const std::exception &error) {
      throw std::runtime_error("seed " + std::to_string(first + item) + ": " + error.what());
    }
  });
  return results;
}

}  // namespace

int main(int argc, char **argv) {
  const std::size_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 300;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::vector<Result> expected;
  std::string all;
  for (const std::string &name : kernel_names()) try {
      use_kernel(name);
      all += " " + name;
      const std::vector<Result> results = check_all(first, items);
      if (expected.empty()) expected = results;
      for (std::size_t i = 0; i < items; ++i)
        if (results[i].checksum != expected[i].checksum)
          throw std::runtime_error("seed " + std::to_string(first + i) + ": other bytes or indexes");
    } catch (const std::exception &error) {
      std::fprintf(stderr, "FAILED: %s, %s\n", name.c_str(), error.what());
      return 1;
    }
  std::size_t symbols = 0;
  std::vector<std::int32_t> checksums;
  for (const Result &result : expected) {
    symbols += result.symbols;
    checksums.push_back(result.checksum);
  }
  std::printf("%zu items, %zu symbols, checksum %08x\nthe same with each of:%s\n", items, symbols,
              crc32c(checksums.data(), checksums.size()), all.c_str());
}
