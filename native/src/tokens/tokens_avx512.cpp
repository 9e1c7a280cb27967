#include "token_loops.hpp"

namespace kodec {

const TokenKernels kAvx512Tokens = kAllLoops;

}  // namespace kodec
