// A network at the positions of a tile, and back.
#pragma once

#include "products.hpp"

namespace kodec {
namespace {

// Hands out rows of tiles from a plain piece of memory.
struct Room {
  float *next;

  float *take(std::size_t floats) {
    float *const found = next;
    next += floats;
    return found;
  }
  void rows(float **to, std::size_t count) {
    for (std::size_t row = 0; row < count; ++row) to[row] = take(kTile);
  }
};

// The normal distribution's function and density: absolute errors below 2e-7. By Hastings' formula of
// five terms for the complementary error function.
inline void normal(Lanes x, Lanes &below, Lanes &density) {
  const Lanes size = magnitude(x) * 0.70710678118654752f;
  const Lanes t = 1.0f / (size * 0.3275911f + 1.0f);
  const Lanes falling = exponential(-size * size).whole;
  Lanes p = t * 1.061405429f - 1.453152027f;
  constexpr float kNext[] = {1.421413741f, -0.284496736f, 0.254829592f};
  for (const float c : kNext) p = p * t + c;
  const Lanes tail = p * t * falling * 0.5f;
  below = x > 0.0f ? 1.0f - tail : tail;
  density = falling * 0.3989422804014327f;
}

// A curved activation of rows, in place, and its derivative there.
void activate(const NetworkLayer &layer, float *const *rows, float *const *slopes) {
  for (std::size_t o = 0; o < layer.outputs; ++o)
    for (std::size_t p = 0; p < kTile; p += kLanes) {
      const Lanes x = load(rows[o] + p);
      Lanes found{}, slope{};
      if (layer.activation == Activation::kGelu) {
        Lanes below, density;
        normal(x, below, density);
        found = x * below;
        slope = x * density + below;
      } else {
        for (std::size_t k = 0; k < layer.pieces; ++k) {
          const Lanes beyond = larger(x - layer.knots[k], Lanes{});
          found += layer.growth[k] * beyond;
          slope += beyond > 0.0f ? all(layer.growth[k]) : Lanes{};
        }
      }
      store(rows[o] + p, found);
      store(slopes[o] + p, slope);
    }
}

struct TileNetwork {
  const NetworkWeights &network;
  // What each layer gives, but the last; the derivative of its activation there, if that is curved.
  float *hidden[kMostLayers][kMostWidth], *slopes[kMostLayers][kMostWidth];
  float *one[kMostWidth], *other[kMostWidth];  // gradients of what a layer gives, and is given
  float *sums;                                 // (weights, kLanes)

  TileNetwork(const NetworkWeights &given, Room &room) : network(given) {
    for (std::size_t l = 0; l + 1 < network.count; ++l) {
      const NetworkLayer &layer = network.layers[l].layer;
      room.rows(hidden[l], layer.outputs);
      if (layer.curved()) room.rows(slopes[l], layer.outputs);
    }
    room.rows(one, network.width);
    room.rows(other, network.width);
    sums = room.take(network.weights * kLanes);
  }

  void clear_sums() {
    for (std::size_t i = 0; i < network.weights * kLanes; ++i) sums[i] = 0;
  }

  void write_sums(float *to) const {
    for (std::size_t i = 0; i < network.weights; ++i) to[i] = sum_of(load(sums + i * kLanes));
  }

  const float *const *given_to(std::size_t l, const float *const *x) const {
    return l == 0 ? x : hidden[l - 1];
  }

  // Layers but the last, which alone is needed for gradients.
  void run_hidden(const float *const *x) {
    for (std::size_t l = 0; l + 1 < network.count; ++l) {
      run_layer(l, x, hidden[l]);
      if (network.layers[l].layer.curved()) activate(network.layers[l].layer, hidden[l], slopes[l]);
    }
  }

  void run_layer(std::size_t l, const float *const *x, float *const *out) {
    run(network.layers[l].layer, given_to(l, x), nullptr, out);
  }

  static void run(const NetworkLayer &layer, const float *const *x, const float *const *plus,
                  float *const *out) {
    multiply({layer.inputs, layer.outputs, x, layer.weight, layer.bias, layer.residual ? x : plus,
              nullptr, layer.rectified(), out, nullptr});
  }

  // After run_hidden. `gradient`: of what the network gives, already zero where the last layer's
  // rectifier was. Adds to sums; `x_gradient` rows are set, unless there are none.
  void back(const float *const *x, const float *const *gradient, float *const *x_gradient) {
    std::size_t place = 0;
    for (std::size_t l = 0; l < network.count; ++l)
      place += (network.layers[l].layer.inputs + 1) * network.layers[l].layer.outputs;
    const float *const *of_out = gradient;
    float **free = one;
    for (std::size_t l = network.count; l-- > 0;) {
      const NetworkLayer &layer = network.layers[l].layer;
      place -= (layer.inputs + 1) * layer.outputs;
      const float *const *const in = given_to(l, x);
      add(layer, of_out, in, place);
      if (l == 0 && x_gradient == nullptr) break;
      const bool gated = l > 0 && network.layers[l - 1].layer.rectified();
      const bool curved = l > 0 && network.layers[l - 1].layer.curved();
      float *const *const to = l == 0 ? x_gradient : free;
      multiply({layer.outputs, layer.inputs, of_out, network.layers[l].turned, nullptr,
                layer.residual ? of_out : nullptr, gated ? in : nullptr, false, to,
                curved ? slopes[l - 1] : nullptr});
      of_out = to;
      free = free == one ? other : one;
    }
  }

