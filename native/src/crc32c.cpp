#include "crc32c.hpp"

#include <array>

namespace kodec {
namespace {

// Slicing: tables[k][b] is the checksum of byte b followed by k zero bytes.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 16>;

CrcTables make_tables() {
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0u);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 255];
  return tables;
}

const CrcTables &crc_tables() {
  static const CrcTables tables = make_tables();
  return tables;
}

// Integers enter by value, first one lowest, so that the result is the same on every host.
template <typename Unit>
std::uint32_t checksum(const Unit *data, std::size_t count, std::uint32_t value) {
  constexpr int bits = 8 * int(sizeof(Unit));
  constexpr std::size_t per_half = 4 / sizeof(Unit);
  const auto half = [](const Unit *unit) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < per_half; ++j)
      word |= (std::uint32_t(unit[j]) & (0xFFFFFFFFu >> (32 - bits))) << (bits * int(j));
    return word;
  };
  const CrcTables &t = crc_tables();
  std::uint32_t crc = ~value;
  for (; count >= 2 * per_half; data += 2 * per_half, count -= 2 * per_half) {
    const std::uint32_t low = crc ^ half(data);
    const std::uint32_t high = half(data + per_half);
    crc = t[7][low & 255] ^ t[6][low >> 8 & 255] ^ t[5][low >> 16 & 255] ^ t[4][low >> 24] ^
          t[3][high & 255] ^ t[2][high >> 8 & 255] ^ t[1][high >> 16 & 255] ^ t[0][high >> 24];
  }
  for (; count > 0; ++data, --count)
    for (int shift = 0; shift < bits; shift += 8)
      crc = (crc >> 8) ^ t[0][(crc ^ (std::uint32_t(*data) >> shift)) & 255];
  return ~crc;
}

}  // namespace

std::uint32_t crc32c(const std::uint8_t *data, std::size_t size, std::uint32_t value) {
  return checksum(data, size, value);
}

std::uint32_t crc32c(const std::uint16_t *data, std::size_t count, std::uint32_t value) {
  // Table indexes, the usual content, are below 256 nearly always: every second byte is 0, and
  // what it would look up is 0 too.
  const CrcTables &t = crc_tables();
  for (; count >= 8; data += 8, count -= 8) {
    if ((data[0] | data[1] | data[2] | data[3] | data[4] | data[5] | data[6] | data[7]) >= 256) {
      value = checksum(data, 8, value);
      continue;
    }
    const std::uint32_t crc = ~value;
    value = ~(t[15][(crc ^ data[0]) & 255] ^ t[14][crc >> 8 & 255] ^
              t[13][(crc >> 16 ^ data[1]) & 255] ^ t[12][crc >> 24] ^ t[11][data[2]] ^
              t[9][data[3]] ^ t[7][data[4]] ^ t[5][data[5]] ^ t[3][data[6]] ^ t[1][data[7]]);
  }
  return checksum(data, count, value);
}

std::uint32_t crc32c(const std::int32_t *data, std::size_t count, std::uint32_t value) {
  return checksum(data, count, value);
}

}  // namespace kodec
