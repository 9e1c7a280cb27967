// The module kodec.native._core; _core.pyi documents it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "arguments.hpp"
#include "crc32c.hpp"
#include "decoder.hpp"
#include "encoder.hpp"
#include "errors.hpp"
#include "front_program.hpp"
#include "kernels.hpp"
#include "python_module.hpp"
#include "scale_indexes.hpp"
#include "scan_program.hpp"
#include "tables.hpp"

namespace nb = nanobind;
using namespace kodec;

namespace {

Array index_argument(nb::handle indexes) {
  return array_argument(indexes, "indexes", {nb::dtype<std::uint8_t>(), nb::dtype<std::uint16_t>()},
                        "uint8 or uint16");
}

// Threads for one call; 0 stands for all that the machine has.
std::atomic<std::size_t> thread_limit{0};

std::size_t threads() {
  const std::size_t limit = thread_limit;
  return limit > 0 ? limit : std::max(1u, std::thread::hardware_concurrency());
}

struct PyEncoder {
  Exclusive<Encoder> exclusive{"this Encoder"};

  PyEncoder() { exclusive.coder.emplace(); }

  void add(nb::handle symbols, nb::handle indexes, nb::handle tables, nb::handle overrides) {
    const Array s = array_argument(symbols, "symbols",
                                   {nb::dtype<std::int16_t>(), nb::dtype<std::int32_t>()},
                                   "int16 or int32");
    const Array i = index_argument(indexes);
    const Array o = array_argument(overrides, "overrides", {nb::dtype<std::uint32_t>()}, "uint32");
    if (s.shape(0) != i.shape(0))
      throw InvalidInputError("there are " + std::to_string(s.shape(0)) + " symbols, but " +
                              std::to_string(i.shape(0)) + " indexes");
    std::shared_ptr<const TableSet> set = tables_argument(tables);
    const BlockInput input{s.data(), int(s.itemsize()), i.data(), int(i.itemsize()), s.shape(0),
                           data_of<std::uint32_t>(o), o.shape(0)};
    exclusive.use([&](Encoder &encoder) { encoder.add(input, std::move(set)); });
  }

  void choose(nb::handle indexes, nb::handle overrides) {
    const Array i = array_argument(indexes, "indexes", {nb::dtype<std::uint16_t>()}, "uint16");
    const Array o = array_argument(overrides, "overrides", {nb::dtype<std::uint32_t>()}, "uint32");
    const ChoiceInput input{data_of<std::uint16_t>(i), i.shape(0), data_of<std::uint32_t>(o),
                            o.shape(0)};
    exclusive.use([&](Encoder &encoder) { encoder.choose(input); });
  }

