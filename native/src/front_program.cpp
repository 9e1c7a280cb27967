#include "front_program.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "errors.hpp"

namespace kodec {
namespace {

constexpr std::int64_t kLargestSum = std::int64_t(1) << 53;
constexpr std::int64_t kLargestInput = std::int64_t(1) << 30;
constexpr std::size_t kMostWidth = 256;
constexpr std::size_t kMostLayers = 16;
constexpr std::int32_t kMostReach = 16;
constexpr int kMostShift = 32;
constexpr std::int32_t kLargestValue = 1 << 15;

std::int64_t magnitude(std::int64_t value) { return value < 0 ? -value : value; }

}  // namespace

FrontProgram::FrontProgram(std::vector<FrontTap> taps, std::size_t side, std::int64_t side_bound,
                           std::int32_t least, std::int32_t most,
                           const std::vector<FrontLayer> &layers, LocatedScales scales)
    : taps_(std::move(taps)),
      side_(side),
      side_bound_(side_bound),
      least_(least),
      most_(most),
      scales_(std::move(scales)) {
  if (least_ > 0 || most_ < 0 || least_ < -kLargestValue || most_ > kLargestValue)
    throw InvalidInputError("a front program's values lie between two bounds, 0 among them, of at most 2^15");
  if (taps_.empty() || taps_.size() > kMostWidth || side_ > kMostWidth || side_bound_ < 0 ||
      side_bound_ > kLargestInput)
    throw InvalidInputError(
        "a front program has 1 to 256 taps and at most 256 side integers, of at most 2^30");
  check_taps();
  check_scales();
  std::vector<std::int64_t> inputs(taps_.size(), std::max<std::int64_t>(-least_, most_));
  inputs.resize(taps_.size() + side_, side_bound_);
  if (layers.empty() || layers.size() > kMostLayers)
    throw InvalidInputError("a front program has 1 to 16 layers");
  std::vector<std::int64_t> bounds;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (l == 0) bounds = inputs;
    if (l > 0 && l + 1 == layers.size()) bounds.insert(bounds.end(), inputs.begin(), inputs.end());
    add_layer(layers[l], bounds, l);
  }
  if (layers_.back().outputs != 2 || layers_.back().rectified)
    throw InvalidInputError("a front program ends in a mean and a log scale, not rectified");
}

void FrontProgram::check_taps() {
  for (const FrontTap &tap : taps_) {
    if (tap.down > 0 || (tap.down == 0 && tap.right >= 0))
      throw InvalidInputError("a front program's tap looks at what is not coded before it");
    if (tap.down < -kMostReach || tap.right < -kMostReach || tap.right > kMostReach)
      throw InvalidInputError("a front program's taps reach at most 16 positions");
    // The least slope with which all of them lie in earlier fronts.
    while (tap.right + std::int64_t(slope_) * tap.down >= 0) ++slope_;
    up_ = std::max(up_, std::size_t(-tap.down));
  }
  for (const FrontTap &tap : taps_)
    fronts_back_ = std::max(
        fronts_back_, std::size_t(-(tap.right + std::int64_t(slope_) * tap.down)));
}

