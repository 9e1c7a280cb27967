// A serial order, as the decoder runs it: what comes next depends on the symbols before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kodec {

class ScanPass {
 public:
  virtual ~ScanPass() = default;

  // Of the whole pass.
  virtual std::size_t symbols() const = 0;

  // The indexes of the symbols that come next, all of which depend on earlier ones alone; at least one
  // until all are taken.
  virtual const std::vector<std::uint16_t> &predict() = 0;

  // These symbols. Throws BitstreamError where they stand for values that there are not.
  virtual void take(const std::int32_t *symbols) = 0;
};

}  // namespace kodec
