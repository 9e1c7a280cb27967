// front_kernels.hpp in portable C++: pairs of values, which most processors have vectors for.
#include <cstdint>

#include "front_kernels.hpp"

namespace kodec {
namespace {

#if defined(__GNUC__)
constexpr int kLanes = 2;
#else
constexpr int kLanes = 1;
#endif
constexpr int kOutputsOfFour = 2;  // at once, where four vectors of each are

#include "front_loops.hpp"

}  // namespace

const FrontKernels kScalarFrontKernels = {layer};

}  // namespace kodec
