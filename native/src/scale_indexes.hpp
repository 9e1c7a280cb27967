// Table indexes of whole blocks of scales.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace kodec {

// Writes the indexes (of 1 or 2 bytes) of `count` logarithms; returns the positions of close calls.
// Throws InvalidInputError for levels that make no sense, and where a logarithm is NaN.
std::vector<std::uint32_t> scale_indexes(const double *logarithms, std::size_t count,
                                         const ScaleLevels &levels, void *indexes, int index_bytes);

}  // namespace kodec
