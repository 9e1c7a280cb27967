// Little-endian integers and LEB128 varints in byte buffers, whatever the host's byte order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "errors.hpp"

namespace kodec {

using Bytes = std::vector<std::uint8_t>;

inline std::uint16_t load_u16(const std::uint8_t *p) {
  return std::uint16_t(p[0] | p[1] << 8);
}

inline std::uint32_t load_u32(const std::uint8_t *p) {
  return std::uint32_t(load_u16(p)) | std::uint32_t(load_u16(p + 2)) << 16;
}

inline std::uint64_t load_u64(const std::uint8_t *p) {
  return std::uint64_t(load_u32(p)) | std::uint64_t(load_u32(p + 4)) << 32;
}

inline void store_u32(std::uint8_t *p, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) p[i] = std::uint8_t(value >> (8 * i));
}

inline void append_u32(Bytes &out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(std::uint8_t(value >> shift));
}

// Every varint of a stream is below this: five bytes at most.
constexpr std::uint64_t kVarintLimit = std::uint64_t(1) << 35;

inline void append_varint(Bytes &out, std::uint64_t value) {
  for (; value >= 128; value >>= 7) out.push_back(std::uint8_t(value | 128));
  out.push_back(std::uint8_t(value));
}

// Advances `p`; throws Error (with `what` in its message) at `end`, above the limit, and on a
// longer form than needed, so that one value has one encoding.
template <typename Error>
std::uint64_t read_varint(const std::uint8_t *&p, const std::uint8_t *end, const char *what) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (p == end) throw Error(std::string(what) + " is cut short");
    const std::uint8_t byte = *p++;
    value |= std::uint64_t(byte & 127) << shift;
    if (byte < 128) {
      if (byte == 0 && shift > 0) throw Error(std::string(what) + " is written in too many bytes");
      return value;
    }
  }
  throw Error(std::string(what) + " is too large");
}

}  // namespace kodec
