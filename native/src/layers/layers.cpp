#include "layers.hpp"

namespace kodec {

#if defined(KODEC_X86_KERNELS)
bool has_layers() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
bool has_layers() { return false; }
void convolution(const float *, const float *, const float *, const Finish &, float *,
                 const Convolution &, std::size_t) {}
void minimal_filtering(const float *, const float *, const float *, const Finish &, float *,
                       const Filtering &, std::size_t) {}
void divisive_normalisation(const float *, const float *, const float *, float *, std::size_t,
                            std::size_t, bool, std::size_t) {}
#endif

}  // namespace kodec
