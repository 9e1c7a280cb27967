#include "token_loops.hpp"

namespace kodec {

const TokenKernels kAvx2Tokens = kAllLoops;

}  // namespace kodec
