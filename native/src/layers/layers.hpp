// Layers of transforms on a CPU, in float32: pictures (height, width, channels), channels last.
//
// Results do not depend on the number of threads, on alignment, on the instruction set, or on what
// else is computed.
#pragma once

#include <cstddef>

#include "buffer.hpp"

namespace kodec {

// Whether this CPU runs what follows, which is written for AVX2 with FMA and for AVX-512, and
// KODEC_LAYERS is not `off`; to be asked first. Throws InvalidInputError where that names nothing.
bool has_layers();
// Which of them: avx2, avx512 or off.
const char *layers_name();

// What is done with a convolution's results v, at no further pass over memory: output o is
// multiplied by scale[o] and shift[o] is added, if there are any; v is passed through GELU (by tanh),
// or multiplied by `slope` where negative; `plus`, of the results' shape, is added, if there is any;
// and what comes of that is multiplied by `last_slope` where negative. Slopes: 0 (rectified) to 1 (as
// it is). Outputs of scale and shift are those of all phases.
struct Finish {
  float slope = 1;
  const float *plus = nullptr;
  float last_slope = 1;
  const float *scale = nullptr, *shift = nullptr;
  bool gelu = false;
};

// A convolution with zeros around the picture: (height, width, inputs) -> (ceil(height / stride),
// ceil(width / stride), outputs). Weights are (outputs of all phases, inputs, side, side); kernels of
// even sides begin one place nearer. With an out_period of 2 results are the phases of a picture of
// twice as many rows and columns, as for `minimal_filtering` below.
struct Convolution {
  std::size_t height, width, inputs, outputs, side, stride, out_period = 1;

  std::size_t out_height() const { return (height + stride - 1) / stride; }
  std::size_t out_width() const { return (width + stride - 1) / stride; }
  std::size_t margin() const { return (side - 1) / 2; }
  std::size_t phases() const { return out_period * out_period; }
};
// A weight as `convolution` takes it. Of the shape only what is the weight's is read.
Buffer convolution_filters(const float *weight, const Convolution &shape);
void convolution(const float *x, const float *filters, const float *bias, const Finish &finish,
                 float *out, const Convolution &shape, std::size_t threads);

// A 3x3 convolution of stride 1, by minimal filtering, from all phases of a picture to all phases
// of another. With a period of 2 its pixels at even and odd rows and columns are channels of their
// own: channel (2 i + j) * channels + c has those of c at rows 2 y + i and columns 2 x + j. With 1
// there is the picture itself. The kernel is at `height` x `width` positions of the phases; the
// source has `source_height` x `source_width` pixels, period times as many or fewer (zeros follow),
// the result out_period times as many. Weights are (outputs of all phases, inputs of all phases, 3,
// 3), biases (outputs of all phases).
struct Filtering {
  std::size_t height, width, inputs, outputs, period, out_period, source_height, source_width;
};
// A weight as `minimal_filtering` takes it, which takes as long as some layers. Of the shape only
// what is the weight's is read.
Buffer minimal_filters(const float *weight, const Filtering &shape, std::size_t threads);
void minimal_filtering(const float *x, const float *filters, const float *bias, const Finish &finish,
                       float *out, const Filtering &shape, std::size_t threads);

// The gradient of a weight (outputs, inputs, 3, 3) of a 3x3 convolution of stride 1 over `items`
// pictures, by minimal filtering: x (items, height, width, inputs), gradient of what it gave (items,
// height, width, outputs). Both periods are 1.
void filter_gradient(const float *x, const float *gradient, float *out, std::size_t items,
                     const Filtering &shape, std::size_t threads);

// Pixels in blocks of side x side: planes (components, height, width), sides multiples of `side`, to
// and from (height / side, width / side, components * side^2), a component's rows behind each other.
// matrix: (side, side), applied across all inner boundaries between blocks, along rows and then down
// columns, to what half a block on each side holds; or none. Source: "Lapped transform via
// time-domain pre- and post-filtering" (2003).
struct PixelBlocks {
  std::size_t components, height, width, side;
};
// The blocks of x + shift, filtered.
void to_blocks(const float *x, const float *matrix, float shift, float *out,
               const PixelBlocks &shape, std::size_t threads);
// The planes of blocks, filtered, + shift, and + plus, of the result's shape, if there is any.
void from_blocks(const float *blocks, const float *matrix, float shift, const float *plus,
                 float *out, const PixelBlocks &shape, std::size_t threads);

// Generalised divisive normalisation: out = x / sqrt(beta + gamma x^2), or multiplied by the root
// if `inverse`, at each of `positions`. gamma is (channels, channels). out may be x.
void divisive_normalisation(const float *x, const float *gamma, const float *beta, float *out,
                            std::size_t positions, std::size_t channels, bool inverse,
                            std::size_t threads);

// gelu(x * scale + shift), tanh's approximation, at `positions` of each of `items`. affine: (items,
// 2, channels), scale and shift; or none.
void gelu(const float *x, const float *affine, float *out, std::size_t items, std::size_t positions,
          std::size_t channels, std::size_t threads);

// Gradients of x and affine from that of the result, of its shape. affine_gradient: of affine's.
void gelu_gradient(const float *x, const float *affine, const float *gradient, float *out,
                   float *affine_gradient, std::size_t items, std::size_t positions,
                   std::size_t channels, std::size_t threads);

// A filter whose taps follow the kind of place. x, out: three components (3, height, width), sides
// even and above 0; luma is their sum by the root of 3. Kinds of 2x2 pixels are told by
// - the level of luma's spread over 6x6: how many of three bounds its square has passed,
// - the highest level up to four such places away,
// - the direction: 0 where luma changes more than twice as much along rows, 1 along columns, else 2,
// so that kind = (here * levels + near) * directions + direction. Around each bound a place has
// shares of both kinds, so that what is added is continuous in x. From luma in whole steps on all
// is exact up to one rounding, and in the order that `models/deringing.py` has it.
constexpr std::size_t kPlaceLevels = 4, kPlaceDirections = 3;
constexpr std::size_t kPlaceKinds = kPlaceLevels * kPlaceLevels * kPlaceDirections;

// Levels here, near by, and directions (1: along rows, -1: along columns): (3, height/2, width/2).
void find_places(const float *x, float *out, std::size_t height, std::size_t width,
                 std::size_t threads);

// To luma are added the differences of its 7x7 neighbours from it, and these clipped to +-clip,
// times the taps (2, 7, 8) of its kind. taps: (kPlaceKinds, 2, 7, 8), of which the eighth of a row
// is unused, as the middle one is.
constexpr std::size_t kPlaceTaps = 7, kPlaceColumns = 8;

// What follows luma, where it is given. Colours are (red - blue) / sqrt(2) and (red - 2 green +
// blue) / sqrt(6). To each is added what their 3x3 neighbours' differences give, as for luma, clipped
// to +-clips; and to each component, by weights, the difference between it and its regression on luma
// over 3x3 and 5x5 cells of 2x2 pixels, with two floors under luma's variance.
constexpr std::size_t kPlaceColourTaps = 3, kPlaceGuides = 4;
// Both floors, of the square of luma's clip.
constexpr float kPlaceFloors[] = {0.09f, 1};
struct ColourTaps {
  const float *taps;     // (kPlaceKinds, 2, 3, 8): four of the first colour, four of the second
  const float *weights;  // (kPlaceKinds, 3, kPlaceGuides): of neighbourhood and floor
  float clips[2], floors[2];
};

void filter_places(const float *x, const float *taps, float clip, const ColourTaps *colours,
                   float *out, std::size_t height, std::size_t width, std::size_t threads);

}  // namespace kodec
