// Lists of arrays that Python passes to kernels over grids, and new arrays for it.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../layers/buffer.hpp"
#include "../layers/float_arguments.hpp"
#include "../python_module.hpp"

namespace kodec {

// A new array of floats, and what it is written by.
struct NewFloats {
  float *data;
  nb::object array;
};

inline NewFloats new_floats(std::initializer_list<std::size_t> sizes) {
  std::unique_ptr<Buffer> buffer(new Buffer(product(sizes)));
  float *const data = buffer->data();
  const nb::capsule owner(buffer.get(), [](void *b) noexcept { delete static_cast<Buffer *>(b); });
  buffer.release();
  return {data, nb::cast(nb::ndarray<nb::numpy, float>(data, sizes.size(), sizes.begin(), owner))};
}

inline nb::sequence sequence_argument(nb::handle value, const char *name, std::size_t least) {
  if (!nb::isinstance<nb::list>(value) && !nb::isinstance<nb::tuple>(value))
    throw InvalidInputError(std::string(name) + " must be a list");
  if (nb::len(value) < least)
    throw InvalidInputError(std::string(name) + " must have " + std::to_string(least) +
                            " elements or more");
  return nb::cast<nb::sequence>(value);
}

inline bool same_shape(const Array &a, const Array &b) {
  if (a.ndim() != b.ndim()) return false;
  for (std::size_t d = 0; d < a.ndim(); ++d)
    if (a.shape(d) != b.shape(d)) return false;
  return true;
}

// Each grid's array (height, width), or (features, height, width).
inline std::vector<std::optional<Array>> arrays_argument(nb::handle value, const char *name,
                                                         std::size_t dimensions,
                                                         std::size_t count) {
  std::vector<std::optional<Array>> arrays;
  for (const nb::handle item : sequence_argument(value, name, 0)) {
    std::optional<Array> array;
    if (!item.is_none()) array = floats(item, name, dimensions);
    arrays.push_back(array);
  }
  if (arrays.size() != count)
    throw InvalidInputError(std::string(name) + " must have an element for each grid");
  return arrays;
}

// What works on pictures rather than on positions: convolutions, pyramids, stacks, soft rounding.
void bind_picture_layers(nb::module_ &m);

}  // namespace kodec
