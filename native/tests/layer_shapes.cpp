// Layers of random shapes, in arrays of exactly their sizes, against loops in double precision; with
// any number of threads, and with any instruction set, the same bits. Several items at a time.
// layer_shapes [ITEMS [FIRST_SEED]].
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "errors.hpp"
#include "layers/layers.hpp"
#include "parallel.hpp"
#include "place_components.hpp"
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

double gelu_of(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

double finished(double value, const Finish &finish, std::size_t place, std::size_t output) {
  if (finish.scale != nullptr) value = value * finish.scale[output] + finish.shift[output];
  if (finish.gelu) value = gelu_of(value);
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
                 at(std::ptrdiff_t(y + tap / side) - std::ptrdiff_t((side - 1) / 2),
                    std::ptrdiff_t(x + tap % side) - std::ptrdiff_t((side - 1) / 2), c);
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

// Of all results of the item that this thread checks.
thread_local std::uint64_t digest;

void digest_of(const Floats &found) {
  for (const float value : found) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    digest = (digest ^ bits) * 0x100000001b3u;
  }
}

// Runs `layer` into arrays of `count` floats, with one thread and with three.
template <typename Layer>
Floats run(std::size_t count, std::uint64_t seed, const char *name, const Layer &layer) {
  Floats one(count), three(count);
  layer(one.data(), 1);
  layer(three.data(), 3);
  if (one != three) fail(seed, name);
  digest_of(one);
  return one;
}

// Pixels from smooth to rough, so that places of all levels and between them occur; of luma alone,
// and of colours too.
void check_places(Random &random, std::uint64_t seed) {
  const std::size_t h = 2 + 2 * random.below(30), w = 2 + 2 * random.below(30);
  const std::size_t plane = h * w, cells = plane / 4;
  Floats x = random_floats(random, 3 * plane);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.5f + 0.2f * x[i] * float(i % w) / float(w);
  constexpr std::size_t kWhole = 2 * kPlaceTaps * kPlaceColumns;
  constexpr std::size_t kBoth = 2 * kPlaceColourTaps * kPlaceColumns, kWeights = 3 * kPlaceGuides;
  const Floats taps = random_floats(random, kPlaceKinds * kWhole);
  const Floats more = random_floats(random, kPlaceKinds * kBoth);
  const Floats weights = random_floats(random, kPlaceKinds * kWeights);
  const float clip = 0.1f;
  const ColourTaps colours{more.data(), weights.data(), {0.05f, 0.2f}, {0.001f, 0.01f}};
  const Floats places = run(3 * cells, seed, "find_places", [&](float *out, std::size_t threads) {
    find_places(x.data(), out, h, w, threads);
  });
  const Components components(x, h, w);
  for (const ColourTaps *const with : {static_cast<const ColourTaps *>(nullptr), &colours}) {
    const char *const name = with == nullptr ? "filter_places" : "filter_places with colours";
    const Floats found = run(3 * plane, seed, name, [&](float *out, std::size_t threads) {
      filter_places(x.data(), taps.data(), clip, with, out, h, w, threads);
    });
    std::vector<double> expected(3 * plane);
    for (std::size_t i = 0; i < plane; ++i) {
      const float *const place = places.data() + i / w / 2 * (w / 2) + i % w / 2;
      double added[3] = {0, 0, 0};
      const auto tap = [&](std::size_t r, std::size_t c, std::size_t k) {
        return blended(taps, kWhole, place, cells, (k * kPlaceTaps + r) * kPlaceColumns + c);
      };
      added[0] = components.by_taps(0, i, 3, clip, tap);
      for (std::size_t c = 0; with != nullptr && c < 3; ++c) {
        if (c > 0)
          added[c] = components.by_taps(
              c, i, 1, colours.clips[c - 1], [&](std::size_t r, std::size_t z, std::size_t k) {
                const std::size_t row = k * kPlaceColourTaps + r;
                return blended(more, kBoth, place, cells, row * kPlaceColumns + 4 * (c - 1) + z);
              });
        for (std::size_t g = 0; g < kPlaceGuides; ++g)
          added[c] += blended(weights, kWeights, place, cells, c * kPlaceGuides + g) *
                      components.lacks(c, i, g < 2 ? 1 : 2, colours.floors[g % 2]);
      }
      const double luma = added[0] / std::sqrt(3.0), tilt = added[1] / std::sqrt(2.0),
                   green = added[2] / std::sqrt(6.0);
      const double back[] = {luma + tilt + green, luma - 2 * green, luma - tilt + green};
      for (std::size_t c = 0; c < 3; ++c) expected[c * plane + i] = x[c * plane + i] + back[c];
    }
    compare(found, expected, seed, name);
  }
}

// Across all inner boundaries of blocks, along rows of `width` values `step` apart.
void filter_boundaries(std::vector<double> &plane, std::size_t lines, std::size_t line_step,
                       std::size_t width, std::size_t step, std::size_t side, const Floats &matrix) {
  for (std::size_t line = 0; line < lines; ++line)
    for (std::size_t first = side / 2; first + side <= width; first += side) {
      std::vector<double> sums(side);
      const auto at = [&](std::size_t i) -> double & {
        return plane[line * line_step + (first + i) * step];
      };
      for (std::size_t j = 0; j < side; ++j)
        for (std::size_t i = 0; i < side; ++i) sums[j] += matrix[j * side + i] * at(i);
      for (std::size_t j = 0; j < side; ++j) at(j) = sums[j];
    }
}

void check_blocks(Random &random, std::uint64_t seed) {
  const std::size_t side = 2 + 2 * random.below(10), components = 1 + random.below(3);
  const std::size_t h = side * (1 + random.below(4)), w = side * (1 + random.below(4));
  const PixelBlocks shape{components, h, w, side};
  const std::size_t count = components * h * w;
  const Floats x = random_floats(random, count), plus = random_floats(random, count);
  const Floats matrix = random_floats(random, side * side);
  const bool filters = random.below(2) == 0, adds = random.below(2) == 0;
  const float *const given = filters ? matrix.data() : nullptr;
  const auto place = [&](std::size_t c, std::size_t y, std::size_t z) {
    const std::size_t block = y / side * (w / side) + z / side;
    return ((block * components + c) * side + y % side) * side + z % side;
  };
  const auto filter = [&](std::vector<double> &plane) {
    if (!filters) return;
    filter_boundaries(plane, h, w, w, 1, side, matrix);
    filter_boundaries(plane, w, 1, h, w, side, matrix);
  };
  const Floats there = run(count, seed, "to_blocks", [&](float *out, std::size_t threads) {
    to_blocks(x.data(), given, 0.25f, out, shape, threads);
  });
  const Floats back = run(count, seed, "from_blocks", [&](float *out, std::size_t threads) {
    from_blocks(x.data(), given, 0.25f, adds ? plus.data() : nullptr, out, shape, threads);
  });
  std::vector<double> expected(count), expected_back(count);
  for (std::size_t c = 0; c < components; ++c) {
    std::vector<double> plane(h * w), plane_back(h * w);
    for (std::size_t i = 0; i < h * w; ++i) {
      plane[i] = x[c * h * w + i] + 0.25;
      plane_back[i] = x[place(c, i / w, i % w)];
    }
    filter(plane);
    filter(plane_back);
    for (std::size_t i = 0; i < h * w; ++i) {
      expected[place(c, i / w, i % w)] = plane[i];
      const std::size_t at = c * h * w + i;
      expected_back[at] = plane_back[i] + 0.25 + (adds ? plus[at] : 0);
    }
  }
  compare(there, expected, seed, "to_blocks");
  compare(back, expected_back, seed, "from_blocks");
}

void check(std::uint64_t seed) {
  Random random(seed);
  const std::size_t h = 1 + random.below(60), w = 1 + random.below(60);
  const std::size_t inputs = 1 + random.below(20), outputs = 1 + random.below(40);
  const Floats x = random_floats(random, h * w * inputs);
  Finish finish{random.one_of({0.0f, 0.25f, 1.0f}), nullptr, random.one_of({0.0f, 1.0f})};
  finish.gelu = random.below(3) == 0;
  if (finish.gelu) finish.slope = 1;
  const bool adds = random.below(2) == 0, scales = random.below(2) == 0;
  const std::size_t p = 1 + random.below(2), q = 1 + random.below(2);
  const Floats affine = random_floats(random, 2 * outputs * q * q);
  if (scales) finish.scale = affine.data(), finish.shift = finish.scale + outputs * q * q;
  {
    const std::size_t stride = 1 + random.below(3);
    const std::size_t side = random.one_of({std::size_t(1), std::size_t(3), std::size_t(5), stride});
    const Convolution c{h, w, inputs, outputs, side, stride, q};
    const Floats weight = random_floats(random, outputs * q * q * inputs * side * side);
    const Floats bias = random_floats(random, outputs * q * q);
    const std::size_t width = c.out_width() * q, count = c.out_height() * q * width * outputs;
    const Floats plus = random_floats(random, count);
    finish.plus = adds ? plus.data() : nullptr;
    const Buffer filters = convolution_filters(weight.data(), c);
    const Floats found = run(count, seed, "convolution", [&](float *out, std::size_t threads) {
      convolution(x.data(), filters.data(), bias.data(), finish, out, c, threads);
    });
    const Source source{x, h, w, inputs, 1};
    std::vector<double> expected;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t y = i / outputs / width, column = i / outputs % width;
      const std::size_t o = (y % q * q + column % q) * outputs + i % outputs;
      const double value = source.sum(weight, o, y / q * stride, column / q * stride, side);
      expected.push_back(finished(value + bias[o], finish, i, o));
    }
    compare(found, expected, seed, "convolution");
  }
  {
    const Filtering f{(h + p - 1) / p, (w + p - 1) / p, inputs, outputs, p, q, h, w};
    const Floats weight = random_floats(random, outputs * q * q * inputs * p * p * 9);
    const Floats bias = random_floats(random, outputs * q * q);
    const std::size_t width = f.width * q, count = f.height * q * width * outputs;
    const Floats plus = random_floats(random, count);
    finish.plus = adds ? plus.data() : nullptr;
    const Floats found =
        run(count, seed, "minimal_filtering", [&](float *out, std::size_t threads) {
          const Buffer filters = minimal_filters(weight.data(), f, threads);
          minimal_filtering(x.data(), filters.data(), bias.data(), finish, out, f, threads);
        });
    const Source source{x, h, w, inputs, p};
    std::vector<double> expected;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t y = i / outputs / width, column = i / outputs % width;
      const std::size_t o = (y % q * q + column % q) * outputs + i % outputs;
      const double value = source.sum(weight, o, y / q, column / q, 3);
      expected.push_back(finished(value + bias[o], finish, i, o));
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
      expected.push_back(gelu_of(x));
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
  check_blocks(random, seed);
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
  std::vector<std::uint64_t> before;
  for (const char *const name : {"avx2", "avx512"}) try {
      setenv("KODEC_LAYERS", name, 1);
      layers_name();
      std::vector<std::uint64_t> digests(items);
      run_tasks(items, kCallers, [&](std::size_t item) {
        digest = 0;
        check(first + item);
        digests[item] = digest;
      });
      for (std::size_t item = 0; item < before.size(); ++item)
        if (digests[item] != before[item]) fail(first + item, "other bits than with avx2");
      before = digests;
      std::printf("%zu items with %s: all layers as expected\n", items, name);
    } catch (const InvalidInputError &) {
      // Not of this machine.
    } catch (const std::runtime_error &error) {
      std::fprintf(stderr, "FAILED with %s: %s\n", name, error.what());
      return 1;
    }
  return 0;
}
