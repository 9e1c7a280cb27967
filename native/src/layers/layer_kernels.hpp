// Inner loops of the layers, over plain memory. Files of them use no template of the standard library:
// the linker keeps one copy of such for all, perhaps in instructions that a CPU lacks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layers.hpp"

namespace kodec {

// Columns of a panel. Channels of a phase are rounded up to kTogether in memory.
constexpr std::size_t kColumns = 16, kTogether = 8;

inline std::size_t rounded_up(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

// Positions of a convolution or a normalisation at a time: with a panel's sums and a few rows they
// stay in the first cache.
constexpr std::size_t kPositions = 96;

// Minimal filtering: a tile of 6x6 outputs, which sees 8x8 inputs, takes 64 products.
constexpr std::size_t kSeen = 8, kMade = 6, kProducts = kSeen * kSeen;

// Sizes in memory. Channels of a phase are rounded up to kTogether, outputs of all to panels.
struct TileLayout {
  Filtering shape;
  std::size_t rows, columns, tiles;               // of tiles; tiles at a time
  std::size_t inputs, depth, outputs, width;      // of a phase, of all phases, of both again
  std::size_t seen_step, made_step, filter_step;  // floats between products
};

// What `to_blocks` and `from_blocks` do with rows: `before` is added first, `after` last. turned: the
// matrix, its columns in rows. Both are null where there is none.
struct BoundaryFilter {
  const float *matrix, *turned;
  float before, after;
};

// Loops that are compiled for each instruction set, all to the same bits.
struct LayerKernels {
  const char *name;

  // Up to kPositions of one row of a convolution's results, from `first` on. panels: (panels of all
  // phases, side, side * inputs, 16), zeros behind a phase's last output.
  void (*convolve_part)(const float *x, const float *panels, const float *bias,
                        const Finish &finish, float *out, const Convolution &shape, std::size_t row,
                        std::size_t first);

  // Up to kPositions positions of a normalisation. panels: as above, of one tap. squares: room for
  // as many positions.
  void (*normalise_positions)(const float *x, const float *panels, const float *beta, float *out,
                              std::size_t positions, std::size_t channels, bool inverse,
                              float *squares);

  // One panel of a weight as products see it: (products, panels, depth, 16).
  void (*see_filters)(const float *weight, const TileLayout &layout, std::size_t panel,
                      float *filters);

  // A part of the tiles. seen, made: room for kProducts * seen_step, made_step.
  void (*filter_tiles)(const float *x, const float *filters, const float *bias,
                       const Finish &finish, const TileLayout &layout, std::size_t part,
                       float *seen, float *made, float *out);

  // For the gradient of a weight: one tile's inputs as products see them, and what its outputs'
  // gradient is to each product (the transpose of making outputs). seen, spread: of this tile.
  void (*see_for_gradient)(const float *x, const float *gradient, const TileLayout &layout,
                           std::size_t tile, float *seen, float *spread);

  // Adds one product's part, over `tiles` tiles, to sums (depth, width). seen: (tiles, depth).
  // spread: (tiles, width).
  void (*add_gradient)(const float *seen, const float *spread, const TileLayout &layout,
                       std::size_t tiles, float *sums);

  // Sums of all products, `filter_step` floats apart, to the weight's gradient.
  void (*make_gradient)(const float *sums, const TileLayout &layout, float *gradient);

  // gelu(x * affine[0] + affine[1]) at positions of one item; without affine of x itself. affine:
  // (2, channels).
  void (*gelu_positions)(const float *x, const float *affine, float *out, std::size_t positions,
                         std::size_t channels);

  // The gradient of x from that of the result; adds affine's to affine_gradient (2, channels).
  void (*gelu_gradient_positions)(const float *x, const float *affine, const float *gradient,
                                  float *out, float *affine_gradient, std::size_t positions,
                                  std::size_t channels);

  // One component of a strip of rows: a row of blocks, or around a boundary between two if there is
  // a matrix. room: for one row more than a block has.
  void (*filter_strip)(const float *from, const BoundaryFilter &filter, const float *plus,
                       float *to, const PixelBlocks &shape, bool to_blocks, std::size_t component,
                       std::size_t strip, float *room);
};

extern const LayerKernels kAvx2Layers, kAvx512Layers;

// Those that KODEC_LAYERS names, or the widest that this CPU runs; null where it is `off`, or where
// the CPU runs none. Throws InvalidInputError where it names none, or none that runs here.
const LayerKernels *layer_kernels();

// A place filter, by rows. Luma in whole steps: by kPlaceSteps around the middle of its range, within
// +-kPlaceMost, so that 36 squares fit 31 bits.
constexpr float kPlaceSteps = 8192, kPlaceMost = 0.94f;
// How steeply levels pass into one another: across 1 / kPlaceRamp of a bound's square.
constexpr float kPlaceRamp = 4;
// Sums of 36 differences, in steps, below which directions count for little.
constexpr float kPlaceFloor = 36 * 8;
// Cells in a vector: these loops are AVX2's.
constexpr std::size_t kPlaceLanes = 8;
// Cells of 2x2 pixels that "near by" reaches.
constexpr std::size_t kPlaceNear = 4;

// One row of pixels, whose planes are `plane` floats apart, to luma and to steps, of which there is
// one more.
void place_luma_row(const float *x, std::size_t plane, float *luma, std::int16_t *steps,
                    std::size_t width);

// One row of cells from two rows of steps and the one below: sums, sums of squares, of differences
// along rows, and along columns, each of as many as cells rounded up to kPlaceLanes. Reads 2 kPlaceLanes + 1
// steps behind the last cell.
void place_cell_row(const std::int16_t *upper, const std::int16_t *lower,
                    const std::int16_t *below, std::size_t cells, std::int32_t *out);

// One row of levels and directions from three rows of cells. slopes: kPlaceRamp by the squares of
// the bounds, as sums of 36 have them. room: for four such rows. All are of whole vectors of cells.
void place_level_row(const std::int32_t *const *rows, std::size_t cells, const float *slopes,
                     std::int32_t *room, float *levels, float *directions);

// The highest level near by, from `count` rows of levels, of whole vectors of cells as `out` is.
// room: for kPlaceNear more on both sides.
void place_near_row(const float *const *rows, std::size_t count, std::size_t cells, float *room,
                    float *out);

// What kinds are told by, of one row of cells, in whole vectors.
struct PlaceRow {
  const float *here, *near, *directions;
};

// Sums over neighbourhoods of cells: of luma (less its middle), both colours, and luma times these.
constexpr std::size_t kPlaceMoments = 6;
// Neighbourhoods are of 3x3 and of 5x5 cells.
constexpr std::size_t kPlaceWide = 2;

// What is known of the colours of a row of cells.
struct PlaceColours {
  const float *rows;                 // kPlaceColourTaps + 1 rows of neighbours, `step` floats apart
  std::size_t step, plane;           // the second colour's are `plane` floats behind the first's
  const float *moments;              // (kPlaceMoments, moment_step, 2 neighbourhoods): means
  std::size_t moment_step;
  float clips[2], floors[2];
};

// One row of pixels to both colours, `out_plane` floats apart, with a neighbour on both sides and
// one more behind the end.
void place_colour_row(const float *x, std::size_t plane, float *out, std::size_t out_plane,
                      std::size_t width);

// Sums of luma and so on over each cell of two rows of pixels: (kPlaceMoments, out_step). room: for
// kPlaceMoments rows of pixels.
void place_moment_row(const float *x, std::size_t plane, std::size_t width, float *room, float *out,
                      std::size_t out_step);

// Means over 3x3 and 5x5 cells, of one moment's sums in five rows of cells: (cells, 2). room: for two
// such rows, and 2 kPlaceWide.
void mean_moment_row(const float *const *rows, std::size_t cells, float *room, float *out);

// What a kind adds: taps of luma (2, kPlaceTaps, 8), then, where colours are filtered, those of both
// colours (2, kPlaceColourTaps, 8) and weights of guides (3, kPlaceGuides), with the three sums of
// these, and one float more.
constexpr std::size_t kPlaceLumaSet = 2 * kPlaceTaps * kPlaceColumns;
constexpr std::size_t kPlaceColourSet = 2 * kPlaceColourTaps * kPlaceColumns;
constexpr std::size_t kPlaceSet = kPlaceLumaSet + kPlaceColourSet + 3 * kPlaceGuides + 4;

// What of a kind is other than zero.
enum PlaceUse : unsigned char { kUsesLuma = 1, kUsesColours = 2, kUsesGuides = 4 };

// Sets of all kinds: (kinds, kPlaceSet), and what they use. clip: of luma.
struct PlaceSets {
  const float *sets;
  const unsigned char *used;
  float clip;
};

// What is added to two rows of luma: (2, 2 cells); and, with colours (which may be null), to both:
// (3, 2, 2 cells). luma: kPlaceTaps + 1 rows of neighbours, `step` floats apart.
void filter_place_row(const float *luma, std::size_t step, const PlaceRow &places,
                      const PlaceSets &sets, const PlaceColours *colours, std::size_t cells,
                      float *added);

// Adds to a row of one component its part of luma.
void add_luma_row(const float *x, const float *added, float *out, std::size_t width);

// Adds to one row of pixels what is added to luma and both colours, `plane` and `added_plane` floats
// apart.
void add_colour_row(const float *x, const float *added, std::size_t added_plane, float *out,
                    std::size_t plane, std::size_t width);

}  // namespace kodec
