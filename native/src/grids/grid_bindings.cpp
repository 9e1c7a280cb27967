// The module kodec.native._grids; _grids.pyi documents it. Here: networks of positions and contexts.
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <nanobind/stl/string.h>

#include "grid_arguments.hpp"
#include "grids.hpp"

namespace nb = nanobind;
using namespace kodec;

namespace {

// Layers as Python gives them, (weight, bias, residual, activation) each, with their arrays.
class NetworkArgument {
 public:
  Network network;

  NetworkArgument(nb::handle layers, nb::handle branch) {
    for (const nb::handle layer : sequence_argument(layers, "layers", 1)) add(layer, network.layers);
    if (!branch.is_none()) add(branch, network.branch);
    const auto &all = network.layers;
    require(all.size() <= kMostLayers, "layers are at most 8");
    for (std::size_t l = 1; l < all.size(); ++l)
      require(all[l].inputs == all[l - 1].outputs,
              "a layer's inputs must be as many as the outputs of the one before");
    for (const NetworkLayer &b : network.branch) {
      require(b.inputs == network.inputs() && b.outputs == network.outputs(),
              "branch must have the first layer's inputs and the last one's outputs");
      require(!b.residual && b.activation == Activation::kNone,
              "branch must be neither residual nor activated");
    }
    require(!all.back().curved(), "the last layer's activation must be None or relu");
  }

 private:
  std::vector<Array> arrays_;

  void add(nb::handle value, std::vector<NetworkLayer> &to) {
    if (!nb::isinstance<nb::tuple>(value) || nb::len(value) != 4)
      throw InvalidInputError("a layer must be (weight, bias, residual, activation)");
    const nb::tuple parts = nb::cast<nb::tuple>(value);
    const Array weight = floats(parts[0], "weight", 2), bias = floats(parts[1], "bias", 1);
    require(nb::isinstance<nb::bool_>(parts[2]), "residual must be a bool");
    NetworkLayer layer{};
    layer.inputs = weight.shape(1);
    layer.outputs = weight.shape(0);
    layer.weight = data_of<float>(weight);
    layer.bias = data_of<float>(bias);
    layer.residual = nb::cast<bool>(parts[2]);
    activation(parts[3], layer);
    require(layer.inputs >= 1 && layer.inputs <= kMostWidth && layer.outputs >= 1 &&
                layer.outputs <= kMostWidth,
            "a layer must have 1 to 256 inputs and outputs");
    require(bias.shape(0) == layer.outputs, "bias must have an element for each row of weight");
    require(!layer.residual || layer.inputs == layer.outputs,
            "a residual layer must have as many outputs as inputs");
    to.push_back(layer);
    arrays_.push_back(weight);
    arrays_.push_back(bias);
  }

