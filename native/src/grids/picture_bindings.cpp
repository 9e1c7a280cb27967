// Of the module kodec.native._grids: what works on pictures.
#include <initializer_list>
#include <optional>
#include <vector>

#include "grid_arguments.hpp"
#include "grids.hpp"

namespace nb = nanobind;
using namespace kodec;

namespace {

SmallConvolution convolution_shape(const Array &x, const Array &weight, bool residual,
                                   bool rectified) {
  const SmallConvolution shape{x.shape(1), x.shape(2),    x.shape(0), weight.shape(0),
                               weight.shape(2), residual, rectified};
  require(shape.side % 2 == 1 && shape.side <= 15 && weight.shape(3) == shape.side,
          "weight's taps must be odd in number, at most 15, in a square");
  require(weight.shape(1) == shape.inputs, "weight's second dimension must be x's channels");
  require(shape.inputs >= 1 && shape.inputs <= kMostWidth && shape.outputs >= 1 &&
              shape.outputs <= kMostWidth,
          "there must be 1 to 256 inputs and outputs");
  require(!residual || shape.inputs == shape.outputs,
          "a residual convolution must have as many outputs as inputs");
  require(shape.height > 0 && shape.width > 0, "x must not be empty");
  product({shape.height + 64, shape.width + 512, shape.inputs + shape.outputs});
  return shape;
}

nb::object small_convolution_argument(nb::handle x, nb::handle weight, nb::handle bias,
                                      bool residual, bool rectified, nb::handle threads) {
  const Array source = floats(x, "x", 3), kernel = floats(weight, "weight", 4);
  const Array first = floats(bias, "bias", 1);
  const std::size_t workers = threads_argument(threads);
  const SmallConvolution shape = convolution_shape(source, kernel, residual, rectified);
  require(first.shape(0) == shape.outputs, "bias must have an element for each output");
  const NewFloats out = new_floats({shape.outputs, shape.height, shape.width});
  {
    nb::gil_scoped_release no_gil;
    small_convolution(shape, data_of<float>(source), data_of<float>(kernel), data_of<float>(first),
                      out.data, workers);
  }
  return out.array;
}

nb::object small_convolution_gradient_argument(nb::handle x, nb::handle weight, nb::handle out,
                                               nb::handle gradient, bool residual, bool rectified,
                                               bool of_x, nb::handle threads) {
  const Array source = floats(x, "x", 3), kernel = floats(weight, "weight", 4);
  const Array given = floats(gradient, "gradient", 3), made = floats(out, "out", 3);
  const std::size_t workers = threads_argument(threads);
  const SmallConvolution shape = convolution_shape(source, kernel, residual, rectified);
  require(given.shape(0) == shape.outputs && given.shape(1) == shape.height &&
              given.shape(2) == shape.width && same_shape(given, made),
          "out and gradient must be (outputs, height, width)");
  const NewFloats found = new_floats({of_x ? shape.inputs : 0, shape.height, shape.width});
  const NewFloats of_weights =
      new_floats({shape.outputs * (shape.inputs * shape.side * shape.side + 1)});
  {
    nb::gil_scoped_release no_gil;
    small_convolution_gradient(shape, data_of<float>(source), data_of<float>(kernel),
                               data_of<float>(made), data_of<float>(given),
                               of_x ? found.data : nullptr, of_weights.data, workers);
  }
  return nb::make_tuple(of_x ? found.array : nb::none(), of_weights.array);
}

// Grids of a pyramid and its filters, with their arrays.
class PyramidArgument {
 public:
  Pyramid pyramid;

