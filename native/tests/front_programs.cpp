// Random front programs through every kernel that this machine runs, against sums in 64-bit integers,
// position by position; then their streams, which another program must not read beyond errors of ours.
// Grids lie in arrays of exactly their sizes. front_programs [ITEMS [FIRST_SEED]].
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "available_kernels.hpp"
#include "crc32c.hpp"
#include "decoder.hpp"
#include "front_program.hpp"
#include "random_items.hpp"

namespace {

using namespace kodec;

[[noreturn]] void fail(const char *what) { throw std::runtime_error(what); }

constexpr std::int32_t kLeast = -64, kMost = 63;

struct RandomFront {
  std::vector<FrontTap> taps;
  std::size_t side;
  std::int64_t side_bound;
  std::vector<FrontLayer> layers;
  LocatedScales scales;
  std::size_t rows, columns;
  int side_shift;
  std::vector<std::int32_t> sides, values;

  FrontProgram program() const {
    return {taps, side, side_bound, kLeast, kMost, layers, scales};
  }
};

FrontLayer random_layer(Random &random, std::size_t inputs, std::size_t outputs, bool last) {
  const int shift = last ? 8 : random.one_of({0, 4, 8});
  const double one = double(1 << shift);
  FrontLayer layer{inputs, outputs, {}, {}, shift, !last};
  for (std::size_t i = 0; i < inputs * outputs; ++i)
    layer.weights.push_back(std::int64_t(random.normal() * (last ? 10 : 0.5) * one));
  for (std::size_t o = 0; o < outputs; ++o)
    layer.biases.push_back(std::int64_t(random.normal() * 100 * one));
  return layer;
}

RandomFront random_front(Random &random, const TableSet &tables) {
  RandomFront front;
  for (std::uint32_t t = 1 + random.below(20); t > 0; --t) {
    const std::int32_t down = -std::int32_t(random.below(4)), across = std::int32_t(random.below(7));
    front.taps.push_back({down, down < 0 ? across - 3 : -1 - across});
  }
  front.side = random.below(7);
  front.side_bound = random.one_of({0, 100, 2000});
  front.rows = 1 + random.below(random.one_of({3u, 40u, 150u}));
  front.columns = 1 + random.below(random.one_of({3u, 40u, 150u}));
  front.side_shift = int(random.below(3));
  const std::size_t inputs = front.taps.size() + front.side;
  std::size_t width = inputs;
  const std::uint32_t hidden = random.below(4);
  for (std::uint32_t l = 0; l < hidden; ++l) {
    const std::size_t outputs = 1 + random.below(30);
    front.layers.push_back(random_layer(random, width, outputs, false));
    width = outputs;
  }
  front.layers.push_back(random_layer(random, hidden > 0 ? width + inputs : inputs, 2, true));
  front.scales.lowest = -1024;
  front.scales.highest = random.one_of({-1023, 768});
  const std::uint32_t count = 2 + random.below(70);
  for (std::uint32_t l = 0; l < count; ++l) {
    int bits = 1 + int(random.below(8));
    while (bits > 1 && (1u << (bits - 1)) + 1 > tables.size()) --bits;
    const std::uint32_t most = std::uint32_t(tables.size()) - (1u << (bits - 1));
    front.scales.levels.push_back({bits, 1 + random.below(most)});
  }
  for (std::size_t i = FrontPass::sides(front.rows, front.columns, front.side_shift) * front.side;
       i > 0; --i)
    front.sides.push_back(std::int32_t(random.normal() * 1000));
  for (std::size_t i = front.rows * front.columns; i > 0; --i)
    front.values.push_back(std::clamp(std::int32_t(random.normal() * random.one_of({1, 5, 40})),
                                      kLeast, kMost));
  return front;
}

// Symbol and index of a position, without fronts or vectors.
std::pair<std::int32_t, std::uint16_t> expected(const RandomFront &front, std::size_t row,
                                                std::size_t column) {
  std::vector<std::int64_t> inputs, now, next;
  for (const FrontTap &tap : front.taps) {
    const std::ptrdiff_t y = std::ptrdiff_t(row) + tap.down, x = std::ptrdiff_t(column) + tap.right;
    const bool inside = y >= 0 && x >= 0 && x < std::ptrdiff_t(front.columns);
    inputs.push_back(inside ? front.values[std::size_t(y) * front.columns + std::size_t(x)] : 0);
  }
  const std::size_t stride = (front.columns - 1) >> front.side_shift;
  const std::size_t place =
      (row >> front.side_shift) * (stride + 1) + (column >> front.side_shift);
  for (std::size_t s = 0; s < front.side; ++s)
    inputs.push_back(std::clamp<std::int64_t>(front.sides[place * front.side + s], -front.side_bound,
                                              front.side_bound));
  now = inputs;
  for (std::size_t l = 0; l < front.layers.size(); ++l) {
    const FrontLayer &layer = front.layers[l];
    if (l > 0 && l + 1 == front.layers.size()) now.insert(now.end(), inputs.begin(), inputs.end());
    next.clear();
    for (std::size_t o = 0; o < layer.outputs; ++o) {
      std::int64_t sum = layer.biases[o];
      for (std::size_t i = 0; i < layer.inputs; ++i) sum += layer.weights[o * layer.inputs + i] * now[i];
      sum >>= layer.shift;
      next.push_back(layer.rectified ? std::max<std::int64_t>(sum, 0) : sum);
    }
    now.swap(next);
  }
  const std::int64_t range = front.scales.highest - front.scales.lowest;
  const std::int64_t steps = std::int64_t(front.scales.levels.size()) - 1;
  const std::int64_t above =
      std::clamp<std::int64_t>(now[1], front.scales.lowest, front.scales.highest) -
      front.scales.lowest;
  const LocatedLevel level = front.scales.levels[std::size_t((2 * above * steps + range) / (2 * range))];
  const std::int64_t mean = std::clamp<std::int64_t>(now[0], kLeast * 256, kMost * 256 + 255);
  const std::int64_t unit = 256 >> level.mean_bits, ones = std::int64_t(1) << level.mean_bits;
  const auto floored = [](std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); };
  const std::int64_t multiple = floored(2 * mean + unit, 2 * unit);
  const std::int64_t whole = floored(2 * multiple + ones, 2 * ones), rest = multiple - whole * ones;
  const std::int64_t symbol = front.values[row * front.columns + column] - whole;
  return {std::int32_t(rest < 0 ? -symbol : symbol),
          std::uint16_t(level.first + std::uint32_t(std::abs(rest)))};
}

