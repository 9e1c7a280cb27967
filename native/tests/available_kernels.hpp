// The kernels that this machine runs, one by one.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "errors.hpp"
#include "kernels.hpp"

namespace kodec {

// Encoders and decoders made from here on use this kernel.
inline void use_kernel(const std::string &name) { setenv("KODEC_SIMD", name.c_str(), 1); }

inline std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const char *name : {"scalar", "avx2", "avx512"}) {
    use_kernel(name);
    try {
      kernels();
      names.push_back(name);
    } catch (const InvalidInputError &) {
    }
  }
  return names;
}

}  // namespace kodec
