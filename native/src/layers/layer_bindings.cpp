// The module kodec.native._layers; _layers.pyi documents it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../arguments.hpp"
#include "../python_module.hpp"
#include "buffer.hpp"
#include "fingerprint.hpp"
#include "float_arguments.hpp"
#include "layers.hpp"

namespace nb = nanobind;
using namespace kodec;

namespace {

void require_layers() {
  if (!has_layers())
    throw UnsupportedError(
        "this CPU has no AVX2 with FMA, or KODEC_LAYERS is off; ask runs_layers() before");
}

std::optional<Array> floats_or_none(nb::handle value, const char *name, std::size_t dimensions) {
  if (value.is_none()) return std::nullopt;
  return floats(value, name, dimensions);
}

// Items, height, width, channels.
using Sizes = std::array<std::size_t, 4>;

const float *item_of(const Array &array, std::size_t item) {
  return data_of<float>(array) + item * array.shape(1) * array.shape(2) * array.shape(3);
}

// A new array, of which layer(item, out) makes the items.
template <typename Layer>
nb::object results(const Sizes &sizes, const Layer &layer) {
  const std::size_t step = product({sizes[1], sizes[2], sizes[3]});
  std::unique_ptr<Buffer> buffer(new Buffer(product({sizes[0], step})));
  if (step > 0) {
    nb::gil_scoped_release no_gil;
    for (std::size_t item = 0; item < sizes[0]; ++item) layer(item, buffer->data() + item * step);
  }
  float *const data = buffer->data();
  const nb::capsule owner(buffer.get(), [](void *b) noexcept { delete static_cast<Buffer *>(b); });
  buffer.release();
  return nb::cast(
      nb::ndarray<nb::numpy, float, nb::ndim<4>>(data, sizes.size(), sizes.data(), owner));
}

// The parts of a `Finish`, with the arrays that they lie in.
class FinishArgument {
 public:
  FinishArgument(float slope, nb::handle plus, float last_slope, nb::handle affine, bool gelu,
                 const Sizes &sizes, std::size_t outputs)
      : slope_(slope), last_slope_(last_slope), gelu_(gelu) {
    require(slope >= 0 && slope <= 1, "slope must be from 0 to 1");
    require(last_slope >= 0 && last_slope <= 1, "last_slope must be from 0 to 1");
    require(!gelu || slope == 1, "gelu has no slope");
    if (!plus.is_none()) {
      plus_ = floats(plus, "plus", 4);
      for (std::size_t d = 0; d < sizes.size(); ++d)
        require(plus_->shape(d) == sizes[d], "plus must have the result's shape");
    }
    if (affine.is_none()) return;
    affine_ = floats(affine, "affine", 2);
    require(affine_->shape(0) == 2 && affine_->shape(1) == outputs,
            "affine must have a row of scales and one of shifts, of all outputs");
  }

  Finish of(std::size_t item) const {
    Finish finish{slope_, plus_ ? item_of(*plus_, item) : nullptr, last_slope_};
    finish.gelu = gelu_;
    if (affine_) {
      finish.scale = data_of<float>(*affine_);
      finish.shift = finish.scale + affine_->shape(1);
    }
    return finish;
  }

 private:
  float slope_, last_slope_;
  bool gelu_;
  std::optional<Array> plus_, affine_;
};

// A weight (outputs of all phases, inputs of all phases, side, side) as a layer takes it, and what it was
// made from.
class Filters {
 public:
  // As `convolution` takes it.
  static Filters *of_taps(nb::handle weight, nb::handle out_period, nb::handle source) {
    const Array kernel = floats(weight, "weight", 4);
    return new Filters(kernel, std::nullopt, count_argument(out_period, "out_period", 2), 1,
                       source.is_none() ? kernel : floats(source, "source", 4));
  }