void FrontProgram::add_layer(const FrontLayer &layer, std::vector<std::int64_t> &bounds,
                             std::size_t number) {
  const std::string name = "layer " + std::to_string(number) + " of a front program";
  if (layer.inputs != bounds.size())
    throw InvalidInputError(name + " takes " + std::to_string(layer.inputs) + " inputs, but gets " +
                            std::to_string(bounds.size()));
  if (layer.outputs < 1 || layer.outputs > kMostWidth)
    throw InvalidInputError(name + " has more than 256 outputs, or none");
  if (layer.weights.size() != layer.inputs * layer.outputs || layer.biases.size() != layer.outputs)
    throw InvalidInputError(name + " has another number of weights or biases than it says");
  // By one or two bits a sum might not be rounded down as it should.
  if (layer.shift != 0 && (layer.shift < 2 || layer.shift > kMostShift))
    throw InvalidInputError(name + " needs a shift of 0 or of 2 to 32 bits");
  const std::size_t padded = (layer.outputs + kOutputsAtOnce - 1) / kOutputsAtOnce * kOutputsAtOnce;
  ExactLayer exact{layer.inputs, layer.outputs, padded, {}, {}, layer.shift, layer.rectified};
  exact.weights.resize(exact.inputs * padded);
  exact.biases.resize(padded);
  std::vector<std::int64_t> outputs;
  for (std::size_t o = 0; o < layer.outputs; ++o) {
    if (layer.biases[o] <= -kLargestSum || layer.biases[o] >= kLargestSum)
      throw InvalidInputError(name + " has a bias beyond 2^53");
    std::int64_t most = magnitude(layer.biases[o]);
    for (std::size_t i = 0; i < layer.inputs; ++i) {
      const std::int64_t weight = layer.weights[o * layer.inputs + i];
      if (weight <= -kLargestSum || weight >= kLargestSum ||
          (bounds[i] > 0 && magnitude(weight) > (kLargestSum - 1 - most) / bounds[i]))
        throw InvalidInputError(name + " has sums that may reach 2^53: lower its weights");
      most += magnitude(weight) * bounds[i];
      exact.weights[i * padded + o] = double(weight);
    }
    exact.biases[o] = double(layer.biases[o]);
    outputs.push_back((most >> layer.shift) + 1);
  }
  widest_ = std::max({widest_, layer.inputs, padded});
  layers_.push_back(std::move(exact));
  bounds = std::move(outputs);
}

void FrontProgram::check_scales() {
  const std::size_t count = scales_.levels.size();
  if (scales_.lowest >= scales_.highest || scales_.lowest < -kLargestValue ||
      scales_.highest > kLargestValue || count < 2 || count > 4096)
    throw InvalidInputError("a front program has 2 to 4096 levels of scale between two bounds");
  for (const LocatedLevel &level : scales_.levels) {
    if (level.mean_bits < 1 || level.mean_bits > kFrontFraction || level.first < 1 ||
        level.first > kMaxFrontIndex)
      throw InvalidInputError("a level of scale has means of 1 to 8 bits and tables from 1 on");
    highest_index_ = std::max(highest_index_, level.first + (1u << (level.mean_bits - 1)));
  }
  if (highest_index_ > kMaxFrontIndex)
    throw InvalidInputError("a level of scale has tables beyond 65535");
  // The nearest level, halves up.
  const std::int64_t range = std::int64_t(scales_.highest) - scales_.lowest;
  const std::int64_t steps = std::int64_t(count) - 1;
  for (std::int64_t at = 0; at <= range; ++at)
    level_of_.push_back(scales_.levels[std::size_t((2 * at * steps + range) / (2 * range))]);
}

FrontPass::FrontPass(const FrontProgram &program, std::size_t rows, std::size_t columns,
                     const std::int32_t *side, int side_shift, std::int32_t *values,
                     const FrontKernels &kernels)
    : program_(program),
      kernels_(kernels),
      rows_(rows),
      columns_(columns),
      side_(side),
      side_shift_(side_shift),
      values_(values) {
  // Rows of a tile may reach beyond the grid, above and below.
  stride_ = program.up_ + rows + kTile;
  std::size_t fronts = 2;
  while (fronts <= program.fronts_back_) fronts *= 2;
  ring_mask_ = fronts - 1;
  ring_.resize(fronts * stride_);
  const std::size_t inputs = program.taps_.size() + program.side_;
  room_.resize((2 * program.widest_ + inputs) * kTile);
  inputs_ = room_.data() + 2 * program.widest_ * kTile;
  const std::size_t longest = std::min(rows, (columns + program.slope_ - 1) / program.slope_);
  indexes_.reserve(longest);
  whole_.resize(longest);
  sign_.resize(longest);
  count_ = 1;
}

const std::vector<std::uint16_t> &FrontPass::predict() {
  indexes_.resize(count_);
  for (std::size_t first = 0; first < count_; first += kTile) {
    const std::size_t width = std::min(kTile, count_ - first);
    gather(first, width);
    const std::vector<ExactLayer> &layers = program_.layers_;
    const double *now = inputs_;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      // The last layer but one ends where the inputs begin; those before take turns.
      const std::size_t left = layers.size() - 1 - l;
      double *const next =
          left % 2 == 1 ? inputs_ - layers[l].outputs * kTile : room_.data();
      kernels_.layer(layers[l].view(), now, next, width);
      now = next;
    }
    locate(first, width);
  }
  return indexes_;
}

