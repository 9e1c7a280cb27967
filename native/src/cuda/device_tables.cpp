#include "device_tables.hpp"

#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "crc_operators.hpp"
#include "../errors.hpp"

namespace kodec::cuda {
namespace {

std::uint32_t append(std::vector<std::uint8_t> &bytes, const void *data, std::size_t size) {
  const std::size_t at = (bytes.size() + 15) / 16 * 16;
  bytes.resize(at + size);
  std::memcpy(bytes.data() + at, data, size);
  return std::uint32_t(at);
}

}  // namespace

PackedTables::PackedTables(const TableSet &tables) {
  const TableView view = tables.view();
  std::vector<PackedInfo> infos;
  std::vector<std::uint32_t> packed, packed_costs;
  std::vector<std::uint8_t> starts;
  for (std::uint32_t index = 0; index <= tables.size(); ++index) {
    const TableInfo &info = view.infos[index];
    const std::uint32_t first = std::uint32_t(packed.size());
    infos.push_back({info.offset, first, info.escape, info.shift});
    // Skip has one code, which is not an escape.
    const std::uint32_t last = index == 0 ? 0 : info.escape;
    for (std::uint32_t code = 0; code <= last; ++code) {
      const std::uint32_t key = (code + std::uint32_t(info.offset >> info.shift)) & 255;
      packed.push_back(view.entries[index << 8 | key]);
      packed_costs.push_back(tables.cost(index << 8 | key));
    }
    std::uint32_t code = 0;
    for (std::uint32_t slot = 0; slot < kTotal; slot += kBucketSlots) {
      while (slot >= (packed[first + code] & (kTotal - 1)) + (packed[first + code] >> 16)) ++code;
      starts.push_back(std::uint8_t(code));
    }
  }
  const CrcOperators operators;
  append(bytes, &operators, sizeof operators);
  layout.infos = append(bytes, infos.data(), infos.size() * sizeof infos[0]);
  layout.codes = append(bytes, packed.data(), packed.size() * sizeof packed[0]);
  layout.buckets = append(bytes, starts.data(), starts.size());
  layout.size = std::uint32_t((bytes.size() + 15) / 16 * 16);
  costs = append(bytes, packed_costs.data(), packed_costs.size() * sizeof packed_costs[0]);
  layout.tables = std::uint32_t(tables.size());
  layout.has_raw_bits = tables.has_raw_bits();
}

ResidentTables::ResidentTables(const TableSet &tables, const Timeline &timeline)
    : timeline_(timeline) {
  const PackedTables packed(tables);
  memory_ = DeviceMemory::of(packed.bytes, timeline_);
  // Other streams will read it, too.
  timeline_.wait();
  blob_ = packed.layout;
  blob_.bytes = memory_.bytes();
  blob_.costs = reinterpret_cast<const std::uint32_t *>(memory_.bytes() + packed.costs);
}

ResidentTables::~ResidentTables() {
  try {
    timeline_.wait_for_device();
  } catch (const DeviceError &) {
    // Then nothing reads it any more.
  }
}

std::shared_ptr<const ResidentTables> resident(const std::shared_ptr<const TableSet> &tables,
                                               const Timeline &timeline) {
  struct Place {
    std::weak_ptr<const TableSet> tables;
    std::shared_ptr<const ResidentTables> resident;
  };
  // Never destroyed: when the process ends, the driver may be gone before.
  static auto &places = *new std::map<std::pair<const TableSet *, int>, Place>;
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  for (auto place = places.begin(); place != places.end();)
    place = place->second.tables.expired() ? places.erase(place) : std::next(place);
  Place &place = places[{tables.get(), timeline.device()}];
  if (!place.resident) {
    place.resident = std::make_shared<ResidentTables>(*tables, timeline);
    place.tables = tables;
  }
  return place.resident;
}

}  // namespace kodec::cuda
