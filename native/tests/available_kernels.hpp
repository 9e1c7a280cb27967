// The kernels that this machine runs, one by one.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
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

// A program's main: check(seed, kernel_names()) for [ITEMS [FIRST_SEED]], 100 from 0 on.
template <typename Check>
int check_items(int count, char **arguments, const char *what, const Check &check) {
  const std::size_t items = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 100;
  const std::uint64_t first = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0;
  try {
    const std::vector<std::string> kernels = kernel_names();
    for (std::size_t item = 0; item < items; ++item) check(first + item, kernels);
  } catch (const std::runtime_error &error) {
    std::fprintf(stderr, "FAILED: %s\n", error.what());
    return 1;
  }
  std::printf("%zu items: all kernels over %s agree\n", items, what);
  return 0;
}

}  // namespace kodec
