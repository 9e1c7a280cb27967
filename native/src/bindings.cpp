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
#include "kernels.hpp"
#include "program_arguments.hpp"
#include "python_module.hpp"
#include "scale_indexes.hpp"
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

  bind_programs(m);

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
