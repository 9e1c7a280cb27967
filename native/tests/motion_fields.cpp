// Random pictures, vectors and options: predictions against sums pixel by pixel, and search, on every
// kernel that this machine runs, in one thread and in three. Arrays are of exactly their sizes.
// motion_fields [ITEMS [FIRST_SEED]].
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "available_kernels.hpp"
#include "crc32c.hpp"
#include "motion/compensation.hpp"
#include "motion/search.hpp"
#include "random_items.hpp"

namespace {

using namespace kodec;

[[noreturn]] void fail(const char *what) { throw std::runtime_error(what); }

using Samples = std::vector<std::uint8_t>;

constexpr int kFilters[4][8] = {{0, 0, 0, 64, 0, 0, 0, 0},
                                {-1, 4, -10, 58, 17, -5, 1, 0},
                                {-1, 4, -11, 40, 40, -11, 4, -1},
                                {0, 1, -5, 17, 58, -10, 4, -1}};

// One sample of a plane, at a place in quarters of a pixel.
int sample_at(const std::uint8_t *plane, const Planes &sizes, int y, int x) {
  int sum = 0;
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 8; ++j) {
      const int row = std::clamp((y >> 2) + i - 3, 0, int(sizes.height) - 1);
      const int column = std::clamp((x >> 2) + j - 3, 0, int(sizes.width) - 1);
      sum += kFilters[y & 3][i] * kFilters[x & 3][j] * plane[row * int(sizes.width) + column];
    }
  return std::clamp((sum + 2048) >> 12, 0, 255);
}

// A prediction's weight in sixteenths, so far from the beginning of what it reaches.
int rising(int cell, int place) {
  constexpr int k8[] = {0, 1, 4, 6, 10, 12, 15, 16};
  constexpr int k16[] = {0, 0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 16, 16};
  return cell == 8 ? k8[place] : k16[place];
}

// The cells along one axis that predict a place, and their weights.
struct Share {
  int cell, weight;
};
std::vector<Share> shares(int place, int cell, int side, bool overlap) {
  const int cells = (side + cell - 1) / cell, own = place / cell;
  if (!overlap) return {{own, 16}};
  const int first = (place + cell / 2) / cell - 1, within = place + cell / 2 - (first + 1) * cell;
  if (first < 0) return {{0, 16}};
  if (first + 1 >= cells) return {{first, 16}};
  const int weight = rising(cell, within);
  return {{first, 16 - weight}, {first + 1, weight}};
}

Samples expected(const Samples &reference, const Planes &sizes, const std::vector<MotionVector> &field,
                 int cell, bool overlap) {
  Samples out;
  const int step = int(blocks_along(sizes.width)) * (16 / cell);
  for (std::size_t plane = 0; plane < sizes.count; ++plane)
    for (int y = 0; y < int(sizes.height); ++y)
      for (int x = 0; x < int(sizes.width); ++x) {
        int sum = 0;
        for (const Share down : shares(y, cell, int(sizes.height), overlap))
          for (const Share across : shares(x, cell, int(sizes.width), overlap)) {
            const MotionVector vector = field[std::size_t(down.cell * step + across.cell)];
            const std::uint8_t *const from = reference.data() + plane * sizes.height * sizes.width;
            sum += down.weight * across.weight *
                   sample_at(from, sizes, 4 * y + vector.down, 4 * x + vector.right);
          }
        out.push_back(std::uint8_t((sum + 128) >> 8));
      }
  return out;
}

Samples random_samples(Random &random, std::size_t count) {
  const std::uint32_t kind = random.below(3);
  Samples samples;
  for (std::size_t i = 0; i < count; ++i) {
    const int value = kind == 0   ? int(random.below(256))
                      : kind == 1 ? 255 * int(random.below(2))
                                  : int(128 + 60 * random.normal());
    samples.push_back(std::uint8_t(std::clamp(value, 0, 255)));
  }
  return samples;
}

