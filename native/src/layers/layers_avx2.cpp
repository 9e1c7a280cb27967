#include "layer_loops.hpp"

namespace kodec {

const LayerKernels kAvx2Layers = layers_of("avx2");

}  // namespace kodec