void FrontPass::gather(std::size_t first, std::size_t width) {
  double *row = inputs_;
  for (const FrontTap &tap : program_.taps_) {
    const std::int64_t back = -(tap.right + std::int64_t(program_.slope_) * tap.down);
    const std::int32_t *const from =
        front(back) + std::ptrdiff_t(program_.up_ + first_row_ + first) + tap.down;
    for (std::size_t i = 0; i < kTile; ++i) row[i] = from[i];
    row += kTile;
  }
  const std::size_t count = program_.side_;
  if (count == 0) return;
  const std::size_t stride = (columns_ + (std::size_t(1) << side_shift_) - 1) >> side_shift_;
  const auto bound = std::int32_t(program_.side_bound_);
  for (std::size_t i = 0; i < width; ++i) {
    const std::size_t y = first_row_ + first + i, x = front_ - program_.slope_ * y;
    const std::int32_t *const from =
        side_ + ((y >> side_shift_) * stride + (x >> side_shift_)) * count;
    for (std::size_t s = 0; s < count; ++s)
      row[s * kTile + i] = std::clamp(from[s], -bound, bound);
  }
}

void FrontPass::locate(std::size_t first, std::size_t count) {
  const double *const means = room_.data(), *const log_scales = means + kTile;
  const LocatedScales &scales = program_.scales_;
  const double lowest = scales.lowest, highest = scales.highest;
  const double least = double(program_.least_) * (1 << kFrontFraction);
  const double most = double(program_.most_ + 1) * (1 << kFrontFraction) - 1;
  for (std::size_t i = 0; i < count; ++i) {
    const double log_scale = std::min(std::max(log_scales[i], lowest), highest);
    const LocatedLevel level = program_.level_of_[std::size_t(std::int32_t(log_scale) - scales.lowest)];
    const auto mean = std::int32_t(std::min(std::max(means[i], least), most));
    const int drop = kFrontFraction - level.mean_bits;
    const std::int32_t multiple = (mean + (1 << drop >> 1)) >> drop;
    const std::int32_t whole = (multiple + (1 << level.mean_bits >> 1)) >> level.mean_bits;
    const std::int32_t rest = multiple - whole * (1 << level.mean_bits);
    whole_[first + i] = whole;
    sign_[first + i] = rest < 0 ? -1 : 1;
    indexes_[first + i] = std::uint16_t(level.first + std::uint32_t(rest < 0 ? -rest : rest));
  }
}

void FrontPass::take(const std::int32_t *symbols) {
  std::int32_t *const row = front(0) + program_.up_ + first_row_;
  bool outside = false;
  for (std::size_t i = 0; i < count_; ++i) {
    const std::int64_t value = whole_[i] + std::int64_t(sign_[i]) * symbols[i];
    outside |= value < program_.least_ || value > program_.most_;
    row[i] = std::int32_t(value);
    values_[place(i)] = std::int32_t(value);
  }
  if (outside) throw BitstreamError("a latent lies out of its range: a damaged stream");
  advance();
}

void FrontPass::known(std::int32_t *symbols) {
  std::int32_t *const row = front(0) + program_.up_ + first_row_;
  for (std::size_t i = 0; i < count_; ++i) {
    const std::int32_t value = values_[place(i)];
    if (value < program_.least_ || value > program_.most_)
      throw InvalidInputError("a latent lies out of its range of " + std::to_string(program_.least_) +
                              " to " + std::to_string(program_.most_));
    row[i] = value;
    symbols[i] = (value - whole_[i]) * sign_[i];
  }
  advance();
}

void FrontPass::advance() {
  do {
    ++front_;
    std::fill_n(front(0), stride_, 0);
    const std::size_t slope = program_.slope_;
    first_row_ = front_ < columns_ ? 0 : (front_ - columns_) / slope + 1;
    const std::size_t last = std::min(rows_ - 1, front_ / slope);
    count_ = last + 1 > first_row_ ? last + 1 - first_row_ : 0;
    // Narrow grids have fronts without a position.
  } while (count_ == 0 && front_ < columns_ + program_.slope_ * (rows_ - 1));
}

}  // namespace kodec
