// CRC32C (Castagnoli), the checksum of every part of a stream.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kodec {

// Continues `value` (0 at the start) over `size` bytes, as zlib.crc32 does for its polynomial.
// Kernels::crc32c is the fast one.
std::uint32_t crc32c(const std::uint8_t *data, std::size_t size, std::uint32_t value = 0);

// The same over `count` integers as they would lie in a little-endian file.
std::uint32_t crc32c(const std::uint16_t *data, std::size_t count, std::uint32_t value = 0);
std::uint32_t crc32c(const std::int32_t *data, std::size_t count, std::uint32_t value = 0);

}  // namespace kodec
