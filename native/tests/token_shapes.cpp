// Kernels over tokens of random shapes, in arrays of exactly their sizes: with any number of threads
// the same bits, with any instruction set the same up to rounding. What they compute is held to
// PyTorch's by the tests in Python. token_shapes [ITEMS [FIRST_SEED]].
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "available_kernels.hpp"
#include "random_items.hpp"
#include "tokens/token_symbols.hpp"
#include "tokens/tokens.hpp"

namespace {

using namespace kodec;
using Doubles = std::vector<double>;

Doubles random_doubles(Random &random, std::size_t count) {
  Doubles out(count);
  for (double &value : out) value = random.normal();
  return out;
}

// All that the functions give.
std::vector<Doubles> results(std::uint64_t seed, std::size_t threads) {
  Random random(seed);
  std::vector<Doubles> found;
  const auto made = [&](std::size_t count) {
    found.push_back(Doubles(count));
    return found.back().data();
  };
  {
    const std::size_t rows = 1 + random.below(300), inputs = 1 + random.below(70);
    const std::size_t outputs = 1 + random.below(120);
    const Doubles x = random_doubles(random, rows * inputs);
    const Doubles weight = random_doubles(random, outputs * inputs);
    const Doubles bias = random_doubles(random, outputs), plus = random_doubles(random, rows * outputs);
    token_product(x.data(), weight.data(), rows, inputs, outputs,
                  random.below(2) == 0 ? bias.data() : nullptr, random.below(2) == 0,
                  random.below(2) == 0 ? plus.data() : nullptr, made(rows * outputs), threads);
    token_gelu(x.data(), made(x.size()), x.size(), threads);
    token_magnitudes(x.data(), rows, inputs, made(2 * x.size()), threads);
    const Doubles mean = random_doubles(random, x.size());
    laplace_symbols({nullptr, x.data(), mean.data(), mean.data(), -1, -1, 0.1, made(x.size())}, x.size(),
                    threads);
    const Doubles pairs = random_doubles(random, 2 * x.size()), spread = random_doubles(random, inputs);
    double *const means = made(2 * x.size());
    located({inputs, pairs.data(), spread.data(), spread.data(), random.below(2) == 0 ? x.data() : nullptr,
             means, means + x.size()},
            rows, threads);
  }
  const std::size_t h = 1 + random.below(20), w = 1 + random.below(40), c = 1 + random.below(50);
  const std::size_t side = random.one_of({1u, 3u, 5u});
  const Doubles taps = random_doubles(random, side * side * c), bias = random_doubles(random, c);
  {
    const Doubles x = random_doubles(random, h * w * c);
    depthwise({x.data(), h, w, c, side, taps.data(), bias.data(), made(h * w * c)}, threads);
  }
  {
    const std::size_t margin = 2 + random.below(2), cell = 1 + random.below(4);
    const Doubles x = random_doubles(random, (h + 2 * margin) * (w + 2 * margin) * c);
    std::vector<std::int64_t> phases(cell * cell), places(1 + random.below(h * w));
    for (std::int64_t &phase : phases) phase = std::int64_t(random.below(4));
    for (std::int64_t &place : places) place = std::int64_t(random.below(h * w));
    depthwise_of_known({x.data(), h, w, c, margin, phases.data(), cell, 2}, places.data(),
                       places.size(), taps.data(), side, bias.data(), made(places.size() * c),
                       threads);
  }
  return found;
}

void check(std::uint64_t seed, const std::vector<std::string> &kernels) {
  std::vector<Doubles> first;
  for (const std::string &kernel : kernels) {
    use_kernel(kernel);
    const std::vector<Doubles> one = results(seed, 1);
    const std::string name = "seed " + std::to_string(seed) + ", " + kernel;
    if (one != results(seed, 3)) throw std::runtime_error(name + ": threads change bits");
    if (first.empty()) first = one;
    for (std::size_t n = 0; n < one.size(); ++n)
      for (std::size_t i = 0; i < one[n].size(); ++i)
        if (!(std::fabs(one[n][i] - first[n][i]) < 1e-12 * (1 + std::fabs(first[n][i]))))
          throw std::runtime_error(name + ": array " + std::to_string(n) + " is off");
  }
}

}  // namespace

int main(int count, char **arguments) {
  return check_items(count, arguments, "tokens", check);
}
