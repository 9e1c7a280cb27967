#include "tokens.hpp"

#include <algorithm>
#include <cstring>

#include "../kernels.hpp"
#include "../layers/buffer.hpp"
#include "../layers/tasks.hpp"

namespace kodec {
namespace {

// Those of the instruction set that the coder's kernels use.
const TokenKernels &token_kernels() {
#if defined(KODEC_X86_KERNELS)
  const char *const name = kernels().name;
  const bool fuses = __builtin_cpu_supports("fma");
  if (fuses && std::strcmp(name, "avx512") == 0) return kAvx512Tokens;
  if (fuses && std::strcmp(name, "avx2") == 0) return kAvx2Tokens;
#endif
  return kScalarTokens;
}

std::size_t parts_of(std::size_t whole, std::size_t part) { return (whole + part - 1) / part; }

// Rows of a task: a multiple of every instruction set's tile, few enough to stay in the second cache
// with their results.
constexpr std::size_t kTaskRows = 64;
// Less than this is not worth a second thread, in products or in values.
constexpr std::size_t kLeastProducts = 1 << 18, kLeastValues = 1 << 14;

std::size_t threads_for(std::size_t work, std::size_t least, std::size_t threads) {
  return std::min(threads, work / least + 1);
}

}  // namespace

void token_product(const double *x, const double *weight, std::size_t rows, std::size_t inputs,
                   std::size_t outputs, const double *bias, bool curved, const double *plus,
                   double *out, std::size_t threads) {
  const TokenKernels &loops = token_kernels();
  const std::size_t columns = loops.panel_columns, panels = parts_of(outputs, columns);
  const Buffer packed(2 * panels * columns * inputs);
  double *const room = reinterpret_cast<double *>(packed.data());
  threads = threads_for(rows * inputs * outputs, kLeastProducts, threads);
  share_tasks(panels, threads, [&](std::size_t panel, std::size_t) {
    loops.pack(weight, inputs, outputs, panel, panel + 1, room);
  });
  const ProductWork work{x, inputs, outputs, room, bias, curved, plus, out};
  share_tasks(parts_of(rows, kTaskRows), threads, [&](std::size_t task, std::size_t) {
    loops.multiply(work, task * kTaskRows, std::min(rows, (task + 1) * kTaskRows));
  });
}

void token_gelu(const double *x, double *out, std::size_t count, std::size_t threads) {
  const TokenKernels &loops = token_kernels();
  constexpr std::size_t kPart = 1 << 13;
  share_tasks(parts_of(count, kPart), threads_for(count, kLeastValues, threads),
              [&](std::size_t task, std::size_t) {
                const std::size_t first = task * kPart;
                loops.gelu(x + first, out + first, std::min(kPart, count - first));
              });
}

void token_magnitudes(const double *x, std::size_t tokens, std::size_t channels, double *out,
                      std::size_t threads) {
  const TokenKernels &loops = token_kernels();
  constexpr std::size_t kPart = 64;
  share_tasks(parts_of(tokens, kPart), threads_for(tokens * channels, kLeastValues, threads),
              [&](std::size_t task, std::size_t) {
                const std::size_t last = std::min(tokens, (task + 1) * kPart);
                for (std::size_t t = task * kPart; t < last; ++t)
                  loops.magnitudes(x + t * channels, channels, out + 2 * t * channels);
              });
}

void depthwise(const DepthwiseWork &work, std::size_t threads) {
  const TokenKernels &loops = token_kernels();
  const std::size_t values = work.height * work.width * work.channels;
  share_tasks(work.height, threads_for(values, kLeastValues, threads),
              [&](std::size_t row, std::size_t) { loops.depthwise_row(work, row); });
}

void depthwise_of_known(const KnownGrid &grid, const std::int64_t *places, std::size_t count,
                        const double *taps, std::size_t side, const double *bias, double *out,
                        std::size_t threads) {
  const TokenKernels &loops = token_kernels();
  const std::size_t cell = grid.cell, stride = grid.width + 2 * grid.margin;
  const std::ptrdiff_t reach = std::ptrdiff_t(side / 2), cells = std::ptrdiff_t(cell);
  // What each place in a cell sees.
  std::vector<std::vector<SeenTap>> seen(cell * cell);
  for (std::ptrdiff_t y = 0; y < cells; ++y)
    for (std::ptrdiff_t x = 0; x < cells; ++x)
      for (std::ptrdiff_t dy = -reach; dy <= reach; ++dy)
        for (std::ptrdiff_t dx = -reach; dx <= reach; ++dx) {
          const std::ptrdiff_t row = ((y + dy) % cells + cells) % cells;
          const std::ptrdiff_t column = ((x + dx) % cells + cells) % cells;
          if (grid.phases[row * cells + column] >= grid.phase) continue;
          seen[std::size_t(y * cells + x)].push_back(
              {std::size_t((dy + reach) * std::ptrdiff_t(side) + dx + reach),
               (dy * std::ptrdiff_t(stride) + dx) * std::ptrdiff_t(grid.channels)});
        }
  const KnownWork work{grid.channels, taps, bias};
  constexpr std::size_t kPart = 64;
  share_tasks(parts_of(count, kPart), threads_for(count * grid.channels, kLeastValues, threads),
              [&](std::size_t task, std::size_t) {
                const std::size_t last = std::min(count, (task + 1) * kPart);
                for (std::size_t p = task * kPart; p < last; ++p) {
                  const std::size_t row = std::size_t(places[p]) / grid.width;
                  const std::size_t column = std::size_t(places[p]) % grid.width;
                  const std::vector<SeenTap> &of_place = seen[row % cell * cell + column % cell];
                  const std::size_t at = (row + grid.margin) * stride + column + grid.margin;
                  loops.known_position(work, grid.values + at * grid.channels, of_place.data(),
                                       of_place.size(), out + p * grid.channels);
                }
              });
}

}  // namespace kodec
