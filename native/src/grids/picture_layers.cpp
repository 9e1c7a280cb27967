#include <algorithm>

#include "../layers/tasks.hpp"
#include "grid_tasks.hpp"
#include "grids.hpp"

namespace kodec {
namespace {

// Rows of a convolution's task, and values of a rounding one's.
constexpr std::size_t kBandRows = 16, kRoundedAtOnce = 1 << 14;

}  // namespace

void small_convolution(const SmallConvolution &shape, const float *x, const float *weight,
                       const float *bias, float *out, std::size_t threads) {
  const GridKernels &loops = grid_kernels();
  const std::size_t parts = parts_of(shape.height, kBandRows);
  const Rooms rooms(std::min(threads, parts), convolution_room(shape, kBandRows));
  share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
    ConvolutionWork work{};
    work.shape = &shape;
    work.x = x;
    work.weight = weight;
    work.bias = bias;
    work.first = part * kBandRows;
    work.last = std::min(shape.height, work.first + kBandRows);
    work.out = out;
    work.room = rooms.of(worker);
    loops.convolve(work);
  });
}

std::size_t convolution_room(const SmallConvolution &shape, std::size_t rows) {
  const std::size_t margin = shape.side / 2, step = shape.width + 4 * margin + kSlack;
  return (shape.inputs * (rows + 2 * margin + 1) + shape.outputs * (rows + 4 * margin + 1)) * step;
}

void small_convolution_gradient(const SmallConvolution &shape, const float *x, const float *weight,
                                const float *out, const float *gradient, float *x_gradient,
                                float *weight_gradient, std::size_t threads) {
  const GridKernels &loops = grid_kernels();
  const std::size_t parts = parts_of(shape.height, kBandRows), taps = shape.side * shape.side;
  const Rooms rooms(std::min(threads, parts), convolution_room(shape, kBandRows));
  const PartialSums sums(parts, shape.outputs * (shape.inputs * taps + 1));
  std::vector<float> turned(shape.inputs * shape.outputs * taps);
  for (std::size_t i = 0; i < shape.inputs; ++i)
    for (std::size_t o = 0; o < shape.outputs; ++o)
      for (std::size_t t = 0; t < taps; ++t)
        turned[(i * shape.outputs + o) * taps + t] = weight[(o * shape.inputs + i + 1) * taps - 1 - t];
  share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
    ConvolutionWork work{};
    work.shape = &shape;
    work.x = x;
    work.turned = turned.data();
    work.first = part * kBandRows;
    work.last = std::min(shape.height, work.first + kBandRows);
    work.out = const_cast<float *>(out);
    work.gradient = gradient;
    work.x_gradient = x_gradient;
    work.weight_gradient = sums.of(part);
    work.room = rooms.of(worker);
    loops.differentiate_convolution(work);
  });
  sums.write(weight_gradient);
}

namespace {

std::size_t plane_room(const PyramidLevel &level) {
  return 5 * (level.width + 4 * kMostTaps + kSlack);
}

Upsampling step_between(const PyramidLevel &coarse, const PyramidLevel &fine, std::size_t taps) {
  return {coarse.height, coarse.width, fine.height, fine.width, taps};
}

}  // namespace

void build_pyramid(const Pyramid &pyramid, std::size_t threads) {
  const GridKernels &loops = grid_kernels();
  const std::vector<PyramidLevel> &levels = pyramid.levels;
  const std::size_t count = levels.size();
  const Rooms rooms(std::min(threads, count), plane_room(levels.front()));
  const PyramidLevel &last = levels.back();
  std::copy_n(last.values, last.height * last.width, last.stack);
  for (std::size_t l = count - 1; l-- > 0;) {
    const PyramidLevel &fine = levels[l], &coarse = levels[l + 1];
    const Upsampling shape = step_between(coarse, fine, pyramid.up_taps);
    share_tasks(count - l, threads, [&](std::size_t plane, std::size_t worker) {
      float *const to = fine.stack + plane * fine.height * fine.width;
      if (plane == 0)
        loops.filter(fine.values, {fine.height, fine.width, pyramid.own_taps, pyramid.residual},
                     pyramid.refinement + l * pyramid.own_taps, to, rooms.of(worker));
      else
        loops.upsample(coarse.stack + (plane - 1) * coarse.height * coarse.width, shape,
                       pyramid.upsampling + l * pyramid.up_taps, to, rooms.of(worker));
    });
  }
}