  nb::bytes finish(nb::handle segments, nb::handle lanes) {
    const std::int64_t s = integer_argument(segments, "segments");
    const std::int64_t l = integer_argument(lanes, "lanes");
    const Bytes stream =
        exclusive.use([&](Encoder &encoder) { return encoder.finish(s, l, threads()); });
    exclusive.coder.reset();
    return nb::bytes(stream.data(), stream.size());
  }
};

nb::object new_symbols(std::size_t count) {
  std::unique_ptr<std::int32_t[]> symbols(new std::int32_t[count]);
  std::int32_t *const data = symbols.get();
  const nb::capsule owner(data, [](void *p) noexcept { delete[] static_cast<std::int32_t *>(p); });
  symbols.release();
  return nb::cast(nb::ndarray<nb::numpy, std::int32_t, nb::ndim<1>>(data, {count}, owner));
}

// An array that owns what a vector held.
template <typename T>
nb::object array_of(std::vector<T> values) {
  auto *const kept = new std::vector<T>(std::move(values));
  const nb::capsule owner(kept, [](void *p) noexcept { delete static_cast<std::vector<T> *>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner));
}

nb::object scale_indexes_argument(nb::handle logarithms, nb::handle out, double first, double step,
                                  std::int64_t levels, double guard) {
  const Array x = array_argument(logarithms, "logarithms", {nb::dtype<double>()}, "float64");
  const auto indexes = writable_argument(
      out, "out", {nb::dtype<std::uint8_t>(), nb::dtype<std::uint16_t>()}, "uint8 or uint16");
  if (indexes.shape(0) != x.shape(0))
    throw InvalidInputError("out has room for " + std::to_string(indexes.shape(0)) +
                            " indexes, but there are " + std::to_string(x.shape(0)) + " scales");
  if (levels < 1 || levels > 65535)
    throw InvalidInputError("there are 1 to 65535 scale levels, not " + std::to_string(levels));
  std::vector<std::uint32_t> close;
  {
    nb::gil_scoped_release no_gil;
    close = scale_indexes(data_of<double>(x), x.shape(0), {first, 1 / step, int(levels), guard / step},
                          indexes.data(), int(indexes.itemsize()));
  }
  return array_of(std::move(close));
}

const ScanProgram &program_argument(nb::handle program) {
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

struct PyDecoder {
  Exclusive<Decoder> exclusive{"this Decoder"};

  explicit PyDecoder(nb::handle data) {
    const BytesArgument bytes(data, "data");
    exclusive.coder.emplace(bytes.data(), bytes.size());
  }

  std::uint64_t symbols() {
    return exclusive.use([](const Decoder &decoder) { return decoder.symbols(); });
  }

  nb::object decode(nb::handle indexes, nb::handle tables, nb::handle out) {
    const Array i = index_argument(indexes);
    const std::shared_ptr<const TableSet> set = tables_argument(tables);
    const std::size_t count = i.shape(0);
    nb::object result = out.is_none() ? new_symbols(count) : nb::borrow(out);
    const nb::ndarray<nb::device::cpu> symbols = writable_argument(result, "out", {nb::dtype<std::int32_t>()}, "int32");
    if (symbols.shape(0) != count)
      throw InvalidInputError("out has room for " + std::to_string(symbols.shape(0)) +
                              " symbols, but there are " + std::to_string(count) + " indexes");
    try {
      exclusive.use([&](Decoder &decoder) {
        decoder.decode(i.data(), int(i.itemsize()), count, *set,
                       static_cast<std::int32_t *>(symbols.data()), threads());
      });
    } catch (const BitstreamError &) {
      exclusive.coder.reset();
      throw;
    }
    return result;
  }

  nb::object scan(nb::handle program, nb::handle rows, nb::handle columns, nb::handle side,
                  nb::handle tables) {
    const ScanProgram &p = program_argument(program);
    const std::shared_ptr<const TableSet> set = tables_argument(tables);
    const ScanGrid grid(p, rows, columns, side);
    // Before anything is allocated for them.
    if (grid.values(p) > symbols())
      throw BitstreamError("more symbols are asked for than the coder stream holds");
    nb::object result = new_symbols(grid.values(p));
    const nb::ndarray<nb::device::cpu> values =
        writable_argument(result, "values", {nb::dtype<std::int32_t>()}, "int32");
    try {
      exclusive.use([&](Decoder &decoder) {
        decoder.scan(p, grid.rows, grid.columns, grid.side, *set,
                     static_cast<std::int32_t *>(values.data()));
      });
    } catch (const BitstreamError &) {
      exclusive.coder.reset();
      throw;
    }
    return result;
  }

  nb::object scan_fronts(nb::handle program, nb::handle rows, nb::handle columns, nb::handle side,
                         nb::handle side_shift, nb::handle tables) {
    if (!nb::isinstance<FrontProgram>(program))
      throw InvalidInputError("program must be a FrontProgram object");
    const FrontProgram &p = nb::cast<const FrontProgram &>(program);
    const std::shared_ptr<const TableSet> set = tables_argument(tables);
    const FrontGrid grid(p, rows, columns, side, side_shift);
    if (p.highest_index() > set->size())
      throw InvalidInputError("the program names table " + std::to_string(p.highest_index()) +
                              ", but the set has " + std::to_string(set->size()));
    // Before anything is allocated for them.
    if (grid.rows * grid.columns > symbols())
      throw BitstreamError("more symbols are asked for than the coder stream holds");
    nb::object result = new_symbols(grid.rows * grid.columns);
    const nb::ndarray<nb::device::cpu> values =
        writable_argument(result, "values", {nb::dtype<std::int32_t>()}, "int32");
    try {
      exclusive.use([&](Decoder &decoder) {
        FrontPass pass(p, grid.rows, grid.columns, grid.side, grid.side_shift,
                       static_cast<std::int32_t *>(values.data()), front_kernels());
        decoder.scan(pass, *set);
      });
    } catch (const BitstreamError &) {
      exclusive.coder.reset();
      throw;
    }
    return result;
  }

  nb::object choose(nb::handle indexes) {
    const Array i = array_argument(indexes, "indexes", {nb::dtype<std::uint16_t>()}, "uint16");
    const std::uint16_t *const given = data_of<std::uint16_t>(i);
    std::vector<std::uint16_t> chosen(given, given + i.shape(0));
    try {
      exclusive.use([&](Decoder &decoder) { decoder.choose(chosen.data(), chosen.size()); });
    } catch (const BitstreamError &) {
      exclusive.coder.reset();
      throw;
    }
    return array_of(std::move(chosen));
  }

  void finish() {
    std::optional<Decoder> last;
    exclusive.use([&](Decoder &decoder) { last.emplace(std::move(decoder)); });
    exclusive.coder.reset();
    last->finish();
  }
};

}  // namespace

NB_MODULE(_core, m) {
  nb::register_exception_translator(translate);

  m.def("crc32c", [](nb::handle data, nb::handle value) {
    const BytesArgument bytes(data, "data");
    const std::int64_t start = integer_argument(value, "value");
    if (start < 0 || start > 0xFFFFFFFFll)
      throw InvalidInputError("value must be a checksum, 0 to 2^32 - 1");
    return crc32c(bytes.data(), bytes.size(), std::uint32_t(start));
  }, nb::arg("data").none(), nb::arg("value").none() = 0);

  m.def("set_threads", [](nb::handle count) {
    const std::int64_t threads = integer_argument(count, "count");
    if (threads < 0) throw InvalidInputError("count must be a number of threads, or 0 for all");
    thread_limit = std::size_t(threads);
  }, nb::arg("count").none());
  m.def("scale_indexes", &scale_indexes_argument, nb::arg("logarithms").none(),
        nb::arg("out").none(), nb::arg("first"), nb::arg("step"), nb::arg("levels"),
        nb::arg("guard"));
  m.def("simd", [] { return kernels().name; });

  nb::class_<Tables>(m, "Tables")
      .def(nb::init<nb::handle, nb::handle, nb::handle, nb::handle>(), nb::arg("frequencies").none(),
           nb::arg("sizes").none(), nb::arg("offsets").none(), nb::arg("shifts").none())
      .def("__len__", [](const Tables &tables) { return tables.set->size(); })
      .def_prop_ro("fingerprint", [](const Tables &tables) { return tables.set->fingerprint(); });

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

  nb::class_<PyEncoder>(m, "Encoder")
      .def(nb::init<>())
      .def("add", &PyEncoder::add, nb::arg("symbols").none(), nb::arg("indexes").none(), nb::arg("tables").none(),
           nb::arg("overrides").none())
      .def("choose", &PyEncoder::choose, nb::arg("indexes").none(), nb::arg("overrides").none())
      .def("finish", &PyEncoder::finish, nb::arg("segments").none() = 0, nb::arg("lanes").none() = 0);

  nb::class_<PyDecoder>(m, "Decoder")
      .def(nb::init<nb::handle>(), nb::arg("data").none())
      .def_prop_ro("symbols", &PyDecoder::symbols)
      .def("decode", &PyDecoder::decode, nb::arg("indexes").none(), nb::arg("tables").none(),
           nb::arg("out").none() = nb::none())
      .def("choose", &PyDecoder::choose, nb::arg("indexes").none())
      .def("scan", &PyDecoder::scan, nb::arg("program").none(), nb::arg("rows").none(),
           nb::arg("columns").none(), nb::arg("side").none(), nb::arg("tables").none())
      .def("scan_fronts", &PyDecoder::scan_fronts, nb::arg("program").none(), nb::arg("rows").none(),
           nb::arg("columns").none(), nb::arg("side").none(), nb::arg("side_shift").none(),
           nb::arg("tables").none())
      .def("finish", &PyDecoder::finish);
}
