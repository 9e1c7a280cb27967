#include "motion_kernels.hpp"

#include "../kernels.hpp"

namespace kodec {

const MotionKernels &motion_kernels() {
#if defined(KODEC_X86_KERNELS)
  const Kernels *const chosen = &kernels();
  if (chosen == &kAvx512Kernels) return kAvx512MotionKernels;
  if (chosen == &kAvx2Kernels) return kAvx2MotionKernels;
#else
  kernels();
#endif
  return kScalarMotionKernels;
}

}  // namespace kodec