  PyramidArgument(nb::handle grids, nb::handle upsampling, nb::handle refinement, bool residual)
      : up_(floats(upsampling, "upsampling", 2)), own_(floats(refinement, "refinement", 2)) {
    const std::size_t count = nb::len(sequence_argument(grids, "grids", 1));
    require(count <= 64, "grids are at most 64");
    for (const auto &array : arrays_argument(grids, "grids", 2, count)) {
      require(array.has_value(), "a grid must not be None");
      arrays_.push_back(*array);
    }
    for (std::size_t l = 0; l < count; ++l) {
      const std::size_t h = arrays_[l].shape(0), w = arrays_[l].shape(1);
      require(h > 0 && w > 0, "a grid must not be empty");
      product({h + 64, w + 512, 64});
      if (l > 0)
        require(h == (pyramid.levels.back().height + 1) / 2 &&
                    w == (pyramid.levels.back().width + 1) / 2,
                "each grid must have half the sides of the one before, rounded up");
      pyramid.levels.push_back({h, w, data_of<float>(arrays_[l]), nullptr, nullptr});
    }
    require(up_.shape(0) == count - 1 && own_.shape(0) == count - 1,
            "there must be a filter of each kind for each grid but the coarsest");
    require(up_.shape(1) >= 2 && up_.shape(1) <= kMostTaps && up_.shape(1) % 2 == 0,
            "upsampling must have an even number of taps, 2 to 16");
    require(own_.shape(1) < kMostTaps && own_.shape(1) % 2 == 1,
            "refinement must have an odd number of taps, 1 to 15");
    pyramid.upsampling = data_of<float>(up_);
    pyramid.refinement = data_of<float>(own_);
    pyramid.up_taps = up_.shape(1);
    pyramid.own_taps = own_.shape(1);
    pyramid.residual = residual;
  }

 private:
  Array up_, own_;
  std::vector<Array> arrays_;
};

nb::object build_pyramid_argument(nb::handle grids, nb::handle upsampling, nb::handle refinement,
                                  bool residual, nb::handle threads) {
  PyramidArgument given(grids, upsampling, refinement, residual);
  const std::size_t workers = threads_argument(threads);
  nb::list stacks;
  std::size_t planes = given.pyramid.levels.size();
  for (PyramidLevel &level : given.pyramid.levels) {
    const NewFloats stack = new_floats({planes--, level.height, level.width});
    level.stack = stack.data;
    stacks.append(stack.array);
  }
  {
    nb::gil_scoped_release no_gil;
    build_pyramid(given.pyramid, workers);
  }
  return stacks;
}

nb::object pyramid_gradient_argument(nb::handle grids, nb::handle upsampling, nb::handle refinement,
                                     bool residual, nb::handle stacks, nb::handle gradient,
                                     nb::handle threads) {
  PyramidArgument given(grids, upsampling, refinement, residual);
  Pyramid &pyramid = given.pyramid;
  const std::size_t workers = threads_argument(threads), count = pyramid.levels.size();
  const auto made = arrays_argument(stacks, "stacks", 3, count);
  const Array of_stack = floats(gradient, "gradient", 3);
  nb::list gradients;
  for (std::size_t l = 0; l < count; ++l) {
    PyramidLevel &level = pyramid.levels[l];
    const auto fits = [&](const Array &array) {
      return array.shape(0) == count - l && array.shape(1) == level.height &&
             array.shape(2) == level.width;
    };
    // The finest stack is not asked for.
    require(l == 0 || (made[l] && fits(*made[l])), "stacks must be those that were built");
    if (l == 0) require(fits(of_stack), "gradient must be of the finest stack's shape");
    if (l > 0) level.stack = const_cast<float *>(data_of<float>(*made[l]));
    const NewFloats found = new_floats({level.height, level.width});
    level.gradient = found.data;
    gradients.append(found.array);
  }
  const NewFloats up = new_floats({count - 1, pyramid.up_taps});
  const NewFloats own = new_floats({count - 1, pyramid.own_taps});
  {
    nb::gil_scoped_release no_gil;
    differentiate_pyramid(pyramid, data_of<float>(of_stack), up.data, own.data, workers);
  }
  return nb::make_tuple(gradients, up.array, own.array);
}

// Grids of a stack, with their arrays.
class StackArgument {
 public:
  std::vector<RepeatedGrid> grids;
  std::size_t height, width;

  StackArgument(nb::handle given, nb::handle times, nb::handle height_, nb::handle width_)
      : height(count_argument(height_, "height", 1 << 24)),
        width(count_argument(width_, "width", 1 << 24)) {
    const nb::sequence all = sequence_argument(times, "times", 1);
    const std::size_t count = nb::len(all);
    for (const auto &array : arrays_argument(given, "grids", 2, count)) {
      require(array.has_value(), "a grid must not be None");
      const std::int64_t own = integer_argument(all[grids.size()], "times");
      require(own >= 0 && own <= 24, "times must be 0 to 24");
      const std::size_t step = std::size_t(1) << own;
      require(array->shape(0) == (height + step - 1) / step &&
                  array->shape(1) == (width + step - 1) / step,
              "a grid must have the stack's sides divided by 2^times, rounded up");
      grids.push_back({array->shape(0), array->shape(1), std::size_t(own), data_of<float>(*array),
                       nullptr});
      arrays_.push_back(*array);
    }
  }