  // The branch; adds to x_gradient's rows, unless there are none.
  void back_branch(const float *const *x, const float *const *gradient, float *const *x_gradient) {
    const NetworkLayer &layer = network.branch->layer;
    add(layer, gradient, x, network.weights - (layer.inputs + 1) * layer.outputs);
    if (x_gradient != nullptr)
      multiply({layer.outputs, layer.inputs, gradient, network.branch->turned, nullptr, x_gradient,
                nullptr, false, x_gradient, nullptr});
  }

  void add(const NetworkLayer &layer, const float *const *gradient, const float *const *x,
           std::size_t place) {
    add_products(gradient, layer.outputs, x, layer.inputs, sums + place * kLanes);
    add_rows(gradient, layer.outputs, sums + (place + layer.inputs * layer.outputs) * kLanes);
  }
};

// Rows of planes at a tile: where they lie, or copies of them with zeros behind the last position.
struct PlaneRows {
  float *copies;  // (kMostWidth, kTile) or fewer

  void read(const float *planes, std::size_t step, std::size_t count, std::size_t at,
            std::size_t some, const float **rows) const {
    for (std::size_t i = 0; i < count; ++i) {
      const float *const from = planes + i * step + at;
      rows[i] = from;
      if (some == kTile) continue;
      float *const copy = copies + i * kTile;
      for (std::size_t p = 0; p < kTile; ++p) copy[p] = p < some ? from[p] : 0.0f;
      rows[i] = copy;
    }
  }

  void place(float *planes, std::size_t step, std::size_t count, std::size_t at, std::size_t some,
             float **rows) const {
    for (std::size_t i = 0; i < count; ++i)
      rows[i] = some == kTile ? planes + i * step + at : copies + i * kTile;
  }

  void write(float *planes, std::size_t step, std::size_t count, std::size_t at,
             std::size_t some) const {
    if (some == kTile) return;
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t p = 0; p < some; ++p) planes[i * step + at + p] = copies[i * kTile + p];
  }
};

void run_planes(const NetworkWork &work) {
  const NetworkWeights &network = *work.network;
  Room room{work.room};
  TileNetwork tile(network, room);
  const PlaneRows in{room.take(network.inputs * kTile)};
  const PlaneRows to{room.take(network.outputs * kTile)};
  const float *x[kMostWidth];
  float *out[kMostWidth];
  for (std::size_t at = work.first; at < work.last; at += kTile) {
    const std::size_t some = work.last - at < kTile ? work.last - at : kTile;
    in.read(work.x, work.step, network.inputs, at, some, x);
    tile.run_hidden(x);
    to.place(work.out, work.step, network.outputs, at, some, out);
    tile.run_layer(network.count - 1, x, out);
    to.write(work.out, work.step, network.outputs, at, some);
    if (network.branch == nullptr) continue;
    to.place(work.branch_out, work.step, network.outputs, at, some, out);
    TileNetwork::run(network.branch->layer, x, nullptr, out);
    to.write(work.branch_out, work.step, network.outputs, at, some);
  }
}

void differentiate_planes(const NetworkWork &work) {
  const NetworkWeights &network = *work.network;
  Room room{work.room};
  TileNetwork tile(network, room);
  const PlaneRows in{room.take(network.inputs * kTile)}, to{room.take(network.inputs * kTile)};
  const PlaneRows given{room.take(network.outputs * kTile)};
  float *last[kMostWidth];
  room.rows(last, network.outputs);
  const bool rectified = network.layers[network.count - 1].layer.rectified();
  const float *x[kMostWidth], *gradient[kMostWidth];
  float *x_gradient[kMostWidth];
  tile.clear_sums();
  for (std::size_t at = work.first; at < work.last; at += kTile) {
    const std::size_t some = work.last - at < kTile ? work.last - at : kTile;
    in.read(work.x, work.step, network.inputs, at, some, x);
    given.read(work.gradient, work.step, network.outputs, at, some, gradient);
    tile.run_hidden(x);
    if (rectified) {
      tile.run_layer(network.count - 1, x, last);
      for (std::size_t o = 0; o < network.outputs; ++o) {
        for (std::size_t p = 0; p < kTile; p += kLanes)
          store(last[o] + p, load(last[o] + p) > 0.0f ? load(gradient[o] + p) : Lanes{});
        gradient[o] = last[o];
      }
    }
    float *const *const found = work.x_gradient == nullptr ? nullptr : x_gradient;
    if (found != nullptr) to.place(work.x_gradient, work.step, network.inputs, at, some, x_gradient);
    tile.back(x, gradient, found);
    if (network.branch != nullptr) {
      given.read(work.branch_gradient, work.step, network.outputs, at, some, gradient);
      tile.back_branch(x, gradient, found);
    }
    if (found != nullptr) to.write(work.x_gradient, work.step, network.inputs, at, some);
  }
  tile.write_sums(work.weight_gradient);
}

}  // namespace
}  // namespace kodec
