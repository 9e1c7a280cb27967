#include "cuda_runtime.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define KODEC_WITH_ASAN
#endif

namespace kodec::cuda {
// Of all kernels: what a launch did not ask for is poisoned.
alignas(16) uint4 shared_memory[227 * 1024 / sizeof(uint4)];
}  // namespace kodec::cuda

dim3 threadIdx, blockIdx, blockDim;

namespace emulation {

int multiprocessors = 2, shared_memory_limit = sizeof kodec::cuda::shared_memory;
std::uint32_t schedule = 1;
unsigned long long kernels_run = 0;

namespace {

constexpr std::size_t kStack = 256 << 10;

[[noreturn]] void die(const char *what) {
  std::printf("FAILED: emulated kernel: %s\n", what);
  std::fflush(stdout);
  std::abort();
}

struct Barrier {
  unsigned arrived = 0, generation = 0;
};

struct Warp {
  Barrier barrier;
  const char *operation = nullptr;
  std::uint64_t values[2][32];
};

// A stack of its own, and where it is left and entered. On x86-64 without the system calls of
// swapcontext, which take most of the time.
#if defined(__x86_64__)
using Context = void *;

extern "C" void kodec_emulation_switch(Context *from, Context to);
asm(R"(
.text
.local kodec_emulation_switch
.type kodec_emulation_switch, @function
kodec_emulation_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size kodec_emulation_switch, . - kodec_emulation_switch
)");

void switch_context(Context &from, Context &to) { kodec_emulation_switch(&from, to); }

void make_context(Context &context, void *stack, void (*entry)()) {
  // Six registers, the address to return to, and an alignment as after a call.
  void **const top = reinterpret_cast<void **>(static_cast<char *>(stack) + kStack) - 8;
  std::memset(top, 0, 8 * sizeof *top);
  top[6] = reinterpret_cast<void *>(entry);
  context = top;
}
#else
using Context = ucontext_t;

void switch_context(Context &from, Context &to) { swapcontext(&from, &to); }

void make_context(Context &context, void *stack, void (*entry)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = kStack;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}
#endif

struct Fiber {
  Context context;
  void *stack = nullptr;
  void *fake_stack = nullptr;
  bool ended = false;
  const Barrier *waits = nullptr;  // until its generation is another
  unsigned generation = 0;
};

std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Warp> warps;
Barrier block;
unsigned current = 0;
Context scheduler;
#if defined(KODEC_WITH_ASAN)
void *scheduler_fake_stack = nullptr;
const void *scheduler_stack = nullptr;
std::size_t scheduler_stack_size = 0;
#endif
const std::function<void()> *body = nullptr;

void leave(Fiber &fiber, [[maybe_unused]] bool for_good) {
#if defined(KODEC_WITH_ASAN)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fiber.fake_stack, scheduler_stack,
                                 scheduler_stack_size);
#endif
  switch_context(fiber.context, scheduler);
#if defined(KODEC_WITH_ASAN)
  __sanitizer_finish_switch_fiber(fiber.fake_stack, &scheduler_stack, &scheduler_stack_size);
#endif
}

void enter(Fiber &fiber) {
#if defined(KODEC_WITH_ASAN)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber.stack, kStack);
#endif
  switch_context(scheduler, fiber.context);
#if defined(KODEC_WITH_ASAN)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

void start() {
#if defined(KODEC_WITH_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_size);
#endif
  Fiber &fiber = *fibers[current];
  (*body)();
  fiber.ended = true;
  leave(fiber, true);
}

void wait_at(Barrier &barrier, unsigned all) {
  Fiber &fiber = *fibers[current];
  if (++barrier.arrived == all) {
    barrier.arrived = 0;
    ++barrier.generation;
    return;
  }
  fiber.waits = &barrier;
  fiber.generation = barrier.generation;
  leave(fiber, false);
  fiber.waits = nullptr;
}

void run_block(unsigned threads) {
  warps.assign(threads / 32, Warp());
  block = Barrier();
  std::vector<unsigned> order(threads);
  std::iota(order.begin(), order.end(), 0u);
  std::mt19937 random(schedule++);
  for (unsigned t = 0; t < threads; ++t) {
    if (t == fibers.size()) {
      fibers.push_back(std::make_unique<Fiber>());
      fibers[t]->stack =
          mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (fibers[t]->stack == MAP_FAILED) die("no memory for stacks");
    }
    Fiber &fiber = *fibers[t];
    make_context(fiber.context, fiber.stack, start);
    fiber.ended = false;
    fiber.waits = nullptr;
  }
  for (unsigned left = threads; left > 0;) {
    bool any = false;
    std::shuffle(order.begin(), order.end(), random);
    for (const unsigned t : order) {
      Fiber &fiber = *fibers[t];
      if (fiber.ended || (fiber.waits && fiber.waits->generation == fiber.generation)) continue;
      any = true;
      current = t;
      threadIdx = dim3(t, 0, 0);
      enter(fiber);
      left -= fiber.ended;
    }
    if (!any) die("some threads wait for others that have ended or wait elsewhere");
  }
}

}  // namespace

void run(dim3 grid, unsigned threads, std::size_t shared_bytes, const std::function<void()> &thread) {
  if (grid.x == 0 || grid.y == 0 || threads == 0 || threads % 32 != 0 || threads > 1024 ||
      grid.y > 65535 || shared_bytes > std::size_t(shared_memory_limit))
    die("a launch that CUDA would refuse");
  ++kernels_run;
  body = &thread;
  blockDim = dim3(threads);
  std::memset(static_cast<void *>(kodec::cuda::shared_memory), 0xAB, shared_bytes);
#if defined(KODEC_WITH_ASAN)
  auto *const unused = reinterpret_cast<char *>(kodec::cuda::shared_memory) + shared_bytes;
  const std::size_t unused_bytes = sizeof kodec::cuda::shared_memory - shared_bytes;
  __asan_poison_memory_region(unused, unused_bytes);
#endif
  for (unsigned y = 0; y < grid.y; ++y)
    for (unsigned x = 0; x < grid.x; ++x) {
      blockIdx = dim3(x, y, 0);
      run_block(threads);
    }
#if defined(KODEC_WITH_ASAN)
  __asan_unpoison_memory_region(unused, unused_bytes);
#endif
}

const std::uint64_t *exchange(const char *operation, std::uint32_t mask, std::uint64_t value) {
  if (mask != 0xFFFFFFFFu) die("a collective operation of less than a warp");
  Warp &warp = warps[current / 32];
  if (warp.barrier.arrived == 0)
    warp.operation = operation;
  else if (std::strcmp(warp.operation, operation) != 0)
    die("lanes of a warp are at different operations");
  // Two sets, as some lanes may bring their next value while others have yet to look at this one's.
  std::uint64_t *const values = warp.values[warp.barrier.generation % 2];
  values[current % 32] = value;
  wait_at(warp.barrier, 32);
  return values;
}

void block_barrier() { wait_at(block, blockDim.x); }

}  // namespace emulation

cudaError_t cudaGetLastError() { return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t) { return "an error"; }
cudaError_t cudaGetDeviceCount(int *count) { return *count = 1, cudaSuccess; }
cudaError_t cudaGetDevice(int *device) { return *device = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr which, int) {
  *value = which == cudaDevAttrMultiProcessorCount ? emulation::multiprocessors
                                                   : emulation::shared_memory_limit;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
  return *event = nullptr, cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *) {
  return *pool = nullptr, cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *) { return cudaSuccess; }
cudaError_t cudaMallocFromPoolAsync(void **data, std::size_t size, cudaMemPool_t, cudaStream_t) {
  *data = std::malloc(size);
  if (*data == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*data, 0xCD, size);
  return cudaSuccess;
}
cudaError_t cudaFreeAsync(void *data, cudaStream_t) { return std::free(data), cudaSuccess; }
cudaError_t cudaMemsetAsync(void *data, int value, std::size_t size, cudaStream_t) {
  return std::memset(data, value, size), cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *target, const void *source, std::size_t size, cudaMemcpyKind,
                            cudaStream_t) {
  return std::memcpy(target, source, size), cudaSuccess;
}
