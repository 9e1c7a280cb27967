#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "../kernels.hpp"
#include "../layers/tasks.hpp"
#include "grid_tasks.hpp"
#include "grids.hpp"

namespace kodec {

const GridKernels &grid_kernels() {
#if defined(KODEC_X86_KERNELS)
  const char *const name = kernels().name;
  const bool fuses = __builtin_cpu_supports("fma");
  if (fuses && std::strcmp(name, "avx512") == 0) return kAvx512Grids;
  if (fuses && std::strcmp(name, "avx2") == 0) return kAvx2Grids;
#endif
  return kScalarGrids;
}

namespace {

// Positions of a task: many tiles, so that partial sums are few.
constexpr std::size_t kPositions = 32 * kTile;

// A network's layers with turned weights, as kernels take it.
class PreparedNetwork {
 public:
  explicit PreparedNetwork(const Network &network) {
    std::size_t floats = 0;
    const auto each = [&](const auto &work) {
      for (const NetworkLayer &layer : network.layers) work(layer);
      for (const NetworkLayer &layer : network.branch) work(layer);
    };
    each([&](const NetworkLayer &layer) { floats += layer.inputs * layer.outputs; });
    turned_.resize(floats);
    float *next = turned_.data();
    std::size_t width = 0;
    each([&](const NetworkLayer &layer) {
      layers_.push_back({layer, next});
      width = std::max({width, layer.inputs, layer.outputs});
      for (std::size_t i = 0; i < layer.inputs; ++i)
        for (std::size_t o = 0; o < layer.outputs; ++o) *next++ = layer.weight[o * layer.inputs + i];
    });
    const std::size_t count = network.layers.size();
    weights_ = {layers_.data(),   count,
                width,            network.branch.empty() ? nullptr : layers_.data() + count,
                network.inputs(), network.outputs(),
                network.weights()};
  }
  const NetworkWeights &weights() const { return weights_; }

  // Floats for a tile, both ways: activations, gradients, sums, and copies of what goes in and out.
  std::size_t room(std::size_t more_rows) const {
    constexpr std::size_t kMostLanes = 16;
    std::size_t rows = 2 * weights_.width + 3 * weights_.inputs + 3 * weights_.outputs + more_rows;
    for (std::size_t l = 0; l < weights_.count; ++l) {
      const NetworkLayer &layer = weights_.layers[l].layer;
      rows += layer.curved() ? 2 * layer.outputs : layer.outputs;
    }
    return rows * kTile + weights_.weights * kMostLanes;
  }

 private:
  std::vector<float> turned_;
  std::vector<LayerWeights> layers_;
  NetworkWeights weights_;
};

}  // namespace

std::size_t Network::weights() const {
  std::size_t count = 0;
  for (const NetworkLayer &layer : layers) count += (layer.inputs + 1) * layer.outputs;
  for (const NetworkLayer &layer : branch) count += (layer.inputs + 1) * layer.outputs;
  return count;
}

void run_network(const Network &network, const float *x, std::size_t positions, float *out,
                 float *branch_out, std::size_t threads) {
  const GridKernels &loops = grid_kernels();
  const PreparedNetwork prepared(network);
  const std::size_t parts = parts_of(positions, kPositions);
  const Rooms rooms(std::min(threads, parts), prepared.room(0));
  share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
    NetworkWork work{};
    work.network = &prepared.weights();
    work.x = x;
    work.step = positions;
    work.first = part * kPositions;
    work.last = std::min(positions, work.first + kPositions);
    work.out = out;
    work.branch_out = branch_out;
    work.room = rooms.of(worker);
    loops.run_network(work);
  });
}

void differentiate_network(const Network &network, const float *x, std::size_t positions,
                           const float *gradient, const float *branch_gradient, float *x_gradient,
                           float *weight_gradient, std::size_t threads) {
  const GridKernels &loops = grid_kernels();
  const PreparedNetwork prepared(network);
  const std::size_t parts = parts_of(positions, kPositions);
  const Rooms rooms(std::min(threads, parts), prepared.room(0));
  const PartialSums sums(parts, network.weights());
  share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
    NetworkWork work{};
    work.network = &prepared.weights();
    work.x = x;
    work.step = positions;
    work.first = part * kPositions;
    work.last = std::min(positions, work.first + kPositions);
    work.gradient = gradient;
    work.branch_gradient = branch_gradient;
    work.x_gradient = x_gradient;
    work.weight_gradient = sums.of(part);
    work.room = rooms.of(worker);
    loops.differentiate_network(work);
  });
  sums.write(weight_gradient);
}

namespace {

// Where a grid lies among zeros, and the rows of its tasks.
struct PaddedGrid {
  std::size_t stride, place;       // place: of its first value
  std::size_t rows, first_task, tasks;
  std::vector<std::ptrdiff_t> offsets;
  std::size_t before, after;       // floats that contexts reach in front of a position, and behind
  std::size_t gradient_place;      // of its first task's gradient

  std::size_t task_floats(const Grid &grid, std::size_t task) const {
    return task_rows(grid, task) * stride + before + after + kTile;
  }
  std::size_t task_rows(const Grid &grid, std::size_t task) const {
    return std::min(rows, grid.height - task * rows);
  }
};

}  // namespace