  // As `minimal_filtering` takes it.
  static Filters *of_tiles(nb::handle weight, nb::handle period, nb::handle out_period,
                           nb::handle source, nb::handle threads) {
    const Array kernel = floats(weight, "weight", 4);
    return new Filters(kernel, count_argument(period, "period", 2),
                       count_argument(out_period, "out_period", 2), threads_argument(threads),
                       source.is_none() ? kernel : floats(source, "source", 4));
  }

  bool is_of(nb::handle source) const {
    const Array given = floats(source, "source", 4);
    return Fingerprint(data_of<float>(given), given.size()) == source_;
  }

  std::size_t out_period() const { return out_period_; }
  std::size_t outputs() const { return outputs_; }
  std::size_t inputs() const { return inputs_; }
  std::size_t side() const { return side_; }
  const float *data() const { return made_->data(); }

 private:
  friend class FiltersArgument;

  Filters(const Array &kernel, std::optional<std::size_t> period, std::size_t out_period,
          std::size_t threads, const std::optional<Array> &source)
      : period_(period),
        out_period_(out_period),
        outputs_(kernel.shape(0)),
        inputs_(kernel.shape(1)),
        side_(kernel.shape(2)) {
    require_layers();
    const std::size_t phases = out_period * out_period;
    require(kernel.shape(3) == side_ && side_ > 0, "weight's taps must be in a square");
    require(outputs_ % phases == 0, "bias must have an element for each output of each phase");
    product({outputs_ + 64, inputs_ + 64, side_ * side_, 64});
    if (source) source_ = Fingerprint(data_of<float>(*source), source->size());
    nb::gil_scoped_release no_gil;
    if (!period_) {
      made_.emplace(convolution_filters(
          data_of<float>(kernel), {0, 0, inputs_, outputs_ / phases, side_, 1, out_period}));
      return;
    }
    const std::size_t in_phases = *period_ * *period_;
    require(side_ == 3, "weight must be for 3x3 taps");
    require(inputs_ % in_phases == 0, "weight's second dimension must be x's channels, times the "
                                      "phases of x");
    made_.emplace(minimal_filters(
        data_of<float>(kernel),
        {1, 1, inputs_ / in_phases, outputs_ / phases, *period_, out_period, 1, 1}, threads));
  }

  std::optional<std::size_t> period_;
  std::size_t out_period_, outputs_, inputs_, side_;
  Fingerprint source_;
  std::optional<Buffer> made_;
};

// Filters that were made before, or those of a weight for this call alone.
class FiltersArgument {
 public:
  FiltersArgument(nb::handle weight, std::optional<std::size_t> period, std::size_t out_period,
                  std::size_t threads) {
    if (nb::isinstance<Filters>(weight)) {
      filters_ = nb::cast<const Filters *>(weight);
      require(filters_->period_ == period && filters_->out_period() == out_period,
              "weight was made for another layer");
      return;
    }
    own_.reset(
        new Filters(floats(weight, "weight", 4), period, out_period, threads, std::nullopt));
    filters_ = own_.get();
  }
  const Filters *operator->() const { return filters_; }