void check(std::uint64_t seed, const std::vector<std::string> &names, std::uint32_t &checksum) {
  Random random(seed);
  std::shared_ptr<const TableSet> tables;
  // A level has two at least.
  while (!tables || tables->size() < 2) tables = random_tables(random, random.one_of({3u, 300u}));
  const RandomFront front = random_front(random, *tables);
  const FrontProgram program = front.program();
  const std::size_t count = front.values.size();
  std::vector<std::int32_t> symbols;
  std::vector<std::uint16_t> indexes;
  const std::size_t slope = program.slope();
  for (std::size_t t = 0; t < front.columns + slope * (front.rows - 1); ++t)
    for (std::size_t row = 0; row < front.rows; ++row) {
      if (t < slope * row || t - slope * row >= front.columns) continue;
      const auto [symbol, index] = expected(front, row, t - slope * row);
      symbols.push_back(symbol);
      indexes.push_back(index);
    }
  checksum = crc32c(symbols.data(), symbols.size(), crc32c(indexes.data(), indexes.size(), checksum));
  const std::int64_t segments = random.one_of({0, 1, 3}), lanes = random.one_of({0, 1, 8, 32});
  for (const std::string &name : names) {
    use_kernel(name);
    std::vector<std::int32_t> known = front.values, found(count), values(count);
    std::vector<std::uint16_t> chosen;
    FrontPass pass(program, front.rows, front.columns, front.sides.data(), front.side_shift,
                   known.data(), front_kernels());
    while (chosen.size() < count) {
      const std::size_t done = chosen.size();
      const std::vector<std::uint16_t> &next = pass.predict();
      chosen.insert(chosen.end(), next.begin(), next.end());
      pass.known(found.data() + done);
    }
    if (found != symbols || chosen != indexes) fail("other symbols or indexes than one by one");
    Encoder encoder;
    encoder.add({found.data(), 4, chosen.data(), 2, count, nullptr, 0}, tables);
    const Bytes stream = encoder.finish(segments, lanes, 1);
    const auto read = [&](const FrontProgram &other, const std::int32_t *sides) {
      Decoder decoder(stream.data(), stream.size());
      FrontPass again(other, front.rows, front.columns, sides, front.side_shift, values.data(),
                      front_kernels());
      decoder.scan(again, *tables);
      decoder.finish();
    };
    read(program, front.sides.data());
    if (values != front.values) fail("other values came back");
    // Symbols that mean anything: no more than an error, or values in range.
    for (int tries = 0; tries < 3; ++tries) {
      RandomFront other = front;
      for (FrontLayer &layer : other.layers)
        for (std::int64_t &weight : layer.weights) weight += std::int64_t(random.normal() * 2);
      try {
        read(other.program(), front.sides.data());
      } catch (const BitstreamError &) {
      }
    }
  }
}

}  // namespace

int main(int argc, char **argv) {
  const std::uint64_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 300;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  const std::vector<std::string> names = kernel_names();
  std::uint32_t checksum = 0;
  for (std::uint64_t seed = first; seed < first + items; ++seed) {
    try {
      check(seed, names, checksum);
    } catch (const std::exception &error) {
      std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed), error.what());
      return 1;
    }
  }
  std::printf("%llu front programs, checksum %08x\n", static_cast<unsigned long long>(items),
              checksum);
  return 0;
}
