// Loops that compilers vectorise by themselves. Each kernels_*.cpp includes this in an anonymous
// namespace of its own, so that what one instruction set's flags made is never linked for another.

// Calls `work` with the two arrays by their types.
template <typename Work>
auto typed(const void *symbols, int symbol_bytes, const void *indexes, int index_bytes, Work work) {
  const auto *const byte_indexes = static_cast<const std::uint8_t *>(indexes);
  const auto *const word_indexes = static_cast<const std::uint16_t *>(indexes);
  if (symbol_bytes == 2) {
    const auto *const narrow = static_cast<const std::int16_t *>(symbols);
    return index_bytes == 1 ? work(narrow, byte_indexes) : work(narrow, word_indexes);
  }
  const auto *const wide = static_cast<const std::int32_t *>(symbols);
  return index_bytes == 1 ? work(wide, byte_indexes) : work(wide, word_indexes);
}

struct Take {
  std::size_t count;
  std::int16_t *copy;

  template <typename Symbol, typename Index>
  Survey operator()(const Symbol *symbols, const Index *indexes) const {
    // In the width of the arrays, so that a vector holds as many as possible.
    Index highest = 0;
    Symbol skipped = 0;
    std::uint32_t beyond = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Symbol symbol = symbols[i];
      highest = highest > indexes[i] ? highest : indexes[i];
      skipped = Symbol(skipped | (indexes[i] == 0 ? symbol : 0));
      if (sizeof(Symbol) > 2) beyond |= std::uint32_t(symbol) + 32768;
      copy[i] = std::int16_t(symbol);
    }
    return {highest, beyond > 65535, skipped != 0};
  }
};

Survey take(const void *symbols, int symbol_bytes, const void *indexes, int index_bytes,
            std::size_t count, std::int16_t *copy) {
  return typed(symbols, symbol_bytes, indexes, index_bytes, Take{count, copy});
}

template <typename Index>
std::uint32_t highest_of(const Index *indexes, std::size_t count) {
  Index highest = 0;
  for (std::size_t i = 0; i < count; ++i) highest = highest > indexes[i] ? highest : indexes[i];
  return highest;
}

std::uint32_t highest_index(const void *indexes, int index_bytes, std::size_t count) {
  if (index_bytes == 1) return highest_of(static_cast<const std::uint8_t *>(indexes), count);
  return highest_of(static_cast<const std::uint16_t *>(indexes), count);
}

struct DirectIds {
  std::size_t count;
  std::uint32_t *ids;

  template <typename Symbol, typename Index>
  bool operator()(const Symbol *symbols, const Index *indexes) const {
    std::uint32_t outside = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t symbol = std::uint32_t(std::int32_t(symbols[i]));
      outside |= symbol + 128;
      ids[i] = std::uint32_t(indexes[i]) << 8 | (symbol & 255);
    }
    return outside < 256;
  }
};

bool direct_ids(const void *symbols, int symbol_bytes, const void *indexes, int index_bytes,
                std::size_t count, std::uint32_t *ids) {
  return typed(symbols, symbol_bytes, indexes, index_bytes, DirectIds{count, ids});
}

// general_ids() from symbol `i` on, where `escape_count` of those before it escape.
template <typename Symbol, typename Index>
std::size_t general_ids_from(std::size_t i, std::size_t escape_count, const Symbol *symbols,
                             const Index *indexes, std::size_t count, const TableInfo *infos,
                             std::uint32_t *ids, std::uint8_t *raw, std::uint8_t *shifts,
                             std::uint16_t *escapes) {
  for (; i < count; ++i) {
    escapes[escape_count] = std::uint16_t(i);
    escape_count += general_id(symbols[i], indexes[i], infos, ids[i], raw[i]);
    shifts[i] = std::uint8_t(infos[indexes[i]].shift);
  }
  return escape_count;
}

template <typename Index>
unsigned scale_indexes_of(const double *logarithms, std::size_t count, const ScaleLevels &levels,
                          Index *indexes) {
  const ScaleLevels local = levels;
  const double highest = local.count - 0.5;
  std::int32_t close = 0, unordered = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double position = scale_position(logarithms[i], local);
    const double least = position > -1.0 ? position : -1.0;  // of NaN too
    const double clamped = least < highest ? least : highest;
    const std::int32_t whole = std::int32_t(clamped);
    const std::int32_t level = whole - (clamped < double(whole));
    close |= is_close(position, local);
    unordered |= position != position;
    indexes[i] = Index(level + 1);
  }
  return unsigned(close) | unsigned(unordered) << 1;
}

inline unsigned scale_indexes(const double *logarithms, std::size_t count, const ScaleLevels &levels,
                       void *indexes, int index_bytes) {
  if (index_bytes == 1)
    return scale_indexes_of(logarithms, count, levels, static_cast<std::uint8_t *>(indexes));
  return scale_indexes_of(logarithms, count, levels, static_cast<std::uint16_t *>(indexes));
}
