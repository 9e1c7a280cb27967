// The kernels in portable C++.
#include <algorithm>

#include "bytes.hpp"
#include "crc32c.hpp"
#include "kernels.hpp"
#include "lane.hpp"

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

template <int Lanes, bool Direct>
bool decode_stream(DecodeStream &stream, std::size_t steps, const TableView &tables) {
  std::uint32_t x[Lanes], found[Lanes];
  std::copy(stream.states, stream.states + Lanes, x);
  const std::uint16_t *indexes = stream.indexes;
  std::int32_t *symbols = stream.symbols;
  std::uint8_t *shifts = stream.shifts;
  const std::uint8_t *words = stream.words;
  for (std::size_t step = 0; step < steps; ++step) {
    std::uint32_t flags = 0;
    for (int lane = 0; lane < Lanes; ++lane) {
      const std::uint8_t key = decode_symbol(x[lane], indexes[lane], tables, words, found[lane]);
      symbols[lane] = symbol_value<Direct>(key, tables.infos, indexes[lane]);
      if (!Direct) shifts[lane] = std::uint8_t(tables.infos[indexes[lane]].shift);
      flags |= found[lane];
    }
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

template <bool Direct>
bool decode_lanes(DecodeStream &stream, int lanes, std::size_t steps, const TableView &tables) {
  switch (lanes) {
    case 1: return decode_stream<1, Direct>(stream, steps, tables);
    case 4: return decode_stream<4, Direct>(stream, steps, tables);
    case 8: return decode_stream<8, Direct>(stream, steps, tables);
    case 16: return decode_stream<16, Direct>(stream, steps, tables);
    default: return decode_stream<32, Direct>(stream, steps, tables);
  }
}

bool decode(DecodeStream *const *streams, int count, int lanes, std::size_t steps,
            const TableView &tables) {
  for (int s = 0; s < count; ++s) {
    DecodeStream &stream = *streams[s];
    if (!(stream.nearness == Nearness::kDirect ? decode_lanes<true>(stream, lanes, steps, tables)
                                               : decode_lanes<false>(stream, lanes, steps, tables)))
      return false;
  }
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
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t window = load_u16(bits.plane + (bits.position >> 3));
    const std::uint32_t raw = window >> (bits.position & 7) & ((1u << shifts[i]) - 1);
    symbols[i] = std::int32_t(std::uint32_t(symbols[i]) + raw);
    bits.position += shifts[i];
    if (bits.position > bits.end) return false;
  }
  return true;
}

}  // namespace

const Kernels kScalarKernels = {"scalar", scale_indexes, take, highest_index, encode, decode, direct_ids, general_ids, put_raw, add_raw, kodec::crc32c, kodec::crc32c};

}  // namespace kodec
