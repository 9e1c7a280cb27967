// Pixels to blocks and back: strips over threads.
#include <algorithm>
#include <vector>

#include "layer_kernels.hpp"
#include "layers.hpp"
#include "tasks.hpp"

namespace kodec {
namespace {

void all_strips(const float *from, const float *matrix, float before, float after,
                const float *plus, float *to, const PixelBlocks &s, bool to_blocks,
                std::size_t threads) {
  const LayerKernels *const loops = layer_kernels();
  std::vector<float> turned;
  if (matrix != nullptr) {
    turned.resize(s.side * s.side);
    for (std::size_t i = 0; i < s.side; ++i)
      for (std::size_t j = 0; j < s.side; ++j) turned[j * s.side + i] = matrix[i * s.side + j];
  }
  const BoundaryFilter filter{matrix, turned.data(), before, after};
  const std::size_t strips = s.height / s.side + (matrix == nullptr ? 0 : 1);
  const std::size_t tasks = s.components * strips;
  std::vector<std::vector<float>> rooms(std::min(threads, tasks),
                                        std::vector<float>((s.side + 1) * s.width));
  share_tasks(tasks, threads, [&](std::size_t task, std::size_t worker) {
    loops->filter_strip(from, filter, plus, to, s, to_blocks, task % s.components,
                        task / s.components, rooms[worker].data());
  });
}

}  // namespace

void to_blocks(const float *x, const float *matrix, float shift, float *out,
               const PixelBlocks &shape, std::size_t threads) {
  all_strips(x, matrix, shift, 0, nullptr, out, shape, true, threads);
}

void from_blocks(const float *blocks, const float *matrix, float shift, const float *plus,
                 float *out, const PixelBlocks &shape, std::size_t threads) {
  all_strips(blocks, matrix, 0, shift, plus, out, shape, false, threads);
}

}  // namespace kodec
