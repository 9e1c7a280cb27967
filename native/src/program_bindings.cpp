// The classes ScanProgram and FrontProgram of kodec.native._core; _core.pyi documents them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "program_arguments.hpp"
#include "tables.hpp"

namespace nb = nanobind;
using namespace kodec;

namespace {

// One row of Python's layers: weights (outputs, inputs), biases, fraction, bound, rectified.
ScanLayer layer_argument(nb::handle layer) {
  if (!nb::isinstance<nb::tuple>(layer) || nb::len(layer) != 5)
    throw InvalidInputError("a layer is (weights, biases, fraction, bound, rectified)");
  const nb::tuple fields = nb::borrow<nb::tuple>(layer);
  const Array w = array_argument(fields[0], "weights", {nb::dtype<std::int32_t>()}, "int32", 2);
  const Array b = array_argument(fields[1], "biases", {nb::dtype<std::int64_t>()}, "int64");
  const std::int64_t fraction = integer_argument(fields[2], "fraction");
  const auto *const weights = data_of<std::int32_t>(w);
  const auto *const biases = data_of<std::int64_t>(b);
  return {w.shape(1), w.shape(0),
          {weights, weights + w.shape(0) * w.shape(1)},
          {biases, biases + b.shape(0)},
          int(std::clamp<std::int64_t>(fraction, -1, 64)),
          integer_argument(fields[3], "bound"),
          integer_argument(fields[4], "rectified") != 0};
}

ScanProgram make_program(nb::handle channels, nb::handle side, nb::handle taps, nb::handle layers) {
  const Array t = array_argument(taps, "taps", {nb::dtype<std::int32_t>()}, "int32", 2);
  if (t.shape(1) != 3) throw InvalidInputError("taps are rows of (up, right, channel)");
  if (!nb::isinstance<nb::list>(layers)) throw InvalidInputError("layers must be a list");
  std::vector<ScanTap> places;
  const auto *const numbers = data_of<std::int32_t>(t);
  for (std::size_t i = 0; i < t.shape(0); ++i)
    places.push_back({numbers[3 * i], numbers[3 * i + 1], numbers[3 * i + 2]});
  std::vector<ScanLayer> stack;
  for (nb::handle layer : nb::borrow<nb::list>(layers)) stack.push_back(layer_argument(layer));
  const std::int64_t c = integer_argument(channels, "channels"), s = integer_argument(side, "side");
  if (c < 1 || s < 0) throw InvalidInputError("a scan program has 1 channel or more, and side inputs from 0");
  return ScanProgram(std::size_t(c), std::size_t(s), std::move(places), std::move(stack));
}

// Means and indexes of all positions, where all values are known.
nb::object predict_all(const ScanProgram &program, nb::handle rows, nb::handle columns,
                       nb::handle side, nb::handle values, nb::handle highest_index) {
  const ScanGrid grid(program, rows, columns, side);
  const Array v = array_argument(values, "values", {nb::dtype<std::int32_t>()}, "int32");
  const std::int64_t highest = integer_argument(highest_index, "highest_index");
  if (highest < 1 || highest > std::int64_t(kMaxTables))
    throw InvalidInputError("highest_index is 1 to 65535");
  const std::size_t count = grid.values(program), channels = program.channels();
  if (v.shape(0) != count)
    throw InvalidInputError("there are " + std::to_string(v.shape(0)) + " values, but the grid has " +
                            std::to_string(count));
  std::vector<std::int32_t> means(count);
  std::vector<std::uint16_t> indexes(count);
  {
    nb::gil_scoped_release no_gil;
    Scan scan(program, grid.rows, grid.columns, grid.side, std::uint32_t(highest));
    std::vector<std::int64_t> at(channels);
    for (std::size_t i = 0; i < count; i += channels) {
      scan.predict(at.data(), indexes.data() + i);
      std::copy(at.begin(), at.end(), means.begin() + std::ptrdiff_t(i));
      scan.take(data_of<std::int32_t>(v) + i);
    }
  }
  return nb::make_tuple(array_of(std::move(means)), array_of(std::move(indexes)));
}

std::int32_t small_argument(nb::handle value, const char *name) {
  const std::int64_t number = integer_argument(value, name);
  return std::int32_t(std::clamp<std::int64_t>(number, -(1 << 30), 1 << 30));
}

// One row of Python's layers: weights (outputs, inputs), biases, shift, rectified.
FrontLayer front_layer_argument(nb::handle layer) {
  if (!nb::isinstance<nb::tuple>(layer) || nb::len(layer) != 4)
    throw InvalidInputError("a layer is (weights, biases, shift, rectified)");
  const nb::tuple fields = nb::borrow<nb::tuple>(layer);
  const Array w = array_argument(fields[0], "weights", {nb::dtype<std::int64_t>()}, "int64", 2);
  const Array b = array_argument(fields[1], "biases", {nb::dtype<std::int64_t>()}, "int64");
  const auto *const weights = data_of<std::int64_t>(w);
  const auto *const biases = data_of<std::int64_t>(b);
  return {w.shape(1), w.shape(0),
          {weights, weights + w.shape(0) * w.shape(1)},
          {biases, biases + b.shape(0)},
          small_argument(fields[2], "shift"),
          integer_argument(fields[3], "rectified") != 0};
}

FrontProgram make_front_program(nb::handle taps, nb::handle side, nb::handle side_bound,
                                nb::handle least, nb::handle most, nb::handle layers,
                                nb::handle lowest, nb::handle highest, nb::handle levels) {
  const Array t = array_argument(taps, "taps", {nb::dtype<std::int32_t>()}, "int32", 2);
  const Array l = array_argument(levels, "levels", {nb::dtype<std::int32_t>()}, "int32", 2);
  if (t.shape(1) != 2) throw InvalidInputError("taps are rows of (down, right)");
  if (l.shape(1) != 2) throw InvalidInputError("levels are rows of (mean bits, first index)");
  if (!nb::isinstance<nb::list>(layers)) throw InvalidInputError("layers must be a list");
  std::vector<FrontTap> places;
  const auto *numbers = data_of<std::int32_t>(t);
  for (std::size_t i = 0; i < t.shape(0); ++i) places.push_back({numbers[2 * i], numbers[2 * i + 1]});
  LocatedScales scales{small_argument(lowest, "lowest"), small_argument(highest, "highest"), {}};
  numbers = data_of<std::int32_t>(l);
  for (std::size_t i = 0; i < l.shape(0); ++i)
    scales.levels.push_back({numbers[2 * i], std::uint32_t(std::max(numbers[2 * i + 1], 0))});
  std::vector<FrontLayer> stack;
  for (nb::handle layer : nb::borrow<nb::list>(layers)) stack.push_back(front_layer_argument(layer));
  const std::int64_t count = integer_argument(side, "side");
  if (count < 0) throw InvalidInputError("a front program has side integers from 0 on");
  return FrontProgram(std::move(places), std::size_t(count), integer_argument(side_bound, "side_bound"),
                      small_argument(least, "least"), small_argument(most, "most"), stack,
                      std::move(scales));
}

// Symbols and indexes of all positions in coding order, where all values are known.
nb::object predict_fronts(const FrontProgram &program, nb::handle rows, nb::handle columns,
                          nb::handle side, nb::handle side_shift, nb::handle values) {
  const FrontGrid grid(program, rows, columns, side, side_shift);
  const Array v = array_argument(values, "values", {nb::dtype<std::int32_t>()}, "int32");
  const std::size_t count = grid.rows * grid.columns;
  if (v.shape(0) != count)
    throw InvalidInputError("there are " + std::to_string(v.shape(0)) + " values, but the grid has " +
                            std::to_string(count));
  std::vector<std::int32_t> symbols(count);
  std::vector<std::uint16_t> indexes;
  indexes.reserve(count);
  {
    nb::gil_scoped_release no_gil;
    const std::int32_t *const given = data_of<std::int32_t>(v);
    std::vector<std::int32_t> known(given, given + count);
    FrontPass pass(program, grid.rows, grid.columns, grid.side, grid.side_shift, known.data(),
                   front_kernels());
    while (indexes.size() < count) {
      const std::size_t done = indexes.size();
      const std::vector<std::uint16_t> &next = pass.predict();
      indexes.insert(indexes.end(), next.begin(), next.end());
      pass.known(symbols.data() + done);
    }
  }
  return nb::make_tuple(array_of(std::move(symbols)), array_of(std::move(indexes)));
}

}  // namespace

