#include "front_kernels.hpp"

#include "kernels.hpp"

namespace kodec {

const FrontKernels &front_kernels() {
#if defined(KODEC_X86_KERNELS)
  const Kernels *const chosen = &kernels();
  if (!__builtin_cpu_supports("fma")) return kScalarFrontKernels;
  if (chosen == &kAvx512Kernels) return kAvx512FrontKernels;
  if (chosen == &kAvx2Kernels) return kAvx2FrontKernels;
#else
  kernels();
#endif
  return kScalarFrontKernels;
}

}  // namespace kodec
