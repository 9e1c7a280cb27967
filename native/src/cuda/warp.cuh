// What the kernels share: a warp's own operations, table lookups, checksums of indexes.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../kernels.hpp"
#include "crc_operators.hpp"
#include "device_tables.hpp"

namespace kodec::cuda {

constexpr std::uint32_t kWarp = 32;
constexpr std::uint32_t kAllLanes = 0xFFFFFFFFu;

__device__ inline std::uint32_t lane_number() { return threadIdx.x % kWarp; }

// The bits of lower lanes.
__device__ inline std::uint32_t lanes_below() { return (1u << lane_number()) - 1; }

// The sum over this lane and those below it.
__device__ inline std::uint32_t sum_up_to(std::uint32_t value) {
  for (std::uint32_t distance = 1; distance < kWarp; distance *= 2) {
    const std::uint32_t other = __shfl_up_sync(kAllLanes, value, distance);
    if (lane_number() >= distance) value += other;
  }
  return value;
}

__device__ inline std::uint64_t sum_of_all(std::uint64_t value) {
  for (std::uint32_t distance = kWarp / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(kAllLanes, static_cast<unsigned long long>(value), distance);
  return value;
}

// The first symbol of segment `segment`'s share of a block; as kodec::share_begin.
__device__ inline std::uint64_t begin_of_share(std::uint64_t count, std::uint32_t segment,
                                               std::uint32_t segments) {
  const std::uint64_t even = count / segments + (count % segments != 0);
  const std::uint64_t begin = (even + kMaxLanes - 1) / kMaxLanes * kMaxLanes * segment;
  return segment == segments || begin > count ? count : begin;
}

// A TableBlob's pieces, from shared memory, or through the read-only cache.
template <bool Shared>
struct Lookup {
  const std::uint8_t *bytes;

  template <typename T>
  __device__ T load(std::uint32_t at) const {
    const T *const p = reinterpret_cast<const T *>(bytes + at);
    if constexpr (Shared)
      return *p;
    else
      return __ldg(p);
  }
  __device__ PackedInfo info(const TableBlob &blob, std::uint32_t index) const {
    const uint4 raw = load<uint4>(blob.infos + index * std::uint32_t(sizeof(PackedInfo)));
    return {std::int32_t(raw.x), raw.y, raw.z, raw.w};
  }
  __device__ std::uint32_t code(const TableBlob &blob, std::uint32_t at) const {
    return load<std::uint32_t>(blob.codes + 4 * at);
  }
};

// The checksum register over the indexes of one part of a block, by a whole warp.
template <bool Shared>
class IndexChecksum {
 public:
  __device__ explicit IndexChecksum(Lookup<Shared> lookup) : lookup_(lookup) {}

  // This lane's index of a group of 32, at place lane_number(); not for lanes without one in a last,
  // partial group.
  __device__ void add(std::uint32_t index) {
    own_ = advance(0, own_ & 255) ^ advance(1, own_ >> 8 & 255) ^ advance(2, own_ >> 16 & 255) ^
           advance(3, own_ >> 24) ^ index;
  }

  // What becomes of `checksum` by the `count` indexes added; the same in all lanes.
  __device__ std::uint32_t finish(std::uint32_t checksum, std::uint64_t count) const {
    const std::uint32_t lane = lane_number(), rest = std::uint32_t(count % kWarp);
    const std::uint32_t behind = lane < rest ? rest - lane : kWarp + rest - lane;
    std::uint32_t sum = multiply(unit(behind), own_);
    // x^(16 count), one factor a lane; counts are below 2^32.
    std::uint32_t power = count >> lane & 1 ? doubled(lane) : kOne;
    for (std::uint32_t distance = kWarp / 2; distance > 0; distance /= 2) {
      sum ^= __shfl_xor_sync(kAllLanes, sum, distance);
      power = multiply(power, __shfl_xor_sync(kAllLanes, power, distance));
    }
    return ~(multiply(power, ~checksum) ^ sum);
  }

 private:
  __device__ std::uint32_t advance(std::uint32_t place, std::uint32_t byte) const {
    return lookup_.template load<std::uint32_t>(4 * (256 * place + byte));
  }
  __device__ std::uint32_t unit(std::uint32_t e) const {
    return lookup_.template load<std::uint32_t>(4 * (1024 + e));
  }
  __device__ std::uint32_t doubled(std::uint32_t k) const {
    return lookup_.template load<std::uint32_t>(4 * (1024 + 33 + k));
  }

  Lookup<Shared> lookup_;
  std::uint32_t own_ = 0;
};

}  // namespace kodec::cuda
