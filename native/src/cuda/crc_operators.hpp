// CRC32C of table indexes by many threads at once.
//
// The checksum is linear. With m(c) = c x^16 modulo the polynomial, what a register c becomes by
// sixteen zero bits, the register after the units u(0) to u(n - 1) is
//   m^n(c) + m^n(u(0)) + m^(n-1)(u(1)) + ... + m(u(n - 1)),
// sums being XOR. So each lane adds up its own units, 32 apart, and at the end of a part of a block
// its sum is moved to its place.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace kodec::cuda {

// Polynomials of degree below 32 have the coefficient of x^0 in bit 31, as CRC32C's registers do.
constexpr std::uint32_t kOne = 1u << 31;

__host__ __device__ constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (int bit = 31; bit >= 0; --bit) {
    product ^= b & (0u - (a >> bit & 1));
    b = b >> 1 ^ (0x82F63B78u & (0u - (b & 1)));
  }
  return product;
}

struct CrcOperators {
  std::uint32_t advance[4][256];  // m^32 of byte b at place k of a register
  std::uint32_t units[33];        // x^(16 e)
  std::uint32_t doubled[32];      // x^(16 2^k)
  std::uint32_t unused[3];        // a multiple of 16 bytes in all

  CrcOperators() : unused{} {
    units[0] = kOne;
    for (int e = 1; e <= 32; ++e) units[e] = multiply(units[e - 1], kOne >> 16);
    doubled[0] = units[1];
    for (int k = 1; k < 32; ++k) doubled[k] = multiply(doubled[k - 1], doubled[k - 1]);
    for (int place = 0; place < 4; ++place)
      for (std::uint32_t byte = 0; byte < 256; ++byte)
        advance[place][byte] = multiply(units[32], byte << (8 * place));
  }
};
static_assert(sizeof(CrcOperators) % 16 == 0);

}  // namespace kodec::cuda
