// The module kodec.native._tokens; _tokens.pyi documents it.
#include <initializer_list>
#include <memory>
#include <optional>

#include "../arguments.hpp"
#include "../layers/buffer.hpp"
#include "../layers/float_arguments.hpp"
#include "../python_module.hpp"
#include "token_symbols.hpp"
#include "tokens.hpp"

namespace nb = nanobind;
using namespace kodec;

namespace {

Array doubles(nb::handle value, const char *name, std::size_t dimensions) {
  return array_argument(value, name, {nb::dtype<double>()}, "float64", dimensions);
}

Array integers(nb::handle value, const char *name, std::size_t dimensions) {
  return array_argument(value, name, {nb::dtype<std::int64_t>()}, "int64", dimensions);
}

std::optional<Array> doubles_or_none(nb::handle value, const char *name, std::size_t dimensions) {
  if (value.is_none()) return std::nullopt;
  return doubles(value, name, dimensions);
}

const double *data_or_none(const std::optional<Array> &array) {
  return array ? data_of<double>(*array) : nullptr;
}

// A new array, of which fill(data) makes the values.
template <typename Fill>
nb::object filled(std::initializer_list<std::size_t> sizes, const Fill &fill) {
  std::unique_ptr<Buffer> buffer(new Buffer(product({product(sizes), 2})));
  double *const data = reinterpret_cast<double *>(buffer->data());
  {
    nb::gil_scoped_release no_gil;
    fill(data);
  }
  const nb::capsule owner(buffer.get(), [](void *b) noexcept { delete static_cast<Buffer *>(b); });
  buffer.release();
  return nb::cast(nb::ndarray<nb::numpy, double>(data, sizes.size(), sizes.begin(), owner));
}

nb::object product_argument(nb::handle x, nb::handle weight, nb::handle bias, bool curved,
                            nb::handle plus, nb::handle threads) {
  const Array source = doubles(x, "x", 2), factors = doubles(weight, "weight", 2);
  const std::optional<Array> first = doubles_or_none(bias, "bias", 1);
  const std::optional<Array> added = doubles_or_none(plus, "plus", 2);
  const std::size_t workers = threads_argument(threads);
  const std::size_t rows = source.shape(0), inputs = source.shape(1), outputs = factors.shape(0);
  require(factors.shape(1) == inputs, "weight's second dimension must be x's");
  require(!first || first->shape(0) == outputs, "bias must have an element for each row of weight");
  require(!added || (added->shape(0) == rows && added->shape(1) == outputs),
          "plus must have the result's shape");
  product({outputs + 64, inputs, 16});
  return filled({rows, outputs}, [&](double *out) {
    token_product(data_of<double>(source), data_of<double>(factors), rows, inputs, outputs,
                  data_or_none(first), curved, data_or_none(added), out, workers);
  });
}

nb::object gelu_argument(nb::handle x, nb::handle threads) {
  const Array source = doubles(x, "x", 1);
  const std::size_t workers = threads_argument(threads), count = source.shape(0);
  return filled({count}, [&](double *out) {
    token_gelu(data_of<double>(source), out, count, workers);
  });
}

nb::object magnitudes_argument(nb::handle x, nb::handle threads) {
  const Array source = doubles(x, "x", 2);
  const std::size_t workers = threads_argument(threads);
  const std::size_t tokens = source.shape(0), channels = source.shape(1);
  return filled({tokens, 2 * channels}, [&](double *out) {
    token_magnitudes(data_of<double>(source), tokens, channels, out, workers);
  });
}

// Taps (side, side, channels), a side that is odd.
void check_taps(const Array &taps, const Array &bias, std::size_t channels) {
  require(taps.shape(0) % 2 == 1 && taps.shape(1) == taps.shape(0) && taps.shape(0) <= 63,
          "taps must be odd in number, at most 63, in a square");
  require(taps.shape(2) == channels && bias.shape(0) == channels,
          "taps and bias must have x's channels");
}

nb::object depthwise_argument(nb::handle x, nb::handle taps, nb::handle bias, nb::handle threads) {
  const Array source = doubles(x, "x", 4), filter = doubles(taps, "taps", 3);
  const Array first = doubles(bias, "bias", 1);
  const std::size_t workers = threads_argument(threads);
  const std::size_t items = source.shape(0), height = source.shape(1), width = source.shape(2);
  const std::size_t channels = source.shape(3), item = height * width * channels;
  check_taps(filter, first, channels);
  return filled({items, height, width, channels}, [&](double *out) {
    for (std::size_t n = 0; n < items; ++n)
      depthwise({data_of<double>(source) + n * item, height, width, channels, filter.shape(0),
                 data_of<double>(filter), data_of<double>(first), out + n * item},
                workers);
  });
}

nb::object depthwise_of_known_argument(nb::handle grid, nb::handle margin, nb::handle places,
                                       nb::handle phases, nb::handle phase, nb::handle taps,
                                       nb::handle bias, nb::handle threads) {
  const Array source = doubles(grid, "grid", 4), filter = doubles(taps, "taps", 3);
  const Array first = doubles(bias, "bias", 1), wanted = integers(places, "places", 1);
  const Array cell = integers(phases, "phases", 2);
  const std::size_t around = count_argument(margin, "margin", 31);
  const std::size_t workers = threads_argument(threads);
  const std::size_t channels = source.shape(3), side = filter.shape(0);
  check_taps(filter, first, channels);
  require(side / 2 <= around, "margin must be as wide as taps reach");
  require(cell.shape(0) == cell.shape(1) && cell.shape(0) >= 1 && cell.shape(0) <= 64,
          "phases must be a square of 1 to 64 a side");
  require(source.shape(1) > 2 * around && source.shape(2) > 2 * around,
          "grid must have positions inside of its margin");
  const std::size_t height = source.shape(1) - 2 * around, width = source.shape(2) - 2 * around;
  const std::size_t count = wanted.shape(0), item = source.shape(1) * source.shape(2) * channels;
  const std::int64_t *const at = data_of<std::int64_t>(wanted);
  for (std::size_t p = 0; p < count; ++p)
    require(at[p] >= 0 && std::size_t(at[p]) < height * width, "places must lie in the grid");
  const std::int64_t number = integer_argument(phase, "phase");
  return filled({source.shape(0), count, channels}, [&](double *out) {
    for (std::size_t n = 0; n < source.shape(0); ++n)
      depthwise_of_known({data_of<double>(source) + n * item, height, width, channels, around,
                          data_of<std::int64_t>(cell), cell.shape(0), number},
                         at, count, data_of<double>(filter), side, data_of<double>(first),
                         out + n * count * channels, workers);
  });
}

nb::object laplace_symbols_argument(nb::handle y, nb::handle mean, nb::handle log_scale,
                                    double coded_from, double log_smallest, double lagrangian,
                                    nb::handle threads) {
  const Array source = array_argument(y, "y", {nb::dtype<float>(), nb::dtype<double>()},
                                      "float32 or float64");
  const Array means = doubles(mean, "mean", 1), scales = doubles(log_scale, "log_scale", 1);
  const std::size_t workers = threads_argument(threads), count = source.shape(0);
  require(means.shape(0) == count && scales.shape(0) == count,
          "y, mean and log_scale must be of the same length");
  const bool single = source.dtype() == nb::dtype<float>();
  return filled({count}, [&](double *out) {
    laplace_symbols({single ? data_of<float>(source) : nullptr,
                     single ? nullptr : data_of<double>(source), data_of<double>(means),
                     data_of<double>(scales), coded_from, log_smallest, lagrangian, out},
                    count, workers);
  });
}

nb::object located_argument(nb::handle parameters, nb::handle spread, nb::handle log_spread,
                            nb::handle predicted, nb::handle threads) {
  const Array source = doubles(parameters, "parameters", 2), factors = doubles(spread, "spread", 1);
  const Array terms = doubles(log_spread, "log_spread", 1);
  const std::optional<Array> added = doubles_or_none(predicted, "predicted", 2);
  const std::size_t workers = threads_argument(threads);
  const std::size_t tokens = source.shape(0), channels = source.shape(1) / 2;
  require(source.shape(1) % 2 == 0, "parameters must be pairs");
  require(factors.shape(0) == channels && terms.shape(0) == channels,
          "spread and log_spread must have an element for each pair of parameters");
  require(!added || (added->shape(0) == tokens && added->shape(1) == channels),
          "predicted must be half as wide as parameters");
  return filled({2, tokens, channels}, [&](double *out) {
    located({channels, data_of<double>(source), data_of<double>(factors), data_of<double>(terms),
             data_or_none(added), out, out + tokens * channels},
            tokens, workers);
  });
}

}  // namespace

