// The loops over steps, streams and groups of lanes that the AVX2 and AVX-512 kernels share; included
// by them in an anonymous namespace, after what is particular to each:
//
//   Register, kGroup, load_states, store_states, either, any_of
//                     a register of kGroup 32-bit lanes, and what is done with one
//   find_entries, encode_group
//   Stage, find_buckets, find_symbols, take_words
//   general_ids_of, direct_ids_of
//   kNarrower         the kernels for fewer lanes than a group has

// Of two streams in turn, one's latencies hide behind the other's work.
template <int Streams, int Groups>
void encode_streams(EncodeStream *const *streams, std::size_t steps) {
  Register x[Streams][Groups], flags[Streams];
  const std::uint32_t *ids[Streams], *entries[Streams];
  std::uint8_t *words[Streams];
  for (int s = 0; s < Streams; ++s) {
    for (int g = 0; g < Groups; ++g) x[s][g] = load_states(streams[s]->states + kGroup * g);
    flags[s] = Register{};
    ids[s] = streams[s]->ids;
    entries[s] = streams[s]->entries;
    words[s] = streams[s]->words;
  }
  for (; steps > 0; --steps) {
    // Entries depend on no state, so all are on their way before the first is needed.
    Register entry[Streams][Groups];
#pragma GCC unroll 2
    for (int s = 0; s < Streams; ++s) {
      ids[s] -= kGroup * Groups;
#pragma GCC unroll 4
      for (int g = 0; g < Groups; ++g) {
        entry[s][g] = find_entries(ids[s] + kGroup * g, entries[s]);
        flags[s] = either(flags[s], entry[s][g]);
      }
    }
#pragma GCC unroll 4
    for (int done = 0; done < Groups; ++done)
#pragma GCC unroll 2
      for (int s = 0; s < Streams; ++s) {
        const int g = Groups - 1 - done;
        x[s][g] = encode_group(x[s][g], entry[s][g], words[s]);
      }
  }
  for (int s = 0; s < Streams; ++s) {
    for (int g = 0; g < Groups; ++g) store_states(streams[s]->states + kGroup * g, x[s][g]);
    streams[s]->flags |= any_of(flags[s]);
    streams[s]->ids = ids[s];
    streams[s]->words = words[s];
  }
}

template <int Groups>
void encode_count(EncodeStream *const *streams, int count, std::size_t steps) {
  if (count == 2)
    encode_streams<2, Groups>(streams, steps);
  else
    encode_streams<1, Groups>(streams, steps);
}

void encode(EncodeStream *const *streams, int count, int lanes, std::size_t steps) {
  if (lanes == kGroup) return encode_count<1>(streams, count, steps);
  if (lanes == 2 * kGroup) return encode_count<2>(streams, count, steps);
  if constexpr (4 * kGroup <= kMaxLanes)
    if (lanes == 4 * kGroup) return encode_count<4>(streams, count, steps);
  kNarrower.encode(streams, count, lanes, steps);
}

