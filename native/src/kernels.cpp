// Which kernels run on this machine.
#include "kernels.hpp"

#include <cstdlib>
#include <string>

#include "errors.hpp"

namespace kodec {
namespace {

#if defined(KODEC_X86_KERNELS)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("sse4.2");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

struct Choice {
  const Kernels *kernels;
  bool runs;
};

// From the slowest to the fastest, in both directions, on the machines measured (`kodec bench coder`).
const Choice *choices(std::size_t &count) {
#if defined(KODEC_X86_KERNELS)
  static const Choice all[] = {{&kScalarKernels, true},
                               {&kAvx2Kernels, has_avx2()},
                               {&kAvx512Kernels, has_avx512()}};
#else
  static const Choice all[] = {{&kScalarKernels, true}};
#endif
  count = sizeof(all) / sizeof(all[0]);
  return all;
}

}  // namespace

const Kernels &kernels() {
  std::size_t count = 0;
  const Choice *const all = choices(count);
  const char *const wanted = std::getenv("KODEC_SIMD");
  const bool any = wanted == nullptr || *wanted == 0;
  std::string possible;
  for (std::size_t i = count; i-- > 0;) {
    if (!all[i].runs) continue;
    if (any || std::string(wanted) == all[i].kernels->name) return *all[i].kernels;
    possible = all[i].kernels->name + (possible.empty() ? "" : ", " + possible);
  }
  throw InvalidInputError("KODEC_SIMD is '" + std::string(wanted) + "'; on this machine it can be " +
                          possible);
}

}  // namespace kodec
