#include "block.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>

#include "errors.hpp"
#include "lane.hpp"

namespace kodec {
namespace {

// Symbols are surveyed and copied in portions of this many, while they are in the cache.
constexpr std::size_t kSurveyed = 4096;

// A cost is added up over so many symbols at least, evenly spread. The distances between them are
// primes that divide no usual number of channels, so that the sample is not one-sided.
constexpr std::size_t kSamples = 512;
constexpr std::size_t kStrides[] = {16381, 4093, 1021, 251, 61, 17, 1};

}  // namespace

Block::Block(const BlockInput &input, std::shared_ptr<const TableSet> tables,
             const Kernels &kernels)
    : tables_(std::move(tables)),
      count_(input.count),
      index_bytes_(input.index_bytes),
      symbols_(new std::uint8_t[2 * input.count]),
      indexes_(new std::uint8_t[std::size_t(input.index_bytes) * input.count]),
      overrides_(input.overrides, input.overrides + input.override_count) {
  check_overrides();
  // The copy is what is checked, as another thread might be writing to the caller's arrays.
  if (count_ > 0)
    std::memcpy(indexes_.get(), input.indexes, std::size_t(index_bytes_) * count_);
  bool wide = false;
  for (std::size_t i = 0; i < count_; i += kSurveyed) {
    const std::size_t size = std::min(kSurveyed, count_ - i);
    const auto *const symbols = static_cast<const std::uint8_t *>(input.symbols) +
                                i * std::size_t(input.symbol_bytes);
    const Survey survey =
        kernels.take(symbols, input.symbol_bytes, indexes(i), index_bytes_, size,
                     reinterpret_cast<std::int16_t *>(symbols_.get() + 2 * i));
    if (survey.highest > tables_->size() || survey.skipped) refuse(input);
    wide = wide || survey.wide;
    highest_index_ = std::max(highest_index_, survey.highest);
  }
  if (wide) {
    symbol_bytes_ = 4;
    symbols_.reset(new std::uint8_t[4 * count_]);
    std::memcpy(symbols_.get(), input.symbols, 4 * count_);
  }
}

Block::Block(const ChoiceInput &input)
    : count_(input.count),
      index_bytes_(2),
      indexes_(new std::uint8_t[2 * input.count]),
      overrides_(input.overrides, input.overrides + input.override_count) {
  check_overrides();
  if (count_ > 0) std::memcpy(indexes_.get(), input.indexes, 2 * count_);
}

void Block::check_overrides() const {
  if (count_ > std::numeric_limits<std::uint32_t>::max())
    throw InvalidInputError("a block has at most 2^32 - 1 symbols; split it");
  for (std::size_t j = 0; j < overrides_.size(); ++j) {
    if (overrides_[j] >= count_)
      throw InvalidInputError("override position " + std::to_string(overrides_[j]) +
                              " lies outside the block of " + std::to_string(count_));
    if (j > 0 && overrides_[j] <= overrides_[j - 1])
      throw InvalidInputError("override positions must ascend strictly; sort them");
  }
}

std::int32_t Block::symbol(std::size_t i) const {
  return symbol_bytes_ == 2 ? static_cast<const std::int16_t *>(symbols(0))[i]
                            : static_cast<const std::int32_t *>(symbols(0))[i];
}

std::uint16_t Block::index(std::size_t i) const {
  return index_bytes_ == 1 ? static_cast<const std::uint8_t *>(indexes(0))[i]
                           : static_cast<const std::uint16_t *>(indexes(0))[i];
}

void Block::refuse(const BlockInput &input) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (index(i) > tables_->size())
      throw InvalidInputError("index " + std::to_string(index(i)) + " at position " +
                              std::to_string(i) + " names no table: the set has " +
                              std::to_string(tables_->size()));
    const std::int32_t symbol = input.symbol_bytes == 2
                                    ? static_cast<const std::int16_t *>(input.symbols)[i]
                                    : static_cast<const std::int32_t *>(input.symbols)[i];
    if (index(i) == 0 && symbol != 0)
      throw InvalidInputError("the symbol at position " + std::to_string(i) + " is " +
                              std::to_string(symbol) + ", but index 0 (skip) stands for 0 only");
  }
  throw InvalidInputError("symbols or indexes were changed while they were read");
}

std::vector<Part> coded_parts(const std::vector<Part> &parts) {
  std::vector<Part> coded;
  for (const Part &part : parts)
    if (part.block->coded()) coded.push_back(part);
  return coded;
}

std::uint64_t cost_of(const std::vector<Part> &parts) {
  std::size_t count = 0;
  for (const Part &part : parts) count += part.end - part.begin;
  const std::size_t stride =
      *std::find_if(std::begin(kStrides), std::end(kStrides) - 1,
                    [count](std::size_t stride) { return count / stride >= kSamples; });
  std::uint64_t sum = 0, samples = 0;
  std::size_t next = 0;  // from the part's beginning
  for (const Part &part : parts) {
    const TableSet &tables = part.block->tables();
    const std::size_t size = part.end - part.begin;
    for (; next < size; next += stride, ++samples) {
      std::uint32_t id;
      std::uint8_t raw;
      general_id(part.block->symbol(part.begin + next), part.block->index(part.begin + next),
                 tables.infos(), id, raw);
      sum += tables.cost(id);
    }
    next -= size;
  }
  if (sum > 0) return samples == count ? sum : sum / samples * count + sum % samples * count / samples;
  for (const Part &part : parts)
    for (std::size_t i = part.begin; i < part.end; ++i)
      if (part.block->index(i) != 0) return 1;
  return 0;
}

}  // namespace kodec
