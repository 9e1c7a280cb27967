// Layers of random shapes, in arrays of exactly their sizes, against loops in double precision;
// with any number of threads the same bits. Several items at a time.
// layer_shapes [ITEMS [FIRST_SEED]].
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "layers/layers.hpp"
#include "parallel.hpp"
#include "random_items.hpp"

namespace {

using namespace kodec;
using Floats = std::vector<float>;

constexpr std::size_t kCallers = 2;

Floats random_floats(Random &random, std::size_t count) {
  Floats out(count);
  for (float &value : out) value = float(random.normal());
  return out;
}

double finished(double value, const Finish &finish, std::size_t place) {
  if (value < 0) value *= finish.slope;
  if (finish.plus != nullptr) value += finish.plus[place];
  return value < 0 ? value * finish.last_slope : value;
}

// What a kernel at (y, x) finds in phase (i, j) of a picture, for one output.
struct Source {
  const Floats &pixels;
  std::size_t height, width, channels, period;

  double at(std::ptrdiff_t y, std::ptrdiff_t x, std::size_t channel) const {
    const std::size_t phase = channel / channels;
    y = y * std::ptrdiff_t(period) + std::ptrdiff_t(phase / period);
    x = x * std::ptrdiff_t(period) + std::ptrdiff_t(phase % period);
    if (y < 0 || x < 0 || y >= std::ptrdiff_t(height) || x >= std::ptrdiff_t(width)) return 0;
    return pixels[(std::size_t(y) * width + std::size_t(x)) * channels + channel % channels];
  }

  double sum(const Floats &weight, std::size_t output, std::size_t y, std::size_t x,
             std::size_t side) const {
    const std::size_t all = channels * period * period;
    double total = 0;
    for (std::size_t c = 0; c < all; ++c)
      for (std::size_t tap = 0; tap < side * side; ++tap)
        total += double(weight[(output * all + c) * side * side + tap]) *
                 at(std::ptrdiff_t(y + tap / side) - std::ptrdiff_t(side / 2),
                    std::ptrdiff_t(x + tap % side) - std::ptrdiff_t(side / 2), c);
    return total;
  }
};

[[noreturn]] void fail(std::uint64_t seed, const char *layer) {
  throw std::runtime_error("seed " + std::to_string(seed) + ", " + layer);
}

void compare(const Floats &found, const std::vector<double> &expected, std::uint64_t seed,
             const char *layer) {
  double largest = 1;
  for (const double value : expected) largest = std::max(largest, std::fabs(value));
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!(std::fabs(found[i] - expected[i]) < 1e-4 * largest)) fail(seed, layer);
}

// Runs `layer` into arrays of `count` floats, with one thread and with three.
template <typename Layer>
Floats run(std::size_t count, std::uint64_t seed, const char *name, const Layer &layer) {
  Floats one(count), three(count);
  layer(one.data(), 1);
  layer(three.data(), 3);
  if (one != three) fail(seed, name);
  return one;
}

// Of a cell's kinds the taps `tap` of each, by its shares.
double blended(const Floats &taps, const float *place, std::size_t cells, std::size_t tap) {
  const auto kind_of = [](std::size_t here, std::size_t near, std::size_t direction) {
    return (here * kPlaceLevels + near) * kPlaceDirections + direction;
  };
  const double direction = place[2 * cells], turned = std::fabs(direction);
  double sum = 0;
  for (std::size_t here = 0; here < kPlaceLevels; ++here)
    for (std::size_t near = 0; near < kPlaceLevels; ++near) {
      const double of_here = std::fmax(0.0, 1 - std::fabs(place[0] - double(here)));
      const double of_near = std::fmax(0.0, 1 - std::fabs(place[cells] - double(near)));
      const std::size_t each = 2 * kPlaceTaps * kPlaceColumns;
      sum += of_here * of_near *
             ((1 - turned) * taps[kind_of(here, near, 2) * each + tap] +
              turned * taps[kind_of(here, near, direction > 0 ? 0 : 1) * each + tap]);
    }
  return sum;
}

