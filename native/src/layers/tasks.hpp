// Independent tasks over a few threads, for layers.
#pragma once

#include <algorithm>
#include <cstddef>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "../parallel.hpp"

namespace kodec {

// Runs work(task, worker) for tasks 0 to tasks - 1, on up to `threads` threads; workers have
// numbers from 0. work must not throw. OpenMP's threads where there are some: PyTorch has them too,
// and between its operations they spin, so that others would wait for the cores.
template <typename Work>
void share_tasks(std::size_t tasks, std::size_t threads, const Work &work) {
  const std::size_t workers = std::min(threads, tasks);
#if defined(_OPENMP)
  if (workers > 1) {
#pragma omp parallel for schedule(dynamic) num_threads(int(workers))
    for (std::size_t task = 0; task < tasks; ++task) work(task, std::size_t(omp_get_thread_num()));
    return;
  }
#endif
  std::atomic<std::size_t> next{0};
  run_tasks(workers, workers, [&](std::size_t worker) {
    for (std::size_t task = next++; task < tasks; task = next++) work(task, worker);
  });
}

}  // namespace kodec