NB_MODULE(_tokens, m) {
  nb::register_exception_translator(translate);
  m.def("keep_freed", [](std::size_t most) { return keep_freed(most); }, nb::arg("most"));
  m.def("token_product", product_argument, nb::arg("x").none(), nb::arg("weight").none(),
        nb::arg("bias").none(), nb::arg("curved") = false, nb::arg("plus").none() = nb::none(),
        nb::arg("threads").none() = 1);
  m.def("token_gelu", gelu_argument, nb::arg("x").none(), nb::arg("threads").none() = 1);
  m.def("token_magnitudes", magnitudes_argument, nb::arg("x").none(),
        nb::arg("threads").none() = 1);
  m.def("depthwise", depthwise_argument, nb::arg("x").none(), nb::arg("taps").none(), nb::arg("bias").none(),
        nb::arg("threads").none() = 1);
  m.def("depthwise_of_known", depthwise_of_known_argument, nb::arg("grid").none(), nb::arg("margin").none(),
        nb::arg("places").none(), nb::arg("phases").none(), nb::arg("phase").none(), nb::arg("taps").none(), nb::arg("bias").none(),
        nb::arg("threads").none() = 1);
  m.def("laplace_symbols", laplace_symbols_argument, nb::arg("y").none(), nb::arg("mean").none(),
        nb::arg("log_scale").none(), nb::arg("coded_from"), nb::arg("log_smallest"),
        nb::arg("lagrangian"), nb::arg("threads").none() = 1);
  m.def("located", located_argument, nb::arg("parameters").none(), nb::arg("spread").none(),
        nb::arg("log_spread").none(), nb::arg("predicted").none() = nb::none(),
        nb::arg("threads").none() = 1);
}
