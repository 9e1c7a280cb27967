#include "layer_loops.hpp"

namespace kodec {

const LayerKernels kAvx512Layers = layers_of("avx512");

}  // namespace kodec
