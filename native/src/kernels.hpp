// The coder's inner loops, one implementation for each instruction set, all with the same results.
//
// A table set as the loops see it: the symbol `v` of index `i` has the code c = v - offset >> shift
// and the key c + (offset >> shift), modulo 256. Its entry has the id i << 8 | key. Where keys as
// signed bytes are in the order of codes, and the shift is at most 4, a table is "near":
// v = (key << shift) + (offset modulo 2^shift) + raw bits. If also the shift is 0, it is "direct", and
// the key is the symbol.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kodec {

constexpr int kPrecision = 14;
constexpr std::uint32_t kTotal = 1u << kPrecision;
constexpr int kMaxLanes = 32;

// A coder state lies in [kStateLow, 2^32).
constexpr std::uint32_t kStateLow = 1u << 16;

// The decoder finds a slot's code by the slot's bucket. The lower half of its 64 bits is the entry of
// the bucket's first code. The upper half is that of the next code, but with the first one's key in
// place of the start, and a near table's shift (bits 8..10) and offset modulo 2^shift (bits 11..14).
// Only where three codes meet in a bucket is there more to search.
constexpr int kBucketBits = 8;
constexpr int kBucketShift = kPrecision - kBucketBits;
constexpr std::uint32_t kBucketSlots = 1u << kBucketShift;
constexpr int kMostNearShift = 4;

// Symbols are prepared, coded and finished in portions that stay in the first-level cache.
constexpr std::size_t kPortion = 1024;

// An entry: bits 0..13 start, 14 and 15 the flags below, 16..30 frequency.
constexpr std::uint32_t kNoCode = 1u << 14;  // no symbol has this key
constexpr std::uint32_t kEscape = 1u << 15;

struct TableInfo {
  std::int32_t offset;   // symbol value of code 0
  std::uint16_t escape;  // the escape code, the last one
  std::uint16_t shift;   // raw low bits
};

struct TableView {
  const std::uint32_t *entries;   // by id
  const std::uint64_t *buckets;   // by index << kBucketBits | slot >> kBucketShift
  const TableInfo *infos;         // by index
  std::uint32_t direct_below;     // all lower indexes are direct
  std::uint32_t near_below;       // all lower indexes are near
};

// A segment being encoded, from its last symbol to its first.
struct EncodeStream {
  std::uint32_t *states;         // one a lane
  std::uint8_t *words;           // the lowest word written so far
  const std::uint32_t *ids;      // one behind the next entry id to code
  const std::uint32_t *entries;  // of the table set
  std::uint32_t flags;           // of all entries used are added here
};

// The lanes of a step that decoded to an escape.
struct EscapeStep {
  std::uint32_t position;  // of the step's first symbol in the portion
  std::uint32_t lanes;     // bit k: lane k
};

enum class Nearness { kDirect, kNear, kAny };

// A segment being decoded.
struct DecodeStream {
  std::uint32_t *states;
  const std::uint8_t *words;      // the next word; 64 bytes behind words_end are readable
  const std::uint8_t *words_end;
  const std::uint16_t *indexes;   // each names a table
  std::int32_t *symbols;          // results, less raw bits; of escapes, anything
  std::uint8_t *shifts;           // how many raw bits, written only if not all are direct
  EscapeStep *escapes;            // where the next one is reported
  std::uint32_t position;         // in the portion, for EscapeStep
  Nearness nearness;              // of all the portion's indexes
};

// A bit plane being read, lowest bit of each byte first; 16 bytes behind its end are readable.
struct RawReader {
  const std::uint8_t *plane;
  std::uint64_t position;  // in bits
  std::uint64_t end;
};

// A bit plane being written from its end to its beginning.
struct RawWriter {
  std::uint8_t *begin;        // of the bytes that are full, the last of which ends the plane
  std::uint64_t pending = 0;  // the bits before those bytes
  int count = 0;              // of pending bits, below 32