void kodec::bind_programs(nb::module_ &m) {
  nb::class_<ScanProgram>(m, "ScanProgram")
      .def("__init__",
           [](ScanProgram *self, nb::handle channels, nb::handle side, nb::handle taps,
              nb::handle layers) { new (self) ScanProgram(make_program(channels, side, taps, layers)); },
           nb::arg("channels").none(), nb::arg("side").none(), nb::arg("taps").none(),
           nb::arg("layers").none())
      .def("predict", &predict_all, nb::arg("rows").none(), nb::arg("columns").none(),
           nb::arg("side").none(), nb::arg("values").none(), nb::arg("highest_index").none());

  nb::class_<FrontProgram>(m, "FrontProgram")
      .def("__init__",
           [](FrontProgram *self, nb::handle taps, nb::handle side, nb::handle side_bound,
              nb::handle least, nb::handle most, nb::handle layers, nb::handle lowest,
              nb::handle highest, nb::handle levels) {
             new (self) FrontProgram(make_front_program(taps, side, side_bound, least, most, layers,
                                                        lowest, highest, levels));
           },
           nb::arg("taps").none(), nb::arg("side").none(), nb::arg("side_bound").none(),
           nb::arg("least").none(), nb::arg("most").none(), nb::arg("layers").none(),
           nb::arg("lowest").none(), nb::arg("highest").none(), nb::arg("levels").none())
      .def_prop_ro("slope", [](const FrontProgram &program) { return program.slope(); })
      .def("predict", &predict_fronts, nb::arg("rows").none(), nb::arg("columns").none(),
           nb::arg("side").none(), nb::arg("side_shift").none(), nb::arg("values").none());
}
