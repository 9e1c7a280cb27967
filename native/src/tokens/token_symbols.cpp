// What stands between networks and the coder: one pass over memory each, which limits them. The last
// bits are those of the same sums one by one, so this file is compiled without contraction.
#include "token_symbols.hpp"

#include <algorithm>
#include <cmath>

#include "../layers/tasks.hpp"

namespace kodec {
namespace {

constexpr double kLog2 = 0.69314718055994530942;
// 1.5 * 2^52: what is added to it loses its fraction, half of it to the even number.
constexpr double kRounding = 6755399441055744.0;
// Values of a task.
constexpr std::size_t kPart = 1 << 14;

// Bits of an integer of so large a size, 1 or more, above those of the next smaller one.
double last_step_bits(double size, double scale) {
  const double half = 0.5 / scale;
  const double step =
      size < 1.5 ? half + kLog2 - std::log1p(std::exp(-half)) : 2 * half;
  return step / kLog2;
}

template <typename Value>
void round_part(const Value *y, const LaplaceWork &work, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < last; ++i) {
    const double symbol = ((double(y[i]) - work.mean[i]) + kRounding) - kRounding;
    work.out[i] = work.log_scale[i] < work.coded_from ? 0.0 : symbol;
  }
  if (!(work.lagrangian > 0)) return;
  for (std::size_t i = first; i < last; ++i) {
    const double symbol = work.out[i];
    if (symbol == 0) continue;
    const double distance = double(y[i]) - work.mean[i];
    const double lower = symbol - (symbol > 0 ? 1.0 : -1.0);
    const double scale = std::exp(std::max(work.log_scale[i], work.log_smallest));
    const double worse = (distance - lower) * (distance - lower) - (distance - symbol) * (distance - symbol);
    if (worse < work.lagrangian * last_step_bits(std::fabs(symbol), scale)) work.out[i] = lower;
  }
}

}  // namespace

void laplace_symbols(const LaplaceWork &work, std::size_t count, std::size_t threads) {
  share_tasks((count + kPart - 1) / kPart, threads, [&](std::size_t task, std::size_t) {
    const std::size_t first = task * kPart, last = std::min(count, first + kPart);
    if (work.floats != nullptr)
      round_part(work.floats, work, first, last);
    else
      round_part(work.doubles, work, first, last);
  });
}

void located(const LocatedWork &work, std::size_t tokens, std::size_t threads) {
  const std::size_t channels = work.channels;
  const std::size_t part = std::max<std::size_t>(1, kPart / std::max<std::size_t>(1, channels));
  share_tasks((tokens + part - 1) / part, threads, [&](std::size_t task, std::size_t) {
    for (std::size_t t = task * part; t < std::min(tokens, (task + 1) * part); ++t) {
      const double *const from = work.parameters + 2 * t * channels;
      double *const mean = work.mean + t * channels, *const log_scale = work.log_scale + t * channels;
      if (work.predicted == nullptr) {
        for (std::size_t c = 0; c < channels; ++c) mean[c] = from[c] * work.spread[c];
      } else {
        const double *const predicted = work.predicted + t * channels;
        for (std::size_t c = 0; c < channels; ++c) mean[c] = from[c] * work.spread[c] + predicted[c];
      }
      for (std::size_t c = 0; c < channels; ++c)
        log_scale[c] = from[channels + c] + work.log_spread[c];
    }
  });
}

}  // namespace kodec
