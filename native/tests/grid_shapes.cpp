// Kernels over grids of random shapes, in arrays of exactly their sizes: with any number of threads
// the same bits, with any instruction set the same up to rounding. What they compute is held to
// PyTorch's by the tests in Python. grid_shapes [ITEMS [FIRST_SEED]].
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "available_kernels.hpp"
#include "grids/grids.hpp"
#include "random_items.hpp"

namespace {

using namespace kodec;
using Floats = std::vector<float>;

Floats random_floats(Random &random, std::size_t count) {
  Floats out(count);
  for (float &value : out) value = float(random.normal());
  return out;
}

constexpr float kKnots[] = {-1, 0, 0.5f}, kGrowth[] = {-0.2f, 0.7f, 0.5f};

// A network with its weights.
struct RandomNetwork {
  std::vector<Floats> weights;
  Network network;

  NetworkLayer layer(Random &random, std::size_t inputs, std::size_t outputs) {
    for (const std::size_t count : {inputs * outputs, outputs}) {
      weights.push_back(random_floats(random, count));
      for (float &value : weights.back()) value /= float(inputs);
    }
    return {inputs, outputs, weights[weights.size() - 2].data(), weights.back().data(), false,
            Activation::kNone, nullptr, nullptr, 0};
  }

  RandomNetwork(Random &random, std::size_t inputs, std::size_t outputs) {
    std::size_t width = inputs;
    for (std::size_t l = random.below(3); l-- > 0;) {
      const std::size_t next = random.below(2) == 0 ? width : 1 + random.below(30);
      network.layers.push_back(layer(random, width, next));
      network.layers.back().residual = width == next;
      NetworkLayer &own = network.layers.back();
      own.activation = random.one_of({Activation::kNone, Activation::kRectifier, Activation::kGelu,
                                      Activation::kPieces});
      own.knots = kKnots;
      own.growth = kGrowth;
      own.pieces = 3;
      width = next;
    }
    network.layers.push_back(layer(random, width, outputs));
    if (random.below(2) == 0) network.branch.push_back(layer(random, inputs, outputs));
  }
};

// All that the functions give, by turns of results and gradients.
std::vector<Floats> results(std::uint64_t seed, std::size_t threads) {
  Random random(seed);
  std::vector<Floats> found;
  const auto made = [&](std::size_t count) {
    found.push_back(Floats(count));
    return found.back().data();
  };
  found.reserve(256);
  const std::size_t h = 1 + random.below(70), w = 1 + random.below(150);
  {
    const std::size_t inputs = 1 + random.below(20), outputs = 1 + random.below(20);
    const std::size_t positions = 1 + random.below(9000);
    const RandomNetwork given(random, inputs, outputs);
    const bool branches = !given.network.branch.empty();
    const Floats x = random_floats(random, inputs * positions);
    float *const out = made(outputs * positions), *const beside = made(branches ? outputs * positions : 0);
    run_network(given.network, x.data(), positions, out, beside, threads);
    const Floats gradient = random_floats(random, outputs * positions);
    float *const of_x = made(inputs * positions), *const of_weights = made(given.network.weights());
    differentiate_network(given.network, x.data(), positions, gradient.data(),
                          branches ? gradient.data() : nullptr, of_x, of_weights, threads);
  }
  {
    std::vector<Offset> offsets;
    for (std::size_t n = random.below(9); n-- > 0;)
      offsets.push_back({std::ptrdiff_t(random.below(7)) - 4, std::ptrdiff_t(random.below(9)) - 4});
    const std::size_t features = random.below(4) + (offsets.empty() ? 1 : 0);
    const RandomNetwork given(random, offsets.size() + features, 2);
    std::vector<Floats> values;
    std::vector<Grid> grids;
    for (std::size_t n = 1 + random.below(4), height = h, width = w; n-- > 0;) {
      values.push_back(random_floats(random, height * width));
      const std::size_t halves = features * ((height + 1) / 2) * ((width + 1) / 2);
      values.push_back(random_floats(random, halves));
      const bool has = features > 0 && random.below(2) == 0;
      grids.push_back({height, width, values[values.size() - 2].data(),
                       has ? values.back().data() : nullptr, float(1 + n), made(height * width),
                       has ? made(halves) : nullptr, made(height * width)});
      height = (height + 1) / 2, width = (width + 1) / 2;
    }
    std::vector<double> bits(grids.size());
    context_rate(given.network, offsets, features, {-1, -5, 5, 16}, grids, bits.data(),
                 made(given.network.weights()), threads);
    float *const sums = made(bits.size());
    for (std::size_t g = 0; g < bits.size(); ++g) sums[g] = float(bits[g]);
  }
  {
    const std::size_t side = random.one_of({1u, 3u, 5u, 7u});
    const std::size_t inputs = 1 + random.below(8);
    const std::size_t outputs = random.below(2) == 0 ? inputs : 1 + random.below(8);
    const SmallConvolution c{h, w, inputs, outputs, side, inputs == outputs, random.below(2) == 0};
    const Floats x = random_floats(random, inputs * h * w), bias = random_floats(random, outputs);
    const Floats weight = random_floats(random, outputs * inputs * side * side);
    const Floats gradient = random_floats(random, outputs * h * w);
    float *const out = made(outputs * h * w);
    small_convolution(c, x.data(), weight.data(), bias.data(), out, threads);
    float *const of_x = made(inputs * h * w), *const of_weights = made(weight.size() + outputs);
    // Where the rectifier was must not hang on rounding.
    for (float &value : found[found.size() - 3]) value = std::fabs(value) < 1e-3f ? 0 : value;
    small_convolution_gradient(c, x.data(), weight.data(), out, gradient.data(), of_x, of_weights,
                               threads);
  }
  {
    Pyramid p;
    p.up_taps = 2 + 2 * random.below(8);
    p.own_taps = 1 + 2 * random.below(8);
    p.residual = random.below(2) == 0;
    const std::size_t count = 1 + random.below(5);
    std::vector<Floats> values;
    for (std::size_t l = 0, height = h, width = w; l < count; ++l) {
      values.push_back(random_floats(random, height * width));
      p.levels.push_back({height, width, values.back().data(), made(height * width),
                          made((count - l) * height * width)});
      height = (height + 1) / 2, width = (width + 1) / 2;
    }
    Floats up = random_floats(random, (count - 1) * p.up_taps);
    Floats own = random_floats(random, (count - 1) * p.own_taps);
    for (float &tap : up) tap /= float(p.up_taps);
    for (float &tap : own) tap /= float(p.own_taps);
    p.upsampling = up.data();
    p.refinement = own.data();
    const Floats gradient = random_floats(random, count * h * w);
    build_pyramid(p, threads);
    float *const of_up = made(up.size()), *const of_own = made(own.size());
    differentiate_pyramid(p, gradient.data(), of_up, of_own, threads);
  }
  {
    const std::size_t times = random.below(4), step = std::size_t(1) << times;
    const std::size_t rows = (h + step - 1) / step, columns = (w + step - 1) / step;
    const Floats values = random_floats(random, rows * columns);
    const std::vector<RepeatedGrid> grids{{rows, columns, times, values.data(), made(rows * columns)}};
    stack_grids(grids, h, w, made(h * w), threads);
    differentiate_stack(grids, h, w, random_floats(random, h * w).data(), threads);
  }
  {
    const Floats x = random_floats(random, h * w), noise = random_floats(random, h * w);
    float *const out = made(h * w), *const slope = made(h * w);
    soft_round(x.data(), noise.data(), {4, 0.5f}, out, slope, h * w, threads);
  }
  return found;
}

void check(std::uint64_t seed, const std::vector<std::string> &kernels) {
  std::vector<Floats> first;
  for (const std::string &kernel : kernels) {
    use_kernel(kernel);
    const std::vector<Floats> one = results(seed, 1);
    const std::string name = "seed " + std::to_string(seed) + ", " + kernel;
    if (one != results(seed, 3)) throw std::runtime_error(name + ": threads change bits");
    if (first.empty()) first = one;
    for (std::size_t n = 0; n < one.size(); ++n) {
      // On average: next to a rectifier, a clamp or a step of soft rounding a value falls to either
      // side.
      double size = 1, error = 0;
      for (std::size_t i = 0; i < one[n].size(); ++i) {
        size += std::fabs(double(first[n][i]));
        error += std::fabs(double(one[n][i]) - first[n][i]);
      }
      if (!(error < 1e-3 * size))
        throw std::runtime_error(name + ": array " + std::to_string(n) + " is off by " +
                                 std::to_string(error / size));
    }
  }
}

}  // namespace

int main(int count, char **arguments) {
  return check_items(count, arguments, "grids", check);
}
