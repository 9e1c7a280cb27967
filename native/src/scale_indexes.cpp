#include "scale_indexes.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "errors.hpp"
#include "lane.hpp"

namespace kodec {

std::vector<std::uint32_t> scale_indexes(const double *logarithms, std::size_t count,
                                         const ScaleLevels &levels, void *indexes,
                                         int index_bytes) {
  if (levels.count < 1 || levels.count > (index_bytes == 1 ? 255 : 65535))
    throw InvalidInputError("indexes of " + std::to_string(index_bytes) + " bytes cannot name " +
                            std::to_string(levels.count) + " scales");
  if (!(levels.inverse_step > 0) || !(levels.guard >= 0) || levels.first != levels.first)
    throw InvalidInputError("scale levels need step > 0 and guard >= 0");
  if (count > std::numeric_limits<std::uint32_t>::max())
    throw InvalidInputError("a block has at most 2^32 - 1 scales; split it");
  const Kernels &chosen = kernels();
  std::vector<std::uint32_t> close;
  for (std::size_t begin = 0; begin < count; begin += kPortion) {
    const std::size_t size = std::min(kPortion, count - begin);
    auto *const out = static_cast<std::uint8_t *>(indexes) + begin * std::size_t(index_bytes);
    const unsigned found =
        chosen.scale_indexes(logarithms + begin, size, levels, out, index_bytes);
    if (found & 2) throw InvalidInputError("a scale is not a number; the model does not fit its input");
    if (!(found & 1)) continue;
    for (std::size_t i = begin; i < begin + size; ++i)
      if (is_close(scale_position(logarithms[i], levels), levels))
        close.push_back(std::uint32_t(i));
  }
  return close;
}

}  // namespace kodec
