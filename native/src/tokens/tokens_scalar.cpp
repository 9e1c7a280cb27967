#include "token_loops.hpp"

namespace kodec {

const TokenKernels kScalarTokens = kAllLoops;

}  // namespace kodec
