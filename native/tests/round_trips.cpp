// Random items through every kernel that this machine runs: all write the same bytes, and all read
// them back. round_trips [ITEMS [FIRST_SEED]]; the first failure ends it with status 1.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "available_kernels.hpp"
#include "decoder.hpp"
#include "random_items.hpp"

namespace {

using namespace kodec;

[[noreturn]] void fail(std::uint64_t seed, const std::string &kernel, const char *what) {
  std::printf("FAILED: seed %llu, %s: %s\n", static_cast<unsigned long long>(seed), kernel.c_str(),
              what);
  std::exit(1);
}

std::size_t check(std::uint64_t seed, const std::vector<std::string> &names) {
  Random random(seed);
  std::vector<RandomBlock> blocks;
  const std::uint32_t most = random.one_of({70u, 3000u, 3000u, 20000u});
  std::shared_ptr<const TableSet> tables;
  std::size_t symbols = 0;
  for (std::uint32_t b = 1 + random.below(5); b > 0; --b) {
    if (!tables || random.below(2) == 0)
      tables = random_tables(random, random.one_of({3u, 70u, 300u}));
    const bool choices = random.below(4) == 0;
    blocks.push_back(choices ? random_choices(random, most) : random_block(random, tables, most));
    symbols += blocks.back().indexes.size();
  }
  const std::int64_t segments = random.one_of({0, 1, 2, 3, 7, 40});
  const std::int64_t lanes = random.one_of({0, 1, 4, 8, 16, 32, 32, 32});
  const std::size_t threads = 1 + random.below(3);
  const bool narrow = random.below(2) == 0;

  Bytes expected;
  for (const std::string &name : names) {
    use_kernel(name);
    Encoder encoder;
    for (const RandomBlock &block : blocks) add_block(encoder, block, narrow);
    const Bytes stream = encoder.finish(segments, lanes, threads);
    if (expected.empty()) expected = stream;
    if (stream != expected) fail(seed, name, "the stream is another");
    Decoder decoder(stream.data(), stream.size());
    for (const RandomBlock &block : blocks) {
      if (!block.tables) {
        std::vector<std::uint16_t> chosen = block.theirs;
        decoder.choose(chosen.data(), chosen.size());
        if (chosen != block.indexes) fail(seed, name, "other choices came back");
        continue;
      }
      std::vector<std::int32_t> decoded(block.symbols.size());
      decoder.decode(block.theirs.data(), 2, decoded.size(), *block.tables, decoded.data(), threads);
      if (decoded != block.symbols) fail(seed, name, "other symbols came back");
    }
    decoder.finish();
  }
  return symbols;
}

}  // namespace

int main(int argc, char **argv) {
  const std::uint64_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 300;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const std::vector<std::string> names = kernel_names();
  std::size_t symbols = 0;
  for (std::uint64_t seed = first; seed < first + items; ++seed) try {
      symbols += check(seed, names);
    } catch (const std::exception &error) {
      fail(seed, "", error.what());
    }
  std::string all;
  for (const std::string &name : names) all += " " + name;
  std::printf("%llu items, %zu symbols, the same with each of:%s\n",
              static_cast<unsigned long long>(items), symbols, all.c_str());
}