  // Puts `bits` (at most 32) before all others.
  void put(std::uint64_t value, int bits) {
    pending = pending << bits | value;
    count += bits;
    if (count < 32) return;
    count -= 32;
    begin -= 4;
    const std::uint64_t full = pending >> count;
    for (int i = 0; i < 4; ++i) begin[i] = std::uint8_t(full >> (8 * i));
    pending &= (std::uint64_t(1) << count) - 1;
  }
};

// What there is to know of symbols and their indexes before they are accepted.
struct Survey {
  std::uint32_t highest = 0;  // index
  bool wide = false;          // a symbol does not fit 16 bits
  bool skipped = false;       // a symbol with index 0 is not 0
};

// Log-spaced scales, each with a table: index i stands for the i-th, from 1 on; 0 for smaller ones.
struct ScaleLevels {
  double first;  // natural logarithm of the smallest scale
  double inverse_step;  // 1 / step, where step leads from one logarithm to the next
  int count;
  double guard;  // in steps: how close to where the index changes is a close call
};

struct Kernels {
  const char *name;

  // The indexes, of 1 or 2 bytes, of logarithms of scales. Bit 0 of the result: there are close
  // calls; bit 1: there are NaNs.
  unsigned (*scale_indexes)(const double *logarithms, std::size_t count, const ScaleLevels &levels,
                            void *indexes, int index_bytes);

  // Surveys symbols of 2 or 4 bytes with indexes of 1 or 2, and copies the symbols' low 16 bits.
  Survey (*take)(const void *symbols, int symbol_bytes, const void *indexes, int index_bytes,
                 std::size_t count, std::int16_t *copy);

  std::uint32_t (*highest_index)(const void *indexes, int index_bytes, std::size_t count);

  // Codes `steps` times `lanes` symbols of each of one or two streams, which it advances.
  void (*encode)(EncodeStream *const *streams, int count, int lanes, std::size_t steps);

  // The same for decoding; false if a stream's words ran out, which may then be anywhere.
  bool (*decode)(DecodeStream *const *streams, int count, int lanes, std::size_t steps,
                 const TableView &tables);

  // Entry ids of symbols whose indexes are direct, as if none escaped; false if one lies outside
  // [-128, 127].
  bool (*direct_ids)(const void *symbols, int symbol_bytes, const void *indexes, int index_bytes,
                     std::size_t count, std::uint32_t *ids);

  // Entry ids, raw low bits and the number of these, for any symbols. Positions of those that
  // escape are written to `escapes`, which has room for all and one; returns how many there are.
  std::size_t (*general_ids)(const void *symbols, int symbol_bytes, const void *indexes,
                             int index_bytes, std::size_t count, const TableInfo *infos,
                             std::uint32_t *ids, std::uint8_t *raw, std::uint8_t *shifts,
                             std::uint16_t *escapes);

  // Writes `shifts[i]` bits of each raw[i]. Both arrays have eight more readable bytes.
  void (*put_raw)(const std::uint8_t *raw, const std::uint8_t *shifts, std::size_t count,
                  RawWriter &bits);

  // Adds to each symbol the next `shifts[i]` bits; false if the plane ran out. `shifts` has eight
  // more bytes, which are 0.
  bool (*add_raw)(std::int32_t *symbols, const std::uint8_t *shifts, std::size_t count,
                  RawReader &bits);

  // The checksums of crc32c.hpp.
  std::uint32_t (*crc32c)(const std::uint8_t *data, std::size_t size, std::uint32_t value);
  std::uint32_t (*crc32c_16)(const std::uint16_t *data, std::size_t count, std::uint32_t value);
};

extern const Kernels kScalarKernels;
#if defined(KODEC_X86_KERNELS)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

// The kernels that KODEC_SIMD names (scalar, avx2 or avx512), or this machine's fastest. Throws
// InvalidInputError if the variable names none, or one that this machine cannot run.
const Kernels &kernels();

}  // namespace kodec
