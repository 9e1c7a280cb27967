#include "all_loops.hpp"

namespace kodec {

const GridKernels kAvx2Grids = kAllLoops;

}  // namespace kodec