 private:
  const Filters *filters_;
  std::unique_ptr<Filters> own_;
};

nb::object convolution_argument(nb::handle x, nb::handle weight, nb::handle bias, nb::handle stride,
                                nb::handle out_period, float slope, nb::handle plus,
                                float last_slope, nb::handle affine, bool gelu,
                                nb::handle threads) {
  const Array source = floats(x, "x", 4), first = floats(bias, "bias", 1);
  const std::size_t step = count_argument(stride, "stride", 16);
  const std::size_t q = count_argument(out_period, "out_period", 2);
  const std::size_t workers = threads_argument(threads);
  require_layers();
  const FiltersArgument filters(weight, std::nullopt, q, workers);
  const std::size_t all = first.shape(0), side = filters->side();
  require(side % 2 == 1 || side == step,
          "weight's taps must be odd in number along a side, or as many as the stride");
  require(filters->inputs() == source.shape(3), "weight's second dimension must be x's channels");
  require(filters->outputs() == all, "weight's first dimension must be bias' length");
  const Convolution shape{source.shape(1), source.shape(2), source.shape(3), all / (q * q),
                          side,            step,            q};
  const Sizes sizes{source.shape(0), shape.out_height() * q, shape.out_width() * q, shape.outputs};
  const FinishArgument finish(slope, plus, last_slope, affine, gelu, sizes, all);
  return results(sizes, [&](std::size_t item, float *out) {
    convolution(item_of(source, item), filters->data(), data_of<float>(first), finish.of(item), out,
                shape, workers);
  });
}

nb::object minimal_filtering_argument(nb::handle x, nb::handle weight, nb::handle bias,
                                      nb::handle period, nb::handle out_period, float slope,
                                      nb::handle plus, float last_slope, nb::handle affine,
                                      bool gelu, nb::handle threads) {
  const Array source = floats(x, "x", 4), first = floats(bias, "bias", 1);
  const std::size_t p = count_argument(period, "period", 2);
  const std::size_t q = count_argument(out_period, "out_period", 2);
  const std::size_t workers = threads_argument(threads);
  require_layers();
  const FiltersArgument filters(weight, p, q, workers);
  const std::size_t items = source.shape(0), h = source.shape(1), w = source.shape(2);
  const std::size_t all = first.shape(0);
  require(filters->inputs() == source.shape(3) * p * p,
          "weight's second dimension must be x's channels, times the phases of x");
  require(filters->outputs() == all, "weight's first dimension must be bias' length");
  const Filtering shape{
      (h + p - 1) / p, (w + p - 1) / p, source.shape(3), all / (q * q), p, q, h, w};
  // A tile of 6x6 outputs and the channels' rounding need some room more.
  product({items, shape.height + 8, shape.width + 8, shape.inputs + 8, shape.outputs + 8, 64});
  const Sizes sizes{items, shape.height * q, shape.width * q, shape.outputs};
  const FinishArgument finish(slope, plus, last_slope, affine, gelu, sizes, all);
  return results(sizes, [&](std::size_t item, float *out) {
    minimal_filtering(item_of(source, item), filters->data(), data_of<float>(first),
                      finish.of(item), out, shape, workers);
  });
}

nb::object filter_gradient_argument(nb::handle x, nb::handle gradient, nb::handle threads) {
  const Array source = floats(x, "x", 4), given = floats(gradient, "gradient", 4);
  const std::size_t workers = threads_argument(threads);
  require_layers();
  const std::size_t items = source.shape(0), h = source.shape(1), w = source.shape(2);
  for (std::size_t d = 0; d < 3; ++d)
    require(given.shape(d) == source.shape(d), "gradient must have x's items, rows and columns");
  const Filtering shape{h, w, source.shape(3), given.shape(3), 1, 1, h, w};
  product({shape.inputs + 8, shape.outputs + 16, 64});
  product({items, h + 8, w + 8, shape.inputs + shape.outputs + 24});
  const nb::object found =
      results({1, shape.outputs, shape.inputs, 9}, [&](std::size_t, float *out) {
        filter_gradient(data_of<float>(source), data_of<float>(given), out, items, shape, workers);
      });
  return found.attr("reshape")(shape.outputs, shape.inputs, 3, 3);
}

// Scales and shifts (items, 2, channels) of x (items, positions, channels), or none.
std::optional<Array> affine_argument(nb::handle value, const Array &x) {
  if (value.is_none()) return std::nullopt;
  const Array found = floats(value, "affine", 3);
  require(found.shape(0) == x.shape(0) && found.shape(1) == 2 && found.shape(2) == x.shape(2),
          "affine must be (items, 2, channels) of x");
  return found;
}

const float *data_or_none(const std::optional<Array> &array) {
  return array ? data_of<float>(*array) : nullptr;
}

nb::object gelu_argument(nb::handle x, nb::handle affine, nb::handle threads) {
  const Array source = floats(x, "x", 3);
  const auto scales = affine_argument(affine, source);
  const std::size_t workers = threads_argument(threads);
  require_layers();
  const std::size_t items = source.shape(0), positions = source.shape(1), c = source.shape(2);
  const nb::object found = results({1, items, positions, c}, [&](std::size_t, float *out) {
    gelu(data_of<float>(source), data_or_none(scales), out, items, positions, c, workers);
  });
  return found.attr("reshape")(items, positions, c);
}

nb::object gelu_gradient_argument(nb::handle x, nb::handle gradient, nb::handle affine,
                                  nb::handle threads) {
  const Array source = floats(x, "x", 3), given = floats(gradient, "gradient", 3);
  for (std::size_t d = 0; d < 3; ++d)
    require(given.shape(d) == source.shape(d), "gradient must have x's shape");
  const auto scales = affine_argument(affine, source);
  const std::size_t workers = threads_argument(threads);
  require_layers();
  const std::size_t items = source.shape(0), positions = source.shape(1), c = source.shape(2);
  Buffer sums(scales ? product({items, 2, c}) : 0);
  const nb::object found = results({1, items, positions, c}, [&](std::size_t, float *out) {
    gelu_gradient(data_of<float>(source), data_or_none(scales), data_of<float>(given), out,
                  sums.data(), items, positions, c, workers);
  });
  const nb::object own = found.attr("reshape")(items, positions, c);
  if (!scales) return nb::make_tuple(own, nb::none());
  const bool empty = items * positions * c == 0;
  const nb::object affine_gradient = results({1, items, 2, c}, [&](std::size_t, float *out) {
    std::copy_n(sums.data(), items * 2 * c, out);
    if (empty) std::fill_n(out, items * 2 * c, 0.0f);
  });
  return nb::make_tuple(own, affine_gradient.attr("reshape")(items, 2, c));
}

// A matrix across boundaries of blocks of this side, or none.
const float *boundaries_of(const std::optional<Array> &matrix, std::size_t side) {
  if (!matrix) return nullptr;
  require(side % 2 == 0 && matrix->shape(0) == side && matrix->shape(1) == side,
          "matrix must be (side, side), side even");
  return data_of<float>(*matrix);
}

nb::object to_blocks_argument(nb::handle x, nb::handle side, nb::handle matrix, float shift,
                              nb::handle threads) {
  const Array source = floats(x, "x", 4);
  const std::size_t b = count_argument(side, "side", 64), workers = threads_argument(threads);
  const auto given = floats_or_none(matrix, "matrix", 2);
  require_layers();
  const PixelBlocks shape{source.shape(1), source.shape(2), source.shape(3), b};
  require(shape.height % b == 0 && shape.width % b == 0, "x's sides must be multiples of side");
  const float *const filter = boundaries_of(given, b);
  const Sizes sizes{source.shape(0), shape.height / b, shape.width / b, shape.components * b * b};
  return results(sizes, [&](std::size_t item, float *out) {
    to_blocks(item_of(source, item), filter, shift, out, shape, workers);
  });
}

nb::object from_blocks_argument(nb::handle blocks, nb::handle side, nb::handle matrix, float shift,
                                nb::handle plus, nb::handle threads) {
  const Array source = floats(blocks, "blocks", 4);
  const std::size_t b = count_argument(side, "side", 64), workers = threads_argument(threads);
  const auto given = floats_or_none(matrix, "matrix", 2), added = floats_or_none(plus, "plus", 4);
  require_layers();
  require(source.shape(3) % (b * b) == 0, "blocks must have side^2 elements of each component");
  const PixelBlocks shape{source.shape(3) / (b * b), product({source.shape(1), b}),
                          product({source.shape(2), b}), b};
  const float *const filter = boundaries_of(given, b);
  const Sizes sizes{source.shape(0), shape.components, shape.height, shape.width};
  for (std::size_t d = 0; added && d < sizes.size(); ++d)
    require(added->shape(d) == sizes[d], "plus must have the result's shape");
  return results(sizes, [&](std::size_t item, float *out) {
    from_blocks(item_of(source, item), filter, shift, added ? item_of(*added, item) : nullptr, out,
                shape, workers);
  });
}

// Height and width of pixels (3, H, W).
std::array<std::size_t, 2> pixel_sizes(const Array &pixels) {
  const std::size_t h = pixels.shape(1), w = pixels.shape(2);
  product({3, h + 6, w + 32});
  require(pixels.shape(0) == 3 && h > 0 && w > 0 && h % 2 == 0 && w % 2 == 0,
          "x must be (3, H, W), sides even and above 0");
  return {h, w};
}

nb::object place_filter_argument(nb::handle x, nb::handle taps, float clip,
                                 nb::handle colour_taps, nb::handle guides,
                                 std::array<float, 2> colour_clips, nb::handle threads) {
  const Array source = floats(x, "x", 3), weights = floats(taps, "taps", 4);
  const std::size_t workers = threads_argument(threads);
  require_layers();
  const auto [h, w] = pixel_sizes(source);
  require(weights.shape(0) == kPlaceKinds && weights.shape(1) == 2 &&
              weights.shape(2) == kPlaceTaps && weights.shape(3) == kPlaceColumns,
          "taps must be (48, 2, 7, 8)");
  require(colour_taps.is_none() == guides.is_none(), "colour_taps and guides go together");
  std::optional<Array> own, beside;
  ColourTaps colours{};
  if (!guides.is_none()) {
    own = floats(colour_taps, "colour_taps", 4);
    beside = floats(guides, "guides", 3);
    require(own->shape(0) == kPlaceKinds && own->shape(1) == 2 &&
                own->shape(2) == kPlaceColourTaps && own->shape(3) == kPlaceColumns,
            "colour_taps must be (48, 2, 3, 8)");
    require(beside->shape(0) == kPlaceKinds && beside->shape(1) == 3 &&
                beside->shape(2) == kPlaceGuides,
            "guides must be (48, 3, 4)");
    colours = {data_of<float>(*own), data_of<float>(*beside), {colour_clips[0], colour_clips[1]},
               {clip * clip * kPlaceFloors[0], clip * clip * kPlaceFloors[1]}};
  }
  const nb::object found = results({1, 3, h, w}, [&, h = h, w = w](std::size_t, float *out) {
    filter_places(data_of<float>(source), data_of<float>(weights), clip,
                  own ? &colours : nullptr, out, h, w, workers);
  });
  return found.attr("reshape")(3, h, w);
}

nb::object places_argument(nb::handle x, nb::handle threads) {
  const Array source = floats(x, "x", 3);
  const std::size_t workers = threads_argument(threads);
  require_layers();
  const auto [h, w] = pixel_sizes(source);
  const Sizes sizes{1, 3, h / 2, w / 2};
  const nb::object found = results(sizes, [&, h = h, w = w](std::size_t, float *out) {
    find_places(data_of<float>(source), out, h, w, workers);
  });
  return found.attr("reshape")(3, h / 2, w / 2);
}

void divisive_normalisation_argument(nb::handle x, nb::handle gamma, nb::handle beta,
                                     nb::handle out, bool inverse, nb::handle threads) {
  const Array from = floats(x, "x", 2), weights = floats(gamma, "gamma", 2);
  const Array first = floats(beta, "beta", 1);
  const auto to = writable_argument(out, "out", {nb::dtype<float>()}, "float32", 2);
  const std::size_t workers = threads_argument(threads);
  require_layers();
  const std::size_t positions = from.shape(0), channels = from.shape(1);
  require(to.shape(0) == positions && to.shape(1) == channels, "out must have x's shape");
  require(first.shape(0) == channels, "beta must have as many elements as x has channels");
  require(weights.shape(0) == channels && weights.shape(1) == channels,
          "gamma must have a row and a column for each of x's channels");
  nb::gil_scoped_release no_gil;
  divisive_normalisation(data_of<float>(from), data_of<float>(weights), data_of<float>(first),
                         static_cast<float *>(to.data()), positions, channels, inverse, workers);
}

}  // namespace

