// Random scan programs with blocks that they predict, for the native tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "random_items.hpp"
#include "scan_program.hpp"

namespace kodec {

struct RandomScan {
  std::size_t channels, side_inputs, rows, columns;
  std::vector<ScanTap> taps;
  std::vector<ScanLayer> layers;
  std::vector<std::int32_t> side, values;
  RandomBlock block;  // what an encoder is given: `theirs` are the program's indexes

  ScanProgram program() const { return {channels, side_inputs, taps, layers}; }
};

// Means (the first) and indexes of the channels at a position, in float64 and without a serial pass:
// as the Python step computes them (entropy/exact.py).
inline std::vector<double> expected_prediction(const RandomScan &scan, std::size_t row,
                                               std::size_t column) {
  std::vector<double> now, next;
  for (const ScanTap &tap : scan.taps) {
    const std::ptrdiff_t y = std::ptrdiff_t(row) - tap.up, x = std::ptrdiff_t(column) + tap.right;
    const bool inside = y >= 0 && x >= 0 && x < std::ptrdiff_t(scan.columns);
    const std::size_t place = std::size_t(y) * scan.columns + std::size_t(x);
    now.push_back(inside ? scan.values[place * scan.channels + std::size_t(tap.channel)] : 0);
  }
  for (std::size_t i = 0; i < scan.side_inputs; ++i)
    now.push_back(scan.side[(row * scan.columns + column) * scan.side_inputs + i]);
  for (const ScanLayer &layer : scan.layers) {
    next.clear();
    for (std::size_t o = 0; o < layer.outputs; ++o) {
      double sum = double(layer.biases[o]);
      for (std::size_t i = 0; i < layer.inputs; ++i)
        sum += double(layer.weights[o * layer.inputs + i]) *
               std::clamp(now[i], -double(layer.bound), double(layer.bound));
      const double rounded = std::floor(sum / double(std::int64_t(1) << layer.fraction) + 0.5);
      next.push_back(layer.rectified ? std::max(rounded, 0.0) : rounded);
    }
    now.swap(next);
  }
  return now;
}

inline RandomScan random_scan(Random &random, std::shared_ptr<const TableSet> tables) {
  RandomScan scan;
  scan.channels = 1 + random.below(3);
  scan.side_inputs = random.below(3);
  scan.rows = 1 + random.below(12);
  scan.columns = 1 + random.below(12);
  for (std::uint32_t t = random.below(7); t > 0; --t) {
    const std::int32_t up = std::int32_t(random.below(3)), across = std::int32_t(random.below(5));
    const std::int32_t right = up > 0 ? across - 2 : -1 - across;
    scan.taps.push_back({up, right, std::int32_t(random.below(std::uint32_t(scan.channels)))});
  }
  const double levels = double(tables->size());
  std::size_t inputs = scan.taps.size() + scan.side_inputs;
  for (std::uint32_t l = random.below(3) + 1; l > 0; --l) {
    const std::size_t outputs = l == 1 ? 2 * scan.channels : 1 + random.below(12);
    const int fraction = random.one_of({0, 3, 8, 8, 28});
    const double one = double(1 << fraction);
    ScanLayer layer{inputs, outputs, {}, {}, fraction, random.one_of({7, 4096, 100000}), l > 1};
    for (std::size_t i = 0; i < inputs * outputs; ++i)
      layer.weights.push_back(std::int32_t(random.normal() * 0.4 * one));
    for (std::size_t o = 0; o < outputs; ++o)
      layer.biases.push_back(std::int64_t(l == 1 && o >= scan.channels
                                              ? levels / 2 * one
                                              : random.normal() * 5 * one));
    scan.layers.push_back(std::move(layer));
    inputs = outputs;
  }
  const std::size_t positions = scan.rows * scan.columns;
  for (std::size_t i = 0; i < positions * scan.side_inputs; ++i)
    scan.side.push_back(std::int32_t(random.normal() * 100));
  const std::uint32_t wild = random.one_of({0u, 0u, 20u});
  for (std::size_t i = 0; i < positions * scan.channels; ++i)
    scan.values.push_back(random.below(1000) < wild ? random.one_of({1 << 29, -(1 << 29), 1 << 20})
                                                    : std::int32_t(random.normal() * 20));
  for (std::size_t position = 0; position < positions; ++position) {
    const std::vector<double> predicted =
        expected_prediction(scan, position / scan.columns, position % scan.columns);
    for (std::size_t c = 0; c < scan.channels; ++c) {
      const std::size_t i = position * scan.channels + c;
      scan.block.symbols.push_back(std::int32_t(scan.values[i] - predicted[c]));
      scan.block.theirs.push_back(
          std::uint16_t(std::clamp(predicted[scan.channels + c], 1.0, levels)));
      scan.block.indexes.push_back(scan.block.theirs.back());
      if (random.below(50) > 0) continue;
      scan.block.overrides.push_back(std::uint32_t(i));
      scan.block.indexes.back() = std::uint16_t(1 + random.below(std::uint32_t(levels)));
    }
  }
  scan.block.tables = std::move(tables);
  return scan;
}

}  // namespace kodec
