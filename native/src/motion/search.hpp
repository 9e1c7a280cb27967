// Motion of a picture's blocks since another picture.
#pragma once

#include <cstddef>
#include <cstdint>

#include "motion_field.hpp"

namespace kodec {

constexpr int kMostReach = 2047;      // pixels: vectors then fit 14 bits
constexpr int kMostBitCost = 1 << 14;

// How a block is divided: into nothing, upper and lower, left and right, or quarters.
enum class Split : std::uint8_t { none, rows, columns, quarters };

struct SearchOptions {
  int reach;      // pixels that vectors may go, 1 to kMostReach
  int bit_cost;   // of a bit of vectors, in sixteenths of a grey level of difference, 0 to kMostBitCost
  int precision;  // parts of a pixel: 1, 2 or 4
  bool splits;    // whether blocks may be divided
};

// Fields of as many vectors as are looked for, one behind the other: where a search may start, too.
struct Hints {
  const MotionVector *vectors = nullptr;
  std::size_t fields = 0;
};

// Finds vectors of 8x8 cells and each block's split, row by row, such that `reference` moved by the vectors
// is near `current` and the vectors cost few bits. Samples of luma, both contiguous and of one size. The
// number of threads changes nothing. Throws InvalidInputError, and as kernels() does.
void search_motion(const std::uint8_t *current, const std::uint8_t *reference, std::size_t height,
                   std::size_t width, const SearchOptions &options, const Hints &hints,
                   std::size_t threads, MotionVector *vectors, std::uint8_t *splits);

// Luma by BT.709's weights in 256ths, of three planes.
void luma_of(const std::uint8_t *rgb, std::size_t pixels, std::uint8_t *luma);

}  // namespace kodec
