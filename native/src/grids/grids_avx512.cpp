#include "all_loops.hpp"

namespace kodec {

const GridKernels kAvx512Grids = kAllLoops;

}  // namespace kodec
