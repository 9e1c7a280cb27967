// Table rANS, decoding: memory-safe on any stream and any indexes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bytes.hpp"
#include "scan_pass.hpp"
#include "scan_program.hpp"
#include "segment_decoder.hpp"
#include "tables.hpp"

namespace kodec {

class Decoder {
 public:
  // Copies the stream. Throws BitstreamError or UnsupportedError, InvalidInputError if KODEC_SIMD is
  // wrong.
  Decoder(const std::uint8_t *data, std::size_t size);

  // Decodes the next block into `symbols` (count), on up to `threads` threads; its indexes have one
  // or two bytes. Throws InvalidInputError before anything is decoded if an index names no table;
  // BitstreamError or MismatchError otherwise, after which the decoder is of no further use.
  void decode(const void *indexes, int index_bytes, std::size_t count, const TableSet &tables,
              std::int32_t *symbols, std::size_t threads);

  // Replaces those of `count` choices that the encoder signalled by what it chose. Throws
  // BitstreamError where fewer were encoded.
  void choose(std::uint16_t *indexes, std::size_t count);

  // Decodes the next block, whose symbols are differences from the means that `program` predicts
  // from values before, into `values`: rows * columns positions of program.channels() values. `side`
  // is the program's. Throws as `decode` does, and BitstreamError for values beyond 2^30.
  void scan(const ScanProgram &program, std::size_t rows, std::size_t columns,
            const std::int32_t *side, const TableSet &tables, std::int32_t *values);

  // Decodes the next block, whose symbols `pass` takes. No index that it gives may be beyond the
  // tables. Throws likewise, and what the pass throws.
  void scan(ScanPass &pass, const TableSet &tables);

  // Symbols in the whole stream, as its headers say.
  std::uint64_t symbols() const;

  // Throws unless every segment is exactly at its end and its indexes were the encoder's.
  void finish() const;

 private:
  const Kernels *kernels_;
  Bytes data_;
  std::vector<Segment> segments_;
};

}  // namespace kodec