// Pixels from smooth to rough, so that places of all levels and between them occur.
void check_places(Random &random, std::uint64_t seed) {
  const std::size_t h = 2 + 2 * random.below(30), w = 2 + 2 * random.below(30);
  const std::size_t plane = h * w, cells = plane / 4;
  Floats x = random_floats(random, 3 * plane);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.5f + 0.2f * x[i] * float(i % w) / float(w);
  const Floats taps = random_floats(random, kPlaceKinds * 2 * kPlaceTaps * kPlaceColumns);
  const float clip = 0.1f;
  const Floats places = run(3 * cells, seed, "find_places", [&](float *out, std::size_t threads) {
    find_places(x.data(), out, h, w, threads);
  });
  const Floats found = run(3 * plane, seed, "filter_places", [&](float *out, std::size_t threads) {
    filter_places(x.data(), taps.data(), clip, out, h, w, threads);
  });
  const auto luma = [&](std::size_t y, std::size_t z) {
    const std::size_t at = y * w + z;
    return (double(x[at]) + x[plane + at] + x[2 * plane + at]) / std::sqrt(3.0);
  };
  const auto moved = [](std::size_t from, std::size_t by, std::size_t end) {
    return std::min(std::max<std::size_t>(from + by, 3) - 3, end - 1);
  };
  std::vector<double> expected(3 * plane);
  for (std::size_t i = 0; i < plane; ++i) {
    const std::size_t y = i / w, z = i % w;
    const float *const place = places.data() + y / 2 * (w / 2) + z / 2;
    double sum = 0;
    for (std::size_t r = 0; r < kPlaceTaps; ++r)
      for (std::size_t c = 0; c < kPlaceTaps; ++c) {
        const double difference = luma(moved(y, r, h), moved(z, c, w)) - luma(y, z);
        const double bounded = std::fmin(std::fmax(difference, -clip), clip);
        const std::size_t tap = r * kPlaceColumns + c;
        sum += difference * blended(taps, place, cells, tap) +
               bounded * blended(taps, place, cells, tap + kPlaceTaps * kPlaceColumns);
      }
    for (std::size_t component = 0; component < 3; ++component)
      expected[component * plane + i] = x[component * plane + i] + sum / std::sqrt(3.0);
  }
  compare(found, expected, seed, "filter_places");
}

