// Writes the fuzz targets' first inputs, always the same: fuzz_seeds FOLDER puts them in
// FOLDER/decoder and FOLDER/encoder.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "encoder.hpp"
#include "fuzz_input.hpp"

namespace {

using namespace kodec;

constexpr std::size_t kSeeds = 200;

// A sound stream for what its head asks for, with some overrides.
Bytes decoder_seed(std::uint64_t number) {
  Random random(1000 + number);
  Bytes bytes{std::uint8_t(random.below(kFuzzTableSets)), std::uint8_t(random.below(4)),
              std::uint8_t(random.below(64) | random.below(2) << 7)};
  while (bytes.size() < 7)
    bytes.push_back(std::uint8_t(random.below(240 + (number % 8 == 0 ? 16 : 0))));
  const std::uint32_t highest = random.one_of({1u, 3u, 100u, 254u, 255u});
  while (bytes.size() < kFuzzHead) bytes.push_back(std::uint8_t(random.below(highest + 1)) % 255);
  FuzzInput input;
  parse_fuzz_input(bytes.data(), bytes.size(), input);

  const double spread = random.one_of({0.0, 0.02, 0.3, 1.0, 1e6});
  const std::uint32_t wild = random.one_of({0u, 10u, 100u});
  const std::uint32_t overridden = random.one_of({0u, 10u, 100u});
  Encoder encoder;
  for (std::size_t b = 0; b < input.blocks.size(); ++b) {
    RandomBlock block;
    if (!input.choices[b]) block.tables = input.tables;
    for (std::uint16_t index : input.blocks[b]) {
      if (random.below(1000) < overridden) {
        block.overrides.push_back(std::uint32_t(block.symbols.size()));
        index = std::uint16_t(random.below(std::uint32_t(input.tables->size()) + 1));
      }
      const std::int32_t symbol = random_symbol(random, input.tables->infos()[index], spread, wild);
      block.symbols.push_back(index == 0 ? 0 : symbol);
      block.indexes.push_back(index);
    }
    add_block(encoder, block, false);
  }
  const int segments = random.one_of({0, 1, 1, 2, 3, 5});
  const int lanes = random.one_of({0, 1, 4, 8, 16, 32, 32});
  const Bytes stream = encoder.finish(segments, lanes, 1);
  bytes.insert(bytes.end(), stream.begin(), stream.end());
  return bytes;
}

Bytes encoder_seed(std::uint64_t number) {
  Random random(number);
  Bytes bytes(20 + random.below(200));
  for (std::uint8_t &byte : bytes) byte = std::uint8_t(random.below(256));
  return bytes;
}

void write_seeds(const std::filesystem::path &folder, Bytes (*seed)(std::uint64_t)) {
  std::filesystem::create_directories(folder);
  for (std::size_t number = 0; number < kSeeds; ++number) {
    const Bytes bytes = seed(number);
    std::ofstream file(folder / std::to_string(number), std::ios::binary);
    file.write(reinterpret_cast<const char *>(bytes.data()), std::streamsize(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write to " + folder.string());
  }
}

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  write_seeds(folder / "decoder", decoder_seed);
  write_seeds(folder / "encoder", encoder_seed);
} catch (const std::exception &error) {
  std::fprintf(stderr, "fuzz_seeds: %s\n", error.what());
  return 1;
}