void context_rate(const Network &network, const std::vector<Offset> &offsets, std::size_t features,
                  const Coding &coding, const std::vector<Grid> &grids, double *bits,
                  float *weight_gradient, std::size_t threads) {
  const GridKernels &loops = grid_kernels();
  const PreparedNetwork prepared(network);
  const bool back = weight_gradient != nullptr;
  std::size_t side = 0;
  for (const Offset &o : offsets) side = std::max(side, std::size_t(std::abs(o.right)));

  std::vector<PaddedGrid> padded;
  std::vector<std::size_t> owners;  // of tasks
  std::size_t floats = 0, gradient_floats = 0;
  for (const Grid &grid : grids) {
    PaddedGrid p;
    p.stride = grid.width + side;
    p.before = p.after = 0;
    for (const Offset &o : offsets) {
      const std::ptrdiff_t offset = o.down * std::ptrdiff_t(p.stride) + o.right;
      p.offsets.push_back(offset);
      if (offset < 0) p.before = std::max(p.before, std::size_t(-offset));
      if (offset > 0) p.after = std::max(p.after, std::size_t(offset));
    }
    p.place = floats + p.before;
    floats = p.place + grid.height * p.stride + p.after + kTile;
    // An even number: a feature's rows belong to one task.
    p.rows = std::max<std::size_t>(8, kPositions / p.stride / 2 * 2);
    p.first_task = owners.size();
    p.tasks = parts_of(grid.height, p.rows);
    p.gradient_place = gradient_floats;
    for (std::size_t t = 0; t < p.tasks; ++t) gradient_floats += p.task_floats(grid, t);
    owners.insert(owners.end(), p.tasks, padded.size());
    padded.push_back(std::move(p));
  }

  const Buffer values(floats);
  std::fill_n(values.data(), floats, 0.0f);
  for (std::size_t g = 0; g < grids.size(); ++g)
    for (std::size_t y = 0; y < grids[g].height; ++y)
      std::copy_n(grids[g].values + y * grids[g].width, grids[g].width,
                  values.data() + padded[g].place + y * padded[g].stride);
  const Buffer gradients(back ? gradient_floats : 0);
  const std::size_t tasks = owners.size();
  const PartialSums sums(back ? tasks : 0, network.weights());
  std::vector<double> task_bits(tasks);
  const Rooms rooms(std::min(threads, tasks), prepared.room(features + 8));

  share_tasks(tasks, threads, [&](std::size_t task, std::size_t worker) {
    const std::size_t g = owners[task];
    const Grid &grid = grids[g];
    const PaddedGrid &p = padded[g];
    const std::size_t own = task - p.first_task;
    const std::size_t all = p.rows * p.stride + p.before + p.after + kTile;
    RateWork work{};
    work.network = &prepared.weights();
    work.stride = p.stride;
    work.width = grid.width;
    work.first_row = own * p.rows;
    work.last_row = work.first_row + p.task_rows(grid, own);
    work.values = values.data() + p.place + work.first_row * p.stride;
    work.offsets = p.offsets.data();
    work.contexts = offsets.size();
    work.features = grid.features;
    work.feature_count = features;
    work.feature_height = parts_of(grid.height, 2);
    work.feature_width = parts_of(grid.width, 2);
    work.coding = coding;
    work.charge = grid.charge;
    work.position_bits = grid.position_bits;
    work.room = rooms.of(worker);
    if (back) {
      work.gradient = gradients.data() + p.gradient_place + own * all;
      std::fill_n(work.gradient, p.task_floats(grid, own), 0.0f);
      work.before = std::ptrdiff_t(p.before);
      work.feature_gradient = grid.feature_gradient;
      const std::size_t first = work.first_row / 2, last = (work.last_row + 1) / 2;
      for (std::size_t f = 0; f < features && grid.features != nullptr; ++f)
        std::fill_n(grid.feature_gradient + (f * work.feature_height + first) * work.feature_width,
                    (last - first) * work.feature_width, 0.0f);
      work.weight_gradient = sums.of(task);
    }
    loops.rate(work);
    task_bits[task] = work.bits;
  });

  for (std::size_t g = 0; g < grids.size(); ++g) {
    bits[g] = 0;
    for (std::size_t t = 0; t < padded[g].tasks; ++t) bits[g] += task_bits[padded[g].first_task + t];
  }
  if (!back) return;
  sums.write(weight_gradient);
  // A row's gradient is the sum of what its own task and those that see it as context have found.
  share_tasks(tasks, threads, [&](std::size_t task, std::size_t) {
    const std::size_t g = owners[task];
    const Grid &grid = grids[g];
    const PaddedGrid &p = padded[g];
    const std::size_t own = task - p.first_task;
    const std::size_t all = p.rows * p.stride + p.before + p.after + kTile;
    const std::size_t span = p.rows * p.stride;
    const std::size_t later = p.before / span + 1, earlier = p.after / span + 1;
    for (std::size_t y = own * p.rows; y < own * p.rows + p.task_rows(grid, own); ++y) {
      float *const to = grid.gradient + y * grid.width;
      std::fill_n(to, grid.width, 0.0f);
      for (std::size_t t = own < earlier ? 0 : own - earlier; t <= own + later && t < p.tasks; ++t) {
        const float *const from = gradients.data() + p.gradient_place + t * all;
        // Of the row's first value, in floats from where the task's gradient begins.
        const std::ptrdiff_t first =
            std::ptrdiff_t(y * p.stride + p.before) - std::ptrdiff_t(t * span);
        const std::ptrdiff_t end = std::ptrdiff_t(p.task_floats(grid, t));
        const std::ptrdiff_t low = std::max<std::ptrdiff_t>(0, -first);
        const std::ptrdiff_t high = std::min<std::ptrdiff_t>(std::ptrdiff_t(grid.width), end - first);
        for (std::ptrdiff_t x = low; x < high; ++x) to[x] += from[first + x];
      }
    }
  });
}

}  // namespace kodec