void check(std::uint64_t seed) {
  Random random(seed);
  const std::size_t h = 1 + random.below(60), w = 1 + random.below(60);
  const std::size_t inputs = 1 + random.below(20), outputs = 1 + random.below(40);
  const Floats x = random_floats(random, h * w * inputs);
  const Finish slopes{random.one_of({0.0f, 0.25f, 1.0f}), nullptr, random.one_of({0.0f, 1.0f})};
  const bool adds = random.below(2) == 0;
  {
    const std::size_t side = random.one_of({1u, 3u, 5u, 7u}), stride = 1 + random.below(3);
    const Convolution c{h, w, inputs, outputs, side, stride};
    const Floats weight = random_floats(random, outputs * inputs * side * side);
    const Floats bias = random_floats(random, outputs);
    const std::size_t count = c.out_height() * c.out_width() * outputs;
    const Floats plus = random_floats(random, count);
    Finish finish = slopes;
    if (adds) finish.plus = plus.data();
    const Floats found = run(count, seed, "convolution", [&](float *out, std::size_t threads) {
      convolution(x.data(), weight.data(), bias.data(), finish, out, c, threads);
    });
    const Source source{x, h, w, inputs, 1};
    std::vector<double> expected;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t position = i / outputs, o = i % outputs;
      const double value = source.sum(weight, o, position / c.out_width() * stride,
                                      position % c.out_width() * stride, side);
      expected.push_back(finished(value + bias[o], finish, i));
    }
    compare(found, expected, seed, "convolution");
  }
  {
    const std::size_t p = 1 + random.below(2), q = 1 + random.below(2);
    const Filtering f{(h + p - 1) / p, (w + p - 1) / p, inputs, outputs, p, q, h, w};
    const Floats weight = random_floats(random, outputs * q * q * inputs * p * p * 9);
    const Floats bias = random_floats(random, outputs * q * q);
    const std::size_t width = f.width * q, count = f.height * q * width * outputs;
    const Floats plus = random_floats(random, count);
    Finish finish = slopes;
    if (adds) finish.plus = plus.data();
    const Floats found =
        run(count, seed, "minimal_filtering", [&](float *out, std::size_t threads) {
          minimal_filtering(x.data(), weight.data(), bias.data(), finish, out, f, threads);
        });
    const Source source{x, h, w, inputs, p};
    std::vector<double> expected;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t y = i / outputs / width, column = i / outputs % width;
      const std::size_t o = (y % q * q + column % q) * outputs + i % outputs;
      const double value = source.sum(weight, o, y / q, column / q, 3);
      expected.push_back(finished(value + bias[o], finish, i));
    }
    compare(found, expected, seed, "minimal_filtering");
  }
  {
    const std::size_t items = 1 + random.below(3);
    const Filtering f{h, w, inputs, outputs, 1, 1, h, w};
    const Floats given = random_floats(random, items * h * w * inputs);
    const Floats gradient = random_floats(random, items * h * w * outputs);
    const std::size_t count = outputs * inputs * 9;
    const Floats found = run(count, seed, "filter_gradient", [&](float *out, std::size_t threads) {
      filter_gradient(given.data(), gradient.data(), out, items, f, threads);
    });
    std::vector<double> expected;
    for (std::size_t i = 0; i < count; ++i) {
      const std::ptrdiff_t down = std::ptrdiff_t(i % 9 / 3) - 1, across = std::ptrdiff_t(i % 3) - 1;
      double total = 0;
      for (std::size_t place = 0; place < items * h * w; ++place) {
        const std::ptrdiff_t y = std::ptrdiff_t(place / w % h) + down;
        const std::ptrdiff_t z = std::ptrdiff_t(place % w) + across;
        if (y < 0 || z < 0 || y >= std::ptrdiff_t(h) || z >= std::ptrdiff_t(w)) continue;
        const std::size_t from = (place / (h * w) * h + std::size_t(y)) * w + std::size_t(z);
        total += double(given[from * inputs + i / 9 % inputs]) *
                 gradient[place * outputs + i / 9 / inputs];
      }
      expected.push_back(total);
    }
    compare(found, expected, seed, "filter_gradient");
  }
  {
    const std::size_t items = 1 + random.below(3);
    const Floats given = random_floats(random, items * h * inputs);
    const Floats affine = random_floats(random, items * 2 * inputs);
    const Floats gradient = random_floats(random, given.size());
    const Floats found = run(given.size(), seed, "gelu", [&](float *out, std::size_t threads) {
      gelu(given.data(), affine.data(), out, items, h, inputs, threads);
    });
    Floats sums(affine.size());
    const Floats back = run(given.size(), seed, "gelu_gradient", [&](float *out, std::size_t threads) {
      gelu_gradient(given.data(), affine.data(), gradient.data(), out, sums.data(), items, h, inputs,
                    threads);
    });
    std::vector<double> expected, slopes, sums_expected(affine.size());
    for (std::size_t i = 0; i < given.size(); ++i) {
      const std::size_t scale = i / (h * inputs) * 2 * inputs + i % inputs, shift = scale + inputs;
      const double x = double(given[i]) * affine[scale] + affine[shift];
      const double root = std::sqrt(2 / 3.14159265358979323846);
      const double t = std::tanh(root * (x + 0.044715 * x * x * x));
      expected.push_back(0.5 * x * (1 + t));
      const double inner = root * (1 + 3 * 0.044715 * x * x);
      const double change = gradient[i] * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner);
      slopes.push_back(change * affine[scale]);
      sums_expected[scale] += change * given[i];
      sums_expected[shift] += change;
    }
    compare(found, expected, seed, "gelu");
    compare(back, slopes, seed, "gelu_gradient");
    compare(sums, sums_expected, seed, "gelu_gradient of scales and shifts");
  }
  check_places(random, seed);
  {
    Floats gamma = random_floats(random, inputs * inputs), beta = random_floats(random, inputs);
    for (float &value : gamma) value = std::fabs(value);
    for (float &value : beta) value = std::fabs(value) + 0.1f;
    const bool inverse = random.below(2) == 0;
    const Floats found =
        run(x.size(), seed, "divisive_normalisation", [&](float *out, std::size_t threads) {
          divisive_normalisation(x.data(), gamma.data(), beta.data(), out, h * w, inputs, inverse,
                                 threads);
        });
    std::vector<double> expected;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t first = i / inputs * inputs, o = i % inputs;
      double energy = beta[o];
      for (std::size_t k = 0; k < inputs; ++k)
        energy += double(gamma[o * inputs + k]) * x[first + k] * x[first + k];
      expected.push_back(inverse ? x[i] * std::sqrt(energy) : x[i] / std::sqrt(energy));
    }
    compare(found, expected, seed, "divisive_normalisation");
  }
}

}  // namespace

int main(int count, char **arguments) {
  if (!has_layers()) {
    std::printf("no AVX2 with FMA here: nothing to run\n");
    return 0;
  }
  const std::size_t items = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 100;
  const std::uint64_t first = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0;
  try {
    run_tasks(items, kCallers, [&](std::size_t item) { check(first + item); });
  } catch (const std::runtime_error &error) {
    std::fprintf(stderr, "FAILED: %s\n", error.what());
    return 1;
  }
  std::printf("%zu items: all layers as expected\n", items);
  return 0;
}
