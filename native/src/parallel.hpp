// Independent tasks over a few threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace kodec {

// Runs work(0) to work(tasks - 1) on up to `threads` threads, the caller's among them. If some
// throw, the exception of the first of them, by number, is thrown when all have ended.
template <typename Work>
void run_tasks(std::size_t tasks, std::size_t threads, const Work &work) {
  if (threads < 2 || tasks < 2) {
    for (std::size_t task = 0; task < tasks; ++task) work(task);
    return;
  }
  std::vector<std::exception_ptr> errors(tasks);
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t task = next++; task < tasks; task = next++) try {
        work(task);
      } catch (...) {
        errors[task] = std::current_exception();
      }
  };
  std::vector<std::thread> others;
  others.reserve(threads);
  try {
    while (others.size() + 1 < threads && others.size() + 1 < tasks) others.emplace_back(loop);
  } catch (const std::system_error &) {
    // The system has no more threads to give; those that started do.
  }
  loop();
  for (std::thread &other : others) other.join();
  for (const std::exception_ptr &error : errors)
    if (error) std::rethrow_exception(error);
}

// Threads worth starting for `symbols` symbols, out of `most`: coding them must take far longer
// than a thread takes to start.
inline std::size_t useful_threads(std::size_t symbols, std::size_t most) {
  constexpr std::size_t kSymbolsPerThread = 1 << 18;
  const std::size_t useful = symbols / kSymbolsPerThread + 1;
  return useful < most ? useful : most;
}

}  // namespace kodec
