// What Python gives for the core's integer programs and the grids that they run over.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "errors.hpp"
#include "front_program.hpp"
#include "python_module.hpp"
#include "scan_program.hpp"

namespace kodec {

// An array that owns what a vector held.
template <typename T>
nb::object array_of(std::vector<T> values) {
  auto *const kept = new std::vector<T>(std::move(values));
  const nb::capsule owner(kept, [](void *p) noexcept { delete static_cast<std::vector<T> *>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner));
}

inline const ScanProgram &program_argument(nb::handle program) {
  if (!nb::isinstance<ScanProgram>(program))
    throw InvalidInputError("program must be a ScanProgram object");
  return nb::cast<const ScanProgram &>(program);
}

// A grid to scan, and its side integers, checked.
struct ScanGrid {
  std::size_t rows, columns;
  const std::int32_t *side;

  ScanGrid(const ScanProgram &program, nb::handle row_count, nb::handle column_count,
           nb::handle side_integers)
      : array_(array_argument(side_integers, "side", {nb::dtype<std::int32_t>()}, "int32")) {
    const std::int64_t r = integer_argument(row_count, "rows");
    const std::int64_t c = integer_argument(column_count, "columns");
    constexpr std::int64_t kMost = 1 << 24;
    if (r < 1 || c < 1 || r > kMost || c > kMost || r * c > (std::int64_t(1) << 30))
      throw InvalidInputError("a scan has 1 to 2^24 rows and columns, at most 2^30 positions");
    rows = std::size_t(r);
    columns = std::size_t(c);
    if (array_.shape(0) != rows * columns * program.side())
      throw InvalidInputError("there are " + std::to_string(array_.shape(0)) +
                              " side integers, but the program takes " +
                              std::to_string(rows * columns * program.side()));
    side = data_of<std::int32_t>(array_);
  }
  std::size_t values(const ScanProgram &program) const {
    return rows * columns * program.channels();
  }

 private:
  Array array_;
};

// A grid to pass over front by front, and its side integers, checked.
struct FrontGrid {
  std::size_t rows, columns;
  int side_shift;
  const std::int32_t *side;

  FrontGrid(const FrontProgram &program, nb::handle row_count, nb::handle column_count,
            nb::handle side_integers, nb::handle shift)
      : array_(array_argument(side_integers, "side", {nb::dtype<std::int32_t>()}, "int32")) {
    const std::int64_t r = integer_argument(row_count, "rows");
    const std::int64_t c = integer_argument(column_count, "columns");
    const std::int64_t s = integer_argument(shift, "side_shift");
    constexpr std::int64_t kMost = 1 << 16;
    if (r < 1 || c < 1 || r > kMost || c > kMost || r * c > (std::int64_t(1) << 30))
      throw InvalidInputError("a grid has 1 to 2^16 rows and columns, at most 2^30 positions");
    if (s < 0 || s > 16) throw InvalidInputError("side_shift is 0 to 16");
    rows = std::size_t(r);
    columns = std::size_t(c);
    side_shift = int(s);
    const std::size_t wanted = FrontPass::sides(rows, columns, side_shift) * program.side();
    if (array_.shape(0) != wanted)
      throw InvalidInputError("there are " + std::to_string(array_.shape(0)) +
                              " side integers, but the program takes " + std::to_string(wanted));
    side = data_of<std::int32_t>(array_);
  }

 private:
  Array array_;
};

// The classes ScanProgram and FrontProgram.
void bind_programs(nb::module_ &m);

}  // namespace kodec
