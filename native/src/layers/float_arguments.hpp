// Arrays of floats, counts and sizes that Python passes to layers, checked.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>

#include "../arguments.hpp"
#include "../errors.hpp"

namespace kodec {

inline Array floats(nb::handle value, const char *name, std::size_t dimensions) {
  return array_argument(value, name, {nb::dtype<float>()}, "float32", dimensions);
}

inline std::size_t count_argument(nb::handle value, const char *name, std::int64_t most) {
  const std::int64_t count = integer_argument(value, name);
  if (count < 1 || count > most)
    throw InvalidInputError(std::string(name) + " must be 1 to " + std::to_string(most) + ", not " +
                            std::to_string(count));
  return std::size_t(count);
}

inline std::size_t threads_argument(nb::handle value) { return count_argument(value, "threads", 1024); }

inline void require(bool fits, const char *message) {
  if (!fits) throw InvalidInputError(message);
}

// Sizes whose products all fit: an array of as many bytes would not fit any memory.
inline std::size_t product(std::initializer_list<std::size_t> sizes) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() >> 16;
  std::size_t result = 1;
  for (const std::size_t size : sizes) {
    if (size > 0 && result > kMost / size) throw InvalidInputError("x is too large");
    result *= size;
  }
  return result;
}

}  // namespace kodec
