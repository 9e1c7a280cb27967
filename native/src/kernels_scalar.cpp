// The kernels in portable C++.
#include <algorithm>

#include "bytes.hpp"
#include "crc32c.hpp"
#include "kernels.hpp"
#include "lane.hpp"
#include "portable_decode.hpp"

namespace kodec {
namespace {

#include "portable_loops.hpp"

template <int Lanes>
void encode_stream(EncodeStream &stream, std::size_t steps) {
  std::uint32_t x[Lanes];
  std::copy(stream.states, stream.states + Lanes, x);
  const std::uint32_t *ids = stream.ids;
  std::uint8_t *words = stream.words;
  std::uint32_t flags = 0;
  for (; steps > 0; --steps) {
    ids -= Lanes;
    for (int lane = Lanes; lane-- > 0;) {
      const std::uint32_t entry = stream.entries[ids[lane]];
      flags |= entry;
      words = encode_symbol(x[lane], entry, words);
    }
  }
  std::copy(x, x + Lanes, stream.states);
  stream.ids = ids;
  stream.words = words;
  stream.flags |= flags;
}

void encode(EncodeStream *const *streams, int count, int lanes, std::size_t steps) {
  for (int s = 0; s < count; ++s) switch (lanes) {
      case 1: encode_stream<1>(*streams[s], steps); break;
      case 4: encode_stream<4>(*streams[s], steps); break;
      case 8: encode_stream<8>(*streams[s], steps); break;
      case 16: encode_stream<16>(*streams[s], steps); break;
      default: encode_stream<32>(*streams[s], steps);
    }
}

// One step of `Lanes` symbols; returns their entries' flags.
template <int Lanes, Nearness Tables>
std::uint32_t decode_step(std::uint32_t *x, const std::uint16_t *indexes, const TableView &tables,
                          const std::uint8_t *&words, std::uint32_t *found, std::int32_t *symbols,
                          std::uint8_t *shifts) {
  std::uint32_t flags = 0;
  for (int lane = 0; lane < Lanes; ++lane) {
    const std::uint8_t key = decode_symbol(x[lane], indexes[lane], tables, words, found[lane]);
    symbols[lane] = symbol_value<Tables == Nearness::kDirect>(key, tables.infos, indexes[lane]);
    if (Tables != Nearness::kDirect)
      shifts[lane] = std::uint8_t(tables.infos[indexes[lane]].shift);
    flags |= found[lane];
  }
  return flags;
}

#ifdef KODEC_FOURS
// The same, four lanes at a time.
template <int Lanes, Nearness Tables>
std::uint32_t decode_step_by_fours(std::uint32_t *x, const std::uint16_t *indexes,
                                   const TableView &tables, const std::uint8_t *&words,
                                   std::uint32_t *found, std::int32_t *symbols,
                                   std::uint8_t *shifts) {
  Four flags = {0, 0, 0, 0};
  // All records first, so that the processor has much to do that does not wait for anything.
  Records records[Lanes / 4];
  for (int lane = 0; lane < Lanes; lane += 4)
    records[lane / 4] =
        find_records(load_vector<Four>(x + lane), load_shorts(indexes + lane), tables.buckets);
  for (int lane = 0; lane < Lanes; lane += 4) {
    const Four states = load_vector<Four>(x + lane), high = records[lane / 4].high;
    const Codes codes = find_codes(states, indexes + lane, records[lane / 4], tables.entries);
    store_vector(x + lane, advance(states, codes, words));
    store_vector(found + lane, codes.entries);
    flags |= codes.entries;
    const Four keys = codes.keys;
    if (Tables == Nearness::kDirect) {
      store_vector(symbols + lane, Four(SignedFour(keys << 24) >> 24));
    } else if (Tables == Nearness::kNear) {
      store_vector(symbols + lane, near_values(keys, high));
      store_vector(shifts + lane, __builtin_convertvector(high >> 8 & 7, ByteFour));
    } else {
      for (int k = 0; k < 4; ++k) {
        const std::uint32_t table = indexes[lane + k];
        symbols[lane + k] = symbol_value<false>(std::uint8_t(keys[k]), tables.infos, table);
        shifts[lane + k] = std::uint8_t(tables.infos[table].shift);
      }
    }
  }
  return flags[0] | flags[1] | flags[2] | flags[3];
}
#endif

template <int Lanes, Nearness Tables>
bool decode_stream(DecodeStream &stream, std::size_t steps, const TableView &tables) {
  std::uint32_t x[Lanes], found[Lanes];
  std::copy(stream.states, stream.states + Lanes, x);
  const std::uint16_t *indexes = stream.indexes;
  std::int32_t *symbols = stream.symbols;
  std::uint8_t *shifts = stream.shifts;
  const std::uint8_t *words = stream.words;
  // A copy, which no store can have changed.
  const TableView view = tables;
  for (std::size_t step = 0; step < steps; ++step) {
    std::uint32_t flags;
#ifdef KODEC_FOURS
    if (Lanes % 4 == 0)
      flags = decode_step_by_fours<Lanes, Tables>(x, indexes, view, words, found, symbols, shifts);
    else
#endif
      flags = decode_step<Lanes, Tables>(x, indexes, view, words, found, symbols, shifts);
    if (words > stream.words_end) return false;
    if (flags & kEscape) {
      std::uint32_t lanes = 0;
      for (int lane = 0; lane < Lanes; ++lane)
        lanes |= std::uint32_t((found[lane] & kEscape) != 0) << lane;
      *stream.escapes++ = {stream.position + std::uint32_t(step * Lanes), lanes};
    }
    indexes += Lanes;
    symbols += Lanes;
    shifts += Lanes;
  }
  std::copy(x, x + Lanes, stream.states);
  stream.indexes = indexes;
  stream.symbols = symbols;
  stream.shifts = shifts;
  stream.words = words;
  stream.position += std::uint32_t(steps * Lanes);
  return true;
}

template <Nearness Tables>
bool decode_lanes(DecodeStream &stream, int lanes, std::size_t steps, const TableView &tables) {
  switch (lanes) {
    case 1: return decode_stream<1, Tables>(stream, steps, tables);
    case 4: return decode_stream<4, Tables>(stream, steps, tables);
    case 8: return decode_stream<8, Tables>(stream, steps, tables);
    case 16: return decode_stream<16, Tables>(stream, steps, tables);
    default: return decode_stream<32, Tables>(stream, steps, tables);
  }
}

bool decode_one(DecodeStream &stream, int lanes, std::size_t steps, const TableView &tables) {
  switch (stream.nearness) {
    case Nearness::kDirect: return decode_lanes<Nearness::kDirect>(stream, lanes, steps, tables);
    case Nearness::kNear: return decode_lanes<Nearness::kNear>(stream, lanes, steps, tables);
    default: return decode_lanes<Nearness::kAny>(stream, lanes, steps, tables);
  }
}

bool decode(DecodeStream *const *streams, int count, int lanes, std::size_t steps,
            const TableView &tables) {
  for (int s = 0; s < count; ++s)
    if (!decode_one(*streams[s], lanes, steps, tables)) return false;
  return true;
}

std::size_t general_ids(const void *symbols, int symbol_bytes, const void *indexes,
                        int index_bytes, std::size_t count, const TableInfo *infos,
                        std::uint32_t *ids, std::uint8_t *raw, std::uint8_t *shifts,
                        std::uint16_t *escapes) {
  return typed(symbols, symbol_bytes, indexes, index_bytes, [&](auto *symbol, auto *index) {
    return general_ids_from(0, 0, symbol, index, count, infos, ids, raw, shifts, escapes);
  });
}

void put_raw(const std::uint8_t *raw, const std::uint8_t *shifts, std::size_t count,
             RawWriter &bits) {
  while (count-- > 0) bits.put(raw[count], shifts[count]);
}

bool add_raw(std::int32_t *symbols, const std::uint8_t *shifts, std::size_t count,
             RawReader &bits) {
  for (std::size_t i = 0; i < count; i += 8) {
    const std::uint64_t eight = load_u64(shifts + i);
    if (eight == 0) continue;
    const std::uint8_t *const p = bits.plane + (bits.position >> 3);
    const int skip = int(bits.position & 7);
    std::uint64_t window = load_u64(p) >> skip | std::uint64_t(p[8]) << 1 << (63 - skip);
    // Their sum comes out in the highest byte.
    bits.position += eight * 0x0101010101010101u >> 56;
    if (bits.position > bits.end) return false;
    const std::size_t end = i + 8 < count ? i + 8 : count;
    for (std::size_t j = i; j < end; ++j) {
      const std::uint32_t raw = std::uint32_t(window) & ((1u << shifts[j]) - 1);
      symbols[j] = std::int32_t(std::uint32_t(symbols[j]) + raw);
      window >>= shifts[j];
    }
  }
  return true;
}

}  // namespace

const Kernels kScalarKernels = {"scalar", scale_indexes, take, highest_index, encode, decode, direct_ids, general_ids, put_raw, add_raw, kodec::crc32c, kodec::crc32c};

}  // namespace kodec