 private:
  std::vector<Array> arrays_;
};

nb::object stack_grids_argument(nb::handle grids, nb::handle times, nb::handle height,
                                nb::handle width, nb::handle threads) {
  const StackArgument given(grids, times, height, width);
  const std::size_t workers = threads_argument(threads);
  const NewFloats stack = new_floats({given.grids.size(), given.height, given.width});
  {
    nb::gil_scoped_release no_gil;
    stack_grids(given.grids, given.height, given.width, stack.data, workers);
  }
  return stack.array;
}

nb::object stack_gradient_argument(nb::handle grids, nb::handle times, nb::handle gradient,
                                   nb::handle threads) {
  const Array of_stack = floats(gradient, "gradient", 3);
  StackArgument given(grids, times, nb::int_(of_stack.shape(1)), nb::int_(of_stack.shape(2)));
  const std::size_t workers = threads_argument(threads);
  require(of_stack.shape(0) == given.grids.size(), "gradient must be (grids, height, width)");
  nb::list gradients;
  for (RepeatedGrid &grid : given.grids) {
    const NewFloats found = new_floats({grid.height, grid.width});
    grid.gradient = found.data;
    gradients.append(found.array);
  }
  {
    nb::gil_scoped_release no_gil;
    differentiate_stack(given.grids, given.height, given.width, data_of<float>(of_stack), workers);
  }
  return gradients;
}

nb::object soft_round_argument(nb::handle x, nb::handle noise, float gain, float temperature,
                               bool with_slope, nb::handle threads) {
  const Array source = floats(x, "x", 1), added = floats(noise, "noise", 1);
  const std::size_t workers = threads_argument(threads), count = source.shape(0);
  require(added.shape(0) == count, "noise must have x's shape");
  require(temperature >= 0.01f && temperature <= 1000.0f, "temperature must be 0.01 to 1000");
  const NewFloats out = new_floats({count}), slope = new_floats({with_slope ? count : 0});
  {
    nb::gil_scoped_release no_gil;
    soft_round(data_of<float>(source), data_of<float>(added), {gain, temperature}, out.data,
               with_slope ? slope.data : nullptr, count, workers);
  }
  return nb::make_tuple(out.array, with_slope ? slope.array : nb::none());
}

}  // namespace

void kodec::bind_picture_layers(nb::module_ &m) {
  m.def("small_convolution", &small_convolution_argument, nb::arg("x").none(),
        nb::arg("weight").none(), nb::arg("bias").none(), nb::arg("residual") = false,
        nb::arg("rectified") = false, nb::arg("threads").none() = 1);
  m.def("small_convolution_gradient", &small_convolution_gradient_argument, nb::arg("x").none(),
        nb::arg("weight").none(), nb::arg("out").none(), nb::arg("gradient").none(),
        nb::arg("residual") = false, nb::arg("rectified") = false, nb::arg("of_x") = true,
        nb::arg("threads").none() = 1);
  m.def("build_pyramid", &build_pyramid_argument, nb::arg("grids").none(),
        nb::arg("upsampling").none(), nb::arg("refinement").none(), nb::arg("residual") = true,
        nb::arg("threads").none() = 1);
  m.def("pyramid_gradient", &pyramid_gradient_argument, nb::arg("grids").none(),
        nb::arg("upsampling").none(), nb::arg("refinement").none(), nb::arg("residual"),
        nb::arg("stacks").none(), nb::arg("gradient").none(), nb::arg("threads").none() = 1);
  m.def("stack_grids", &stack_grids_argument, nb::arg("grids").none(), nb::arg("times").none(),
        nb::arg("height").none(), nb::arg("width").none(), nb::arg("threads").none() = 1);
  m.def("stack_gradient", &stack_gradient_argument, nb::arg("grids").none(),
        nb::arg("times").none(), nb::arg("gradient").none(), nb::arg("threads").none() = 1);
  m.def("soft_round", &soft_round_argument, nb::arg("x").none(), nb::arg("noise").none(),
        nb::arg("gain"), nb::arg("temperature"), nb::arg("with_slope") = false,
        nb::arg("threads").none() = 1);
}