// A step is decoded in three stages, each over all groups of all streams: the instructions of one
// group depend on each other in so long a chain that a processor has but few groups in sight if
// they come one after the other.
template <int Streams, int Groups, Nearness Near>
bool decode_streams(DecodeStream *const *streams, std::size_t steps, const TableView &tables) {
  Register x[Streams][Groups];
  const std::uint16_t *indexes[Streams];
  std::int32_t *symbols[Streams];
  std::uint8_t *shifts[Streams];
  const std::uint8_t *words[Streams];
  for (int s = 0; s < Streams; ++s) {
    for (int g = 0; g < Groups; ++g) x[s][g] = load_states(streams[s]->states + kGroup * g);
    indexes[s] = streams[s]->indexes;
    symbols[s] = streams[s]->symbols;
    shifts[s] = streams[s]->shifts;
    words[s] = streams[s]->words;
  }
  for (std::size_t step = 0; step < steps; ++step) {
    Stage stages[Streams][Groups];
    unsigned escapes[Streams] = {};
#pragma GCC unroll 4
    for (int g = 0; g < Groups; ++g)
#pragma GCC unroll 2
      for (int s = 0; s < Streams; ++s)
        stages[s][g] = find_buckets(x[s][g], indexes[s] + kGroup * g, tables);
#pragma GCC unroll 4
    for (int g = 0; g < Groups; ++g)
#pragma GCC unroll 2
      for (int s = 0; s < Streams; ++s)
        escapes[s] |= find_symbols<Near>(stages[s][g], x[s][g], indexes[s] + kGroup * g, tables,
                                         symbols[s] + kGroup * g, shifts[s] + kGroup * g)
                      << kGroup * g;
#pragma GCC unroll 4
    for (int g = 0; g < Groups; ++g)
#pragma GCC unroll 2
      for (int s = 0; s < Streams; ++s) x[s][g] = take_words(stages[s][g], words[s]);
    for (int s = 0; s < Streams; ++s) {
      if (words[s] > streams[s]->words_end) return false;
      if (escapes[s] != 0)
        *streams[s]->escapes++ = {streams[s]->position + std::uint32_t(kGroup * Groups * step),
                                  escapes[s]};
      indexes[s] += kGroup * Groups;
      symbols[s] += kGroup * Groups;
      shifts[s] += kGroup * Groups;
    }
  }
  for (int s = 0; s < Streams; ++s) {
    for (int g = 0; g < Groups; ++g) store_states(streams[s]->states + kGroup * g, x[s][g]);
    streams[s]->indexes = indexes[s];
    streams[s]->symbols = symbols[s];
    streams[s]->shifts = shifts[s];
    streams[s]->words = words[s];
    streams[s]->position += std::uint32_t(kGroup * Groups * steps);
  }
  return true;
}

template <int Streams, int Groups>
bool decode_near(DecodeStream *const *streams, std::size_t steps, const TableView &tables) {
  switch (farthest(streams, Streams)) {
    case Nearness::kDirect:
      return decode_streams<Streams, Groups, Nearness::kDirect>(streams, steps, tables);
    case Nearness::kNear:
      return decode_streams<Streams, Groups, Nearness::kNear>(streams, steps, tables);
    default: return decode_streams<Streams, Groups, Nearness::kAny>(streams, steps, tables);
  }
}

template <int Groups>
bool decode_count(DecodeStream *const *streams, int count, std::size_t steps,
                  const TableView &tables) {
  return count == 2 ? decode_near<2, Groups>(streams, steps, tables)
                    : decode_near<1, Groups>(streams, steps, tables);
}

bool decode(DecodeStream *const *streams, int count, int lanes, std::size_t steps,
            const TableView &tables) {
  if (lanes == kGroup) return decode_count<1>(streams, count, steps, tables);
  if (lanes == 2 * kGroup) return decode_count<2>(streams, count, steps, tables);
  if constexpr (4 * kGroup <= kMaxLanes)
    if (lanes == 4 * kGroup) return decode_count<4>(streams, count, steps, tables);
  return kNarrower.decode(streams, count, lanes, steps, tables);
}

std::size_t general_ids(const void *symbols, int symbol_bytes, const void *indexes,
                        int index_bytes, std::size_t count, const TableInfo *infos,
                        std::uint32_t *ids, std::uint8_t *raw, std::uint8_t *shifts,
                        std::uint16_t *escapes) {
  return typed(symbols, symbol_bytes, indexes, index_bytes, [&](auto *symbol, auto *index) {
    return general_ids_of(symbol, index, count, infos, ids, raw, shifts, escapes);
  });
}

bool fast_direct_ids(const void *symbols, int symbol_bytes, const void *indexes, int index_bytes,
                     std::size_t count, std::uint32_t *ids) {
  if (symbol_bytes != 2 || index_bytes != 1)
    return direct_ids(symbols, symbol_bytes, indexes, index_bytes, count, ids);
  return direct_ids_of(static_cast<const std::int16_t *>(symbols),
                       static_cast<const std::uint8_t *>(indexes), count, ids);
}
