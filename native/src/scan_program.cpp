#include "scan_program.hpp"

#include <algorithm>
#include <string>

#include "errors.hpp"

namespace kodec {
namespace {

constexpr std::int64_t kLargestSum = std::int64_t(1) << 53;
constexpr std::size_t kMostWidth = 4096;
constexpr std::int32_t kMostReach = 64;
constexpr int kMostFraction = 30;

std::int64_t magnitude(std::int64_t value) { return value < 0 ? -value : value; }

// No sum may reach 2^53: what float64 networks do exactly is then the same.
void check_layer(const ScanLayer &layer, std::size_t number) {
  const std::string name = "layer " + std::to_string(number) + " of a scan program";
  if (layer.outputs < 1 || layer.outputs > kMostWidth || layer.inputs > kMostWidth)
    throw InvalidInputError(name + " has more than 4096 inputs or outputs, or none");
  if (layer.weights.size() != layer.inputs * layer.outputs || layer.biases.size() != layer.outputs)
    throw InvalidInputError(name + " has another number of weights or biases than it says");
  if (layer.fraction < 0 || layer.fraction > kMostFraction || layer.bound < 1 ||
      layer.bound > kLargestScanValue)
    throw InvalidInputError(name + " needs a fraction of 0 to 30 bits and a bound of 1 to 2^30");
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    if (layer.biases[o] <= -kLargestSum || layer.biases[o] >= kLargestSum)
      throw InvalidInputError(name + " has a bias beyond 2^53");
    std::int64_t most = magnitude(layer.biases[o]) + (std::int64_t(1) << layer.fraction) / 2;
    for (std::size_t i = 0; i < layer.inputs; ++i) {
      const std::int64_t weight = magnitude(layer.weights[o * layer.inputs + i]);
      if (weight > (kLargestSum - most) / layer.bound)
        throw InvalidInputError(name + " has sums that may reach 2^53: lower its weights or bound");
      most += weight * layer.bound;
    }
    if (most >= kLargestSum)
      throw InvalidInputError(name + " has sums that may reach 2^53: lower its weights or bound");
  }
}

}  // namespace

ScanProgram::ScanProgram(std::size_t channels, std::size_t side, std::vector<ScanTap> taps,
                         std::vector<ScanLayer> layers)
    : channels_(channels), side_(side), taps_(std::move(taps)), layers_(std::move(layers)) {
  if (channels_ < 1 || channels_ > kMostWidth || side_ > kMostWidth || taps_.size() > kMostWidth)
    throw InvalidInputError("a scan program has 1 to 4096 channels, at most 4096 taps and side inputs");
  for (const ScanTap &tap : taps_) {
    if (tap.up < 0 || (tap.up == 0 && tap.right >= 0))
      throw InvalidInputError("a scan program's tap looks at what is not coded before it");
    if (tap.up > kMostReach || tap.right > kMostReach || tap.right < -kMostReach)
      throw InvalidInputError("a scan program's taps reach at most 64 positions");
    if (tap.channel < 0 || std::size_t(tap.channel) >= channels_)
      throw InvalidInputError("a scan program's tap looks at a channel that there is not");
    up_ = std::max(up_, tap.up);
    right_ = std::max(right_, tap.right);
    left_ = std::max(left_, -tap.right);
  }
  std::size_t width = taps_.size() + side_;
  if (layers_.empty()) throw InvalidInputError("a scan program needs a layer");
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    if (layers_[l].inputs != width)
      throw InvalidInputError("layer " + std::to_string(l) + " of a scan program takes " +
                              std::to_string(layers_[l].inputs) + " inputs, but gets " +
                              std::to_string(width));
    check_layer(layers_[l], l);
    widest_ = std::max({widest_, width, layers_[l].outputs});
    width = layers_[l].outputs;
  }
  if (width != 2 * channels_)
    throw InvalidInputError("a scan program ends in a mean and an index for each channel");
}

Scan::Scan(const ScanProgram &program, std::size_t rows, std::size_t columns,
           const std::int32_t *side, std::uint32_t highest_index)
    : program_(program),
      columns_(columns),
      stride_((columns + std::size_t(program.left_ + program.right_)) * program.channels_),
      side_(side),
      highest_index_(highest_index),
      values_((rows + std::size_t(program.up_)) * stride_),
      now_(program.widest_),
      next_(program.widest_) {
  for (const ScanTap &tap : program.taps_)
    offsets_.push_back(-std::ptrdiff_t(tap.up) * std::ptrdiff_t(stride_) +
                       std::ptrdiff_t(tap.right) * std::ptrdiff_t(program.channels_) + tap.channel);
}

void Scan::predict(std::int64_t *means, std::uint16_t *indexes) {
  const std::size_t channels = program_.channels_;
  const std::int32_t *const here =
      values_.data() + (row_ + std::size_t(program_.up_)) * stride_ +
      (column_ + std::size_t(program_.left_)) * channels;
  std::size_t width = 0;
  for (const std::ptrdiff_t offset : offsets_) now_[width++] = here[offset];
  const std::int32_t *const side = side_ + (row_ * columns_ + column_) * program_.side_;
  for (std::size_t i = 0; i < program_.side_; ++i) now_[width++] = side[i];
  for (const ScanLayer &layer : program_.layers_) {
    for (std::size_t i = 0; i < layer.inputs; ++i)
      now_[i] = std::clamp(now_[i], -layer.bound, layer.bound);
    const std::int64_t half = (std::int64_t(1) << layer.fraction) / 2;
    for (std::size_t o = 0; o < layer.outputs; ++o) {
      const std::int32_t *const row = layer.weights.data() + o * layer.inputs;
      std::int64_t sum = layer.biases[o] + half;
      for (std::size_t i = 0; i < layer.inputs; ++i) sum += row[i] * now_[i];
      sum >>= layer.fraction;
      next_[o] = layer.rectified ? std::max<std::int64_t>(sum, 0) : sum;
    }
    now_.swap(next_);
  }
  for (std::size_t c = 0; c < channels; ++c) {
    means[c] = std::clamp(now_[c], -kLargestScanValue, kLargestScanValue);
    indexes[c] = std::uint16_t(
        std::clamp<std::int64_t>(now_[channels + c], 1, std::int64_t(highest_index_)));
  }
}

void Scan::take(const std::int32_t *values) {
  const std::size_t channels = program_.channels_;
  std::copy(values, values + channels,
            values_.data() + (row_ + std::size_t(program_.up_)) * stride_ +
                (column_ + std::size_t(program_.left_)) * channels);
  if (++column_ == columns_) {
    column_ = 0;
    ++row_;
  }
}

}  // namespace kodec