void differentiate_pyramid(const Pyramid &pyramid, const float *gradient, float *up_gradient,
                           float *own_gradient, std::size_t threads) {
  const GridKernels &loops = grid_kernels();
  const std::vector<PyramidLevel> &levels = pyramid.levels;
  const std::size_t count = levels.size();
  const Rooms rooms(std::min(threads, count), plane_room(levels.front()));
  std::size_t room = 0;
  for (std::size_t l = 1; l < count; ++l)
    room = std::max(room, (count - l) * levels[l].height * levels[l].width);
  const Buffer one(room), other(room);
  const float *of_stack = gradient;
  for (std::size_t l = 0; l + 1 < count; ++l) {
    const PyramidLevel &fine = levels[l], &coarse = levels[l + 1];
    const Upsampling shape = step_between(coarse, fine, pyramid.up_taps);
    const std::size_t plane_floats = coarse.height * coarse.width;
    float *const to = (l % 2 == 0 ? one : other).data();
    const PartialSums sums(count - l - 1, pyramid.up_taps);
    share_tasks(count - l, threads, [&](std::size_t plane, std::size_t worker) {
      const float *const given = of_stack + plane * fine.height * fine.width;
      if (plane == 0)
        loops.differentiate_filter(
            fine.values, given, {fine.height, fine.width, pyramid.own_taps, pyramid.residual},
            pyramid.refinement + l * pyramid.own_taps, fine.gradient,
            own_gradient + l * pyramid.own_taps, rooms.of(worker));
      else
        loops.differentiate_upsampling(coarse.stack + (plane - 1) * plane_floats, given, shape,
                                       pyramid.upsampling + l * pyramid.up_taps,
                                       to + (plane - 1) * plane_floats, sums.of(plane - 1),
                                       rooms.of(worker));
    });
    sums.write(up_gradient + l * pyramid.up_taps);
    of_stack = to;
  }
  const PyramidLevel &last = levels.back();
  std::copy_n(of_stack, last.height * last.width, last.gradient);
}

void stack_grids(const std::vector<RepeatedGrid> &grids, std::size_t height, std::size_t width,
                 float *stack, std::size_t threads) {
  share_tasks(grids.size(), threads, [&](std::size_t g, std::size_t) {
    const RepeatedGrid &grid = grids[g];
    const std::size_t step = std::size_t(1) << grid.times;
    float *const plane = stack + g * height * width;
    for (std::size_t y = 0; y < height; ++y) {
      float *const to = plane + y * width;
      if (y % step != 0) {
        std::copy_n(to - width, width, to);
        continue;
      }
      const float *const from = grid.values + (y >> grid.times) * grid.width;
      for (std::size_t x = 0, column = 0; x < width; x += step, ++column)
        std::fill_n(to + x, std::min(step, width - x), from[column]);
    }
  });
}

void differentiate_stack(const std::vector<RepeatedGrid> &grids, std::size_t height,
                         std::size_t width, const float *gradient, std::size_t threads) {
  share_tasks(grids.size(), threads, [&](std::size_t g, std::size_t) {
    const RepeatedGrid &grid = grids[g];
    const std::size_t step = std::size_t(1) << grid.times;
    const float *const plane = gradient + g * height * width;
    for (std::size_t row = 0; row < grid.height; ++row) {
      const std::size_t first = row << grid.times, last = std::min(height, first + step);
      float *const to = grid.gradient + row * grid.width;
      std::fill_n(to, grid.width, 0.0f);
      for (std::size_t y = first; y < last; ++y) {
        const float *const from = plane + y * width;
        for (std::size_t x = 0, column = 0; x < width; x += step, ++column)
          for (std::size_t i = x; i < std::min(x + step, width); ++i) to[column] += from[i];
      }
    }
  });
}

void soft_round(const float *x, const float *noise, const SoftRounding &rounding, float *out,
                float *slope, std::size_t count, std::size_t threads) {
  const GridKernels &loops = grid_kernels();
  share_tasks(parts_of(count, kRoundedAtOnce), threads, [&](std::size_t part, std::size_t) {
    const std::size_t first = part * kRoundedAtOnce;
    loops.soft_round(x + first, noise + first, rounding, out + first,
                     slope == nullptr ? nullptr : slope + first,
                     std::min(kRoundedAtOnce, count - first));
  });
}

}  // namespace kodec