NB_MODULE(_layers, m) {
  nb::register_exception_translator(translate);
  // Models that live as long as the interpreter keep filters, and no fault is in that.
  nb::set_leak_warnings(false);

  m.def("keep_freed", [](std::size_t most) { return keep_freed(most); }, nb::arg("most"));
  m.def("runs_layers", &has_layers);
  m.def("layers_name", &layers_name);
  nb::class_<Filters>(m, "Filters")
      .def_static("of_taps", &Filters::of_taps, nb::arg("weight").none(),
                  nb::arg("out_period").none() = 1, nb::arg("source").none() = nb::none())
      .def_static("of_tiles", &Filters::of_tiles, nb::arg("weight").none(),
                  nb::arg("period").none() = 1, nb::arg("out_period").none() = 1,
                  nb::arg("source").none() = nb::none(), nb::arg("threads").none() = 1)
      .def("is_of", &Filters::is_of, nb::arg("source").none());
  m.def("convolution", &convolution_argument, nb::arg("x").none(), nb::arg("weight").none(),
        nb::arg("bias").none(), nb::arg("stride").none() = 1, nb::arg("out_period").none() = 1,
        nb::arg("slope") = 1.0f, nb::arg("plus").none() = nb::none(), nb::arg("last_slope") = 1.0f,
        nb::arg("affine").none() = nb::none(), nb::arg("gelu") = false,
        nb::arg("threads").none() = 1);
  m.def("minimal_filtering", &minimal_filtering_argument, nb::arg("x").none(),
        nb::arg("weight").none(), nb::arg("bias").none(), nb::arg("period").none() = 1,
        nb::arg("out_period").none() = 1, nb::arg("slope") = 1.0f,
        nb::arg("plus").none() = nb::none(), nb::arg("last_slope") = 1.0f,
        nb::arg("affine").none() = nb::none(), nb::arg("gelu") = false,
        nb::arg("threads").none() = 1);
  m.def("filter_gradient", &filter_gradient_argument, nb::arg("x").none(),
        nb::arg("gradient").none(), nb::arg("threads").none() = 1);
  m.def("place_filter", &place_filter_argument, nb::arg("x").none(), nb::arg("taps").none(),
        nb::arg("clip"), nb::arg("colour_taps").none() = nb::none(),
        nb::arg("guides").none() = nb::none(),
        nb::arg("colour_clips") = std::array<float, 2>{1, 1}, nb::arg("threads").none() = 1);
  m.def("places", &places_argument, nb::arg("x").none(), nb::arg("threads").none() = 1);
  m.def("to_blocks", &to_blocks_argument, nb::arg("x").none(), nb::arg("side").none(),
        nb::arg("matrix").none() = nb::none(), nb::arg("shift") = 0.0f,
        nb::arg("threads").none() = 1);
  m.def("from_blocks", &from_blocks_argument, nb::arg("blocks").none(), nb::arg("side").none(),
        nb::arg("matrix").none() = nb::none(), nb::arg("shift") = 0.0f,
        nb::arg("plus").none() = nb::none(), nb::arg("threads").none() = 1);
  m.def("gelu", &gelu_argument, nb::arg("x").none(), nb::arg("affine").none() = nb::none(),
        nb::arg("threads").none() = 1);
  m.def("gelu_gradient", &gelu_gradient_argument, nb::arg("x").none(), nb::arg("gradient").none(),
        nb::arg("affine").none() = nb::none(), nb::arg("threads").none() = 1);
  m.def("divisive_normalisation", &divisive_normalisation_argument, nb::arg("x").none(),
        nb::arg("gamma").none(), nb::arg("beta").none(), nb::arg("out").none(),
        nb::arg("inverse") = false, nb::arg("threads").none() = 1);
}
