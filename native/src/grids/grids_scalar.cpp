#include "all_loops.hpp"

namespace kodec {

const GridKernels kScalarGrids = kAllLoops;

}  // namespace kodec
