// The module kodec.native._motion; _motion.pyi documents it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../python_module.hpp"
#include "compensation.hpp"
#include "search.hpp"

namespace nb = nanobind;
using namespace kodec;

namespace {

Array bytes(nb::handle value, const char *name, std::size_t dimensions) {
  return array_argument(value, name, {nb::dtype<std::uint8_t>()}, "uint8", dimensions);
}

int small_argument(nb::handle value, const char *name) {
  const std::int64_t number = integer_argument(value, name);
  if (number < -(1 << 30) || number > 1 << 30) throw InvalidInputError(std::string(name) + " is out of range");
  return int(number);
}

std::size_t threads_argument(nb::handle value) {
  const std::int64_t count = integer_argument(value, "threads");
  if (count < 1 || count > 1024)
    throw InvalidInputError("threads must be 1 to 1024, not " + std::to_string(count));
  return std::size_t(count);
}

void require(bool fits, const char *message) {
  if (!fits) throw InvalidInputError(message);
}

void require_sides(std::size_t height, std::size_t width) {
  require(height > 0 && width > 0, "there must be a pixel at least");
  if (height > kMostSide || width > kMostSide)
    throw InvalidInputError("sides must be at most " + std::to_string(kMostSide));
}

// A new array of `shape`, for `work` to fill without the GIL.
template <typename T, typename Work>
nb::object filled(std::initializer_list<std::size_t> shape, const Work &work) {
  std::size_t count = 1;
  for (const std::size_t side : shape) count *= side;
  std::unique_ptr<std::vector<T>> values(new std::vector<T>(count));
  {
    nb::gil_scoped_release no_gil;
    work(values->data());
  }
  T *const data = values->data();
  const nb::capsule owner(values.get(), [](void *v) noexcept { delete static_cast<std::vector<T> *>(v); });
  values.release();
  return nb::cast(nb::ndarray<nb::numpy, T>(data, shape.size(), shape.begin(), owner));
}

nb::object search_argument(nb::handle current, nb::handle reference, nb::handle bit_cost,
                           nb::handle reach, nb::handle precision, bool splits, nb::handle threads,
                           nb::handle hints) {
  const Array now = bytes(current, "current", 2), before = bytes(reference, "reference", 2);
  const std::size_t height = now.shape(0), width = now.shape(1);
  require(before.shape(0) == height && before.shape(1) == width,
          "current and reference must have one shape");
  require_sides(height, width);
  const SearchOptions options{small_argument(reach, "reach"), small_argument(bit_cost, "bit_cost"),
                              small_argument(precision, "precision"), splits};
  const std::size_t workers = threads_argument(threads);
  const std::size_t rows = blocks_along(height), columns = blocks_along(width);
  std::optional<Array> given;
  Hints starts;
  if (!hints.is_none()) {
    given = array_argument(hints, "hints", {nb::dtype<std::int16_t>()}, "int16", 4);
    require(given->shape(1) == 2 * rows && given->shape(2) == 2 * columns && given->shape(3) == 2,
            "hints must be fields of two numbers for each cell of the pictures' blocks of 16x16");
    starts = {reinterpret_cast<const MotionVector *>(given->data()), given->shape(0)};
  }
  std::vector<std::uint8_t> kinds(rows * columns);
  const nb::object vectors = filled<std::int16_t>({2 * rows, 2 * columns, 2}, [&](std::int16_t *v) {
    search_motion(data_of<std::uint8_t>(now), data_of<std::uint8_t>(before), height, width, options,
                  starts, workers, reinterpret_cast<MotionVector *>(v), kinds.data());
  });
  const nb::object chosen = filled<std::uint8_t>(
      {rows, columns}, [&](std::uint8_t *out) { std::copy(kinds.begin(), kinds.end(), out); });
  return nb::make_tuple(vectors, chosen);
}

nb::object compensate_argument(nb::handle planes, nb::handle vectors, nb::handle cell, bool overlap,
                               nb::handle threads) {
  const Array reference = bytes(planes, "planes", 3);
  const Array field =
      array_argument(vectors, "vectors", {nb::dtype<std::int16_t>()}, "int16", 3);
  const Planes sizes{reference.shape(0), reference.shape(1), reference.shape(2)};
  require_sides(sizes.height, sizes.width);
  const std::int64_t side = integer_argument(cell, "cell");
  require(side == 8 || side == 16, "cell must be 8 or 16");
  const std::size_t cells = kBlock / std::size_t(side);
  require(field.shape(0) == blocks_along(sizes.height) * cells &&
              field.shape(1) == blocks_along(sizes.width) * cells && field.shape(2) == 2,
          "vectors must have two numbers for each cell of the planes' blocks of 16x16");
  const std::size_t workers = threads_argument(threads);
  return filled<std::uint8_t>({sizes.count, sizes.height, sizes.width}, [&](std::uint8_t *out) {
    compensate(data_of<std::uint8_t>(reference),
               sizes, reinterpret_cast<const MotionVector *>(field.data()), std::size_t(side), overlap,
               workers, out);
  });
}

nb::object average_argument(nb::handle a, nb::handle b) {
  const Array first = bytes(a, "a", 3), second = bytes(b, "b", 3);
  for (std::size_t d = 0; d < 3; ++d)
    require(first.shape(d) == second.shape(d), "a and b must have one shape");
  const MotionKernels &kernels = motion_kernels();
  return filled<std::uint8_t>(
      {first.shape(0), first.shape(1), first.shape(2)}, [&](std::uint8_t *out) {
        kernels.average(data_of<std::uint8_t>(first), data_of<std::uint8_t>(second), first.size(), out);
      });
}

nb::object luma_argument(nb::handle rgb) {
  const Array planes = bytes(rgb, "rgb", 3);
  require(planes.shape(0) == 3, "rgb must have three planes");
  return filled<std::uint8_t>({planes.shape(1), planes.shape(2)}, [&](std::uint8_t *out) {
    luma_of(data_of<std::uint8_t>(planes), planes.shape(1) * planes.shape(2), out);
  });
}

}  // namespace

NB_MODULE(_motion, module) {
  nb::register_exception_translator(translate);
  static_assert(sizeof(MotionVector) == 2 * sizeof(std::int16_t), "a vector is a row of two numbers");
  module.def("search", search_argument, nb::arg("current").none(), nb::arg("reference").none(),
             nb::arg("bit_cost").none() = 64, nb::arg("reach").none() = 64, nb::arg("precision").none() = 4,
             nb::arg("splits") = true, nb::arg("threads").none() = 1, nb::arg("hints").none() = nb::none());
  module.def("compensate", compensate_argument, nb::arg("planes").none(), nb::arg("vectors").none(),
             nb::arg("cell").none() = 8, nb::arg("overlap") = true, nb::arg("threads").none() = 1);
  module.def("average", average_argument, nb::arg("a").none(), nb::arg("b").none());
  module.def("luma", luma_argument, nb::arg("rgb").none());
}