void check_compensation(Random &random, const std::vector<std::string> &names, std::uint32_t &checksum) {
  const Planes sizes{1 + random.below(3), 1 + random.below(random.one_of({2u, 20u, 70u})),
                     1 + random.below(random.one_of({2u, 20u, 200u}))};
  const int cell = random.one_of({8, 16});
  const bool overlap = random.below(2) > 0;
  const std::uint32_t most = random.one_of({1u, 8u, 200u, 32768u});
  const std::uint32_t same = random.one_of({1u, 2u, 8u});  // every so many cells a new vector
  std::vector<MotionVector> field;
  const auto component = [&] { return std::int16_t(int(random.below(2 * most)) - int(most)); };
  const std::size_t cells = blocks_along(sizes.height) * blocks_along(sizes.width) *
                            std::size_t(256 / (cell * cell));
  for (std::size_t i = 0; i < cells; ++i) {
    const std::int16_t down = component(), right = component();
    field.push_back(i > 0 && random.below(same) > 0 ? field.back() : MotionVector{down, right});
  }
  const Samples reference = random_samples(random, sizes.count * sizes.height * sizes.width);
  const Samples wanted = expected(reference, sizes, field, cell, overlap);
  for (const std::string &name : names)
    for (const std::size_t threads : {1, 3}) {
      use_kernel(name);
      Samples found(reference.size());
      compensate(reference.data(), sizes, field.data(), std::size_t(cell), overlap, threads, found.data());
      if (found != wanted) fail("another prediction than pixel by pixel");
    }
  checksum = crc32c(wanted.data(), wanted.size(), checksum);
}

void check_search(Random &random, const std::vector<std::string> &names, std::uint32_t &checksum) {
  const std::size_t height = 1 + random.below(random.one_of({2u, 20u, 90u}));
  const std::size_t width = 1 + random.below(random.one_of({2u, 20u, 90u}));
  const SearchOptions options{random.one_of({1, 3, 40, kMostReach}), random.one_of({0, 10, 100, kMostBitCost}),
                              random.one_of({1, 2, 4}), random.below(2) > 0};
  const Samples reference = random_samples(random, height * width);
  Samples current = random_samples(random, height * width);
  const std::size_t rows = blocks_along(height), columns = blocks_along(width);
  if (random.below(2) > 0) {
    // What can be found: the reference moved.
    std::vector<MotionVector> field(4 * rows * columns);
    const auto component = [&] { return std::int16_t(int(random.below(60)) - 30); };
    MotionVector vector{component(), component()};
    for (MotionVector &own : field) {
      if (random.below(8) == 0) vector = {component(), component()};
      own = vector;
    }
    compensate(reference.data(), {1, height, width}, field.data(), 8, false, 1, current.data());
  }
  std::vector<MotionVector> starts(random.below(3) * 4 * rows * columns);
  for (MotionVector &start : starts)
    start = {std::int16_t(random.below(1 << 16)), std::int16_t(random.below(1 << 16))};
  const Hints hints{starts.data(), starts.size() / (4 * rows * columns)};
  std::vector<MotionVector> first;
  Samples first_splits;
  for (const std::string &name : names)
    for (const std::size_t threads : {1, 3}) {
      use_kernel(name);
      std::vector<MotionVector> vectors(4 * rows * columns);
      Samples splits(rows * columns);
      search_motion(current.data(), reference.data(), height, width, options, hints, threads,
                    vectors.data(), splits.data());
      if (first.empty()) {
        first = vectors;
        first_splits = splits;
      } else if (vectors != first || splits != first_splits) {
        fail("other vectors on another kernel, or in other threads");
      }
    }
  for (const MotionVector vector : first)
    if (std::abs(vector.down) > 4 * options.reach || std::abs(vector.right) > 4 * options.reach ||
        vector.down * options.precision % 4 != 0 || vector.right * options.precision % 4 != 0)
      fail("a vector beyond reach or precision");
  for (std::size_t block = 0; block < first_splits.size(); ++block) {
    const std::size_t corner = block / columns * 4 * columns + block % columns * 2;
    const MotionVector a = first[corner], b = first[corner + 1], c = first[corner + 2 * columns],
                       d = first[corner + 2 * columns + 1];
    const Split split = Split(first_splits[block]);
    if (split > (options.splits ? Split::quarters : Split::none)) fail("no such split");
    if ((split == Split::none || split == Split::rows) && (a != b || c != d)) fail("a split's vectors");
    if ((split == Split::none || split == Split::columns) && (a != c || b != d)) fail("a split's vectors");
  }
  std::vector<std::int32_t> numbers;
  for (const MotionVector vector : first) {
    numbers.push_back(vector.down);
    numbers.push_back(vector.right);
  }
  checksum = crc32c(numbers.data(), numbers.size(), checksum);
}

}  // namespace

int main(int argc, char **argv) {
  const std::uint64_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 150;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  const std::vector<std::string> names = kernel_names();
  std::uint32_t checksum = 0;
  for (std::uint64_t seed = first; seed < first + items; ++seed) {
    try {
      Random random(seed);
      check_compensation(random, names, checksum);
      check_search(random, names, checksum);
    } catch (const std::exception &error) {
      std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed), error.what());
      return 1;
    }
  }
  std::printf("%llu motion fields, checksum %08x\n", static_cast<unsigned long long>(items), checksum);
  return 0;
}