  // None, "relu", "gelu", or an array (2, pieces) of knots and of how much the slope grows there.
  void activation(nb::handle value, NetworkLayer &layer) {
    if (value.is_none()) return;
    if (nb::isinstance<nb::str>(value)) {
      const std::string name = nb::cast<std::string>(value);
      require(name == "relu" || name == "gelu", "an activation by name must be relu or gelu");
      layer.activation = name == "relu" ? Activation::kRectifier : Activation::kGelu;
      return;
    }
    const Array pieces = floats(value, "activation", 2);
    require(pieces.shape(0) == 2 && pieces.shape(1) <= kMostPieces,
            "an activation of pieces must be (2, at most 64)");
    layer.activation = Activation::kPieces;
    layer.pieces = pieces.shape(1);
    layer.knots = data_of<float>(pieces);
    layer.growth = layer.knots + layer.pieces;
    arrays_.push_back(pieces);
  }
};

nb::object run_network_argument(nb::handle x, nb::handle layers, nb::handle branch,
                                nb::handle threads) {
  const Array source = floats(x, "x", 2);
  const NetworkArgument given(layers, branch);
  const Network &network = given.network;
  const std::size_t workers = threads_argument(threads), positions = source.shape(1);
  require(source.shape(0) == network.inputs(), "x must have a row for each of the inputs");
  const NewFloats out = new_floats({network.outputs(), positions});
  const bool branches = !network.branch.empty();
  const NewFloats beside = new_floats({branches ? network.outputs() : 0, positions});
  {
    nb::gil_scoped_release no_gil;
    run_network(network, data_of<float>(source), positions, out.data, beside.data, workers);
  }
  return nb::make_tuple(out.array, branches ? beside.array : nb::none());
}

nb::object network_gradient_argument(nb::handle x, nb::handle layers, nb::handle branch,
                                     nb::handle gradient, nb::handle branch_gradient, bool of_x,
                                     nb::handle threads) {
  const Array source = floats(x, "x", 2), of_out = floats(gradient, "gradient", 2);
  const NetworkArgument given(layers, branch);
  const Network &network = given.network;
  const std::size_t workers = threads_argument(threads), positions = source.shape(1);
  require(source.shape(0) == network.inputs(), "x must have a row for each of the inputs");
  require(of_out.shape(0) == network.outputs() && of_out.shape(1) == positions,
          "gradient must be (outputs, positions)");
  std::optional<Array> of_branch;
  require(branch_gradient.is_none() == network.branch.empty(),
          "branch_gradient must be given if and only if there is a branch");
  if (!network.branch.empty()) {
    of_branch = floats(branch_gradient, "branch_gradient", 2);
    require(same_shape(*of_branch, of_out), "branch_gradient must be (outputs, positions)");
  }
  const NewFloats found = new_floats({of_x ? network.inputs() : 0, positions});
  const NewFloats of_weights = new_floats({network.weights()});
  {
    nb::gil_scoped_release no_gil;
    differentiate_network(network, data_of<float>(source), positions, data_of<float>(of_out),
                          of_branch ? data_of<float>(*of_branch) : nullptr,
                          of_x ? found.data : nullptr, of_weights.data, workers);
  }
  return nb::make_tuple(of_x ? found.array : nb::none(), of_weights.array);
}

std::vector<Offset> offsets_argument(nb::handle value) {
  const Array array = array_argument(value, "offsets", {nb::dtype<std::int32_t>()}, "int32", 2);
  require(array.shape(1) == 2, "offsets must be (contexts, 2)");
  std::vector<Offset> offsets;
  for (std::size_t c = 0; c < array.shape(0); ++c) {
    const std::int32_t *const own = data_of<std::int32_t>(array) + 2 * c;
    require(std::abs(own[0]) <= 64 && std::abs(own[1]) <= 64, "offsets must be within +-64");
    offsets.push_back({own[0], own[1]});
  }
  return offsets;
}

nb::object context_rate_argument(nb::handle grids, nb::handle features, nb::handle offsets,
                                 nb::handle layers, nb::handle branch, nb::handle coding,
                                 nb::handle charges, bool positions, nb::handle threads) {
  const std::size_t workers = threads_argument(threads);
  const NetworkArgument given(layers, branch);
  const Network &network = given.network;
  const std::vector<Offset> contexts = offsets_argument(offsets);
  require(network.outputs() == 2 && !network.layers.back().rectified(),
          "the last layer must have two outputs, a mean and a log scale, without activation");
  require(contexts.size() <= network.inputs(), "offsets are more than the network's inputs");
  const std::size_t count = network.inputs() - contexts.size();

  const Array settings = floats(coding, "coding", 1);
  require(settings.shape(0) == 4, "coding must be (shift, lowest, highest, most bits)");
  const float *const s = data_of<float>(settings);
  const Coding how{s[0], s[1], s[2], s[3]};
  require(how.low <= how.high && std::abs(how.low) <= 40 && std::abs(how.high) <= 40,
          "log scales must lie within +-40");
  require(how.most_bits > 0 && how.most_bits <= 100, "most bits must be above 0 and at most 100");

  const std::size_t number = nb::len(sequence_argument(grids, "grids", 1));
  const auto values = arrays_argument(grids, "grids", 2, number);
  const auto beside = arrays_argument(features, "features", 3, number);
  std::optional<Array> charged;
  if (!charges.is_none()) {
    charged = floats(charges, "charges", 1);
    require(charged->shape(0) == number, "charges must have an element for each grid");
  }
  std::vector<Grid> all;
  nb::list gradients, feature_gradients, position_bits;
  const auto made = [](nb::list &list, bool wanted, std::initializer_list<std::size_t> sizes) {
    if (!wanted) {
      list.append(nb::none());
      return static_cast<float *>(nullptr);
    }
    const NewFloats found = new_floats(sizes);
    list.append(found.array);
    return found.data;
  };
  for (std::size_t g = 0; g < number; ++g) {
    require(values[g].has_value(), "a grid must not be None");
    Grid grid{};
    grid.height = values[g]->shape(0);
    grid.width = values[g]->shape(1);
    // Room among zeros, tasks' shares, gradients.
    product({grid.height + 256, grid.width + 256, 256});
    require(grid.height > 0 && grid.width > 0, "a grid must not be empty");
    grid.values = data_of<float>(*values[g]);
    const std::size_t h = (grid.height + 1) / 2, w = (grid.width + 1) / 2;
    if (beside[g]) {
      require(beside[g]->shape(0) == count && beside[g]->shape(1) == h && beside[g]->shape(2) == w,
              "features must be (inputs - contexts, height / 2, width / 2), rounded up");
      grid.features = data_of<float>(*beside[g]);
    }
    grid.charge = charged ? data_of<float>(*charged)[g] : 1.0f;
    grid.gradient = made(gradients, charged.has_value(), {grid.height, grid.width});
    grid.feature_gradient =
        made(feature_gradients, charged.has_value() && beside[g].has_value(), {count, h, w});
    grid.position_bits = made(position_bits, positions, {grid.height, grid.width});
    all.push_back(grid);
  }
  std::vector<double> bits(number);
  const NewFloats of_weights = new_floats({charged ? network.weights() : 0});
  {
    nb::gil_scoped_release no_gil;
    context_rate(network, contexts, count, how, all, bits.data(),
                 charged ? of_weights.data : nullptr, workers);
  }
  nb::list sums;
  for (const double sum : bits) sums.append(sum);
  if (positions) return nb::make_tuple(sums, position_bits);
  if (!charged) return nb::make_tuple(sums, nb::none());
  return nb::make_tuple(sums, nb::make_tuple(gradients, feature_gradients, of_weights.array));
}

}  // namespace

NB_MODULE(_grids, m) {
  nb::register_exception_translator(translate);

  m.def("run_network", &run_network_argument, nb::arg("x").none(), nb::arg("layers").none(),
        nb::arg("branch").none() = nb::none(), nb::arg("threads").none() = 1);
  m.def("network_gradient", &network_gradient_argument, nb::arg("x").none(),
        nb::arg("layers").none(), nb::arg("branch").none(), nb::arg("gradient").none(),
        nb::arg("branch_gradient").none(), nb::arg("of_x") = true, nb::arg("threads").none() = 1);
  m.def("context_rate", &context_rate_argument, nb::arg("grids").none(),
        nb::arg("features").none(), nb::arg("offsets").none(), nb::arg("layers").none(),
        nb::arg("branch").none(), nb::arg("coding").none(), nb::arg("charges").none() = nb::none(),
        nb::arg("positions") = false, nb::arg("threads").none() = 1);
  bind_picture_layers(m);
}
