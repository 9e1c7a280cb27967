// What tells floats from others without keeping them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kodec {

// 256 bits that hang on every bit of all floats. Each of four words takes up every fourth pair of them,
// by steps that can be undone: floats that differ in one pair never have the same, others by a chance of
// 2^-64.
class Fingerprint {
 public:
  Fingerprint() : words_{} {}
  Fingerprint(const float *values, std::size_t count)
      : words_{count, ~std::uint64_t(count), count << 32, count << 48} {
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8)
      for (std::size_t w = 0; w < 4; ++w) take(w, values + i + 2 * w, 2);
    for (std::size_t w = 0; i < count; i += 2, ++w) take(w, values + i, count - i < 2 ? 1 : 2);
  }

  bool operator==(const Fingerprint &other) const { return words_ == other.words_; }

 private:
  void take(std::size_t word, const float *values, std::size_t count) {
    std::uint64_t pair = 0;
    std::memcpy(&pair, values, count * sizeof(float));
    std::uint64_t &state = words_[word];
    // An odd factor, and a shift that every bit passes down by.
    state = (state ^ pair) * 0x9e3779b97f4a7c15u;
    state ^= state >> 32;
  }

  std::array<std::uint64_t, 4> words_;
};

}  // namespace kodec
