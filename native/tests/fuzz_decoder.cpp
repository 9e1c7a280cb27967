// Fuzz target: any stream, with any indexes, through every kernel that this machine runs. It must end
// in symbols or in an error of ours, in the same way in all kernels. Checksums, which no mutation would
// hit, are made right behind the fuzzer's back where the input asks for it (fuzz_input.hpp).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <typeinfo>

#include "available_kernels.hpp"
#include "decoder.hpp"
#include "fuzz_input.hpp"
#include "stream.hpp"

namespace {

using namespace kodec;

// Where a segment's header and body lie in a stream, as far as it can be read.
struct Segment {
  std::size_t header, index_checksum, body = 0, size = 0, overrides = 0;
};

// Lengths are read as they are; false if there is no list of headers, or too long a stream.
bool find_segments(const Bytes &stream, std::vector<Segment> &segments) {
  constexpr std::uint64_t kMost = 1 << 14;
  const std::uint8_t *p = stream.data();
  const std::uint8_t *const end = p + stream.size();
  std::uint64_t total = 0;
  const auto length = [&](std::uint64_t unit) {
    const std::uint64_t bytes = unit * read_varint<BitstreamError>(p, end, "");
    total += bytes;
    return std::size_t(bytes);
  };
  try {
    for (bool more = true; more;) {
      if (end - p < 1 || total > kMost) return false;
      Segment segment{std::size_t(p - stream.data()), 0};
      const std::uint8_t kind = *p++;
      more = (kind & kMoreSegments) != 0;
      read_varint<BitstreamError>(p, end, "");
      if ((kind >> kLaneShift & kLaneMask) != 0) {
        segment.size += length(1);
        segment.size += length(2);
      }
      if (kind & kHasEscapes) segment.size += length(1);
      if (kind & kHasOverrides) segment.size += segment.overrides = length(1);
      if (end - p < 8) return false;
      segment.index_checksum = std::size_t(p - stream.data());
      p += 8;
      segments.push_back(segment);
    }
  } catch (const BitstreamError &) {
    return false;
  }
  std::size_t body = std::size_t(p - stream.data());
  for (Segment &segment : segments) {
    segment.body = body;
    body += segment.size;
  }
  return total <= kMost;
}

// The checksum of a segment's indexes after its overrides, as far as these make sense.
std::uint32_t index_checksum(const FuzzInput &input, const Bytes &stream, const Segment &segment,
                             std::size_t number, std::size_t segments) {
  std::vector<std::uint16_t> indexes;
  for (const std::vector<std::uint16_t> &block : input.blocks)
    indexes.insert(indexes.end(), block.begin() + std::ptrdiff_t(share_begin(block.size(), number, segments)),
                   block.begin() + std::ptrdiff_t(share_begin(block.size(), number + 1, segments)));
  const std::uint8_t *const end = stream.data() + segment.body + segment.size;
  try {
    std::uint64_t next = 0;
    for (const std::uint8_t *p = end - segment.overrides; p != end; ++next) {
      next += read_varint<BitstreamError>(p, end, "");
      const std::uint64_t index = read_varint<BitstreamError>(p, end, "");
      if (next < indexes.size()) indexes[next] = std::uint16_t(index);
    }
  } catch (const BitstreamError &) {
  }
  return kScalarKernels.crc32c_16(indexes.data(), indexes.size(), 0);
}

void repair(FuzzInput &input) {
  Bytes &stream = input.stream;
  std::vector<Segment> segments;
  if (input.repair == Repair::kNothing || !find_segments(stream, segments)) return;
  const std::size_t end = segments.back().body + segments.back().size;
  if (input.repair == Repair::kChecksumsAndLengths) stream.resize(end);
  if (stream.size() < end) return;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const Segment &segment = segments[s];
    store_u32(&stream[segment.index_checksum],
              index_checksum(input, stream, segment, s, segments.size()));
    store_u32(&stream[segment.index_checksum + 4],
              segment_checksum(s, &stream[segment.header], segment.index_checksum + 4 - segment.header,
                               stream.data() + segment.body, segment.size, kScalarKernels));
  }
}

// How decoding ended, and what it gave on the way.
struct Outcome {
  std::string end;
  std::vector<std::vector<std::int32_t>> symbols;  // or choices
  bool operator==(const Outcome &other) const {
    return end == other.end && symbols == other.symbols;
  }
};

Outcome decode_with(const std::string &kernel, const FuzzInput &input) {
  use_kernel(kernel);
  Outcome outcome;
  const auto ended = [&](const std::exception &error) {
    outcome.end += std::string(typeid(error).name()) + ": " + error.what();
  };
  try {
    Decoder decoder(input.stream.data(), input.stream.size());
    for (std::size_t b = 0; b < input.blocks.size(); ++b) {
      const std::vector<std::uint16_t> &block = input.blocks[b];
      if (input.choices[b]) {
        std::vector<std::uint16_t> chosen = block;
        decoder.choose(chosen.data(), chosen.size());
        outcome.symbols.emplace_back(chosen.begin(), chosen.end());
        continue;
      }
      // To the byte, so that AddressSanitizer sees who reads or writes beyond.
      const std::vector<std::uint8_t> bytes(block.begin(), block.end());
      std::vector<std::int32_t> symbols(block.size());
      const void *const indexes =
          input.index_bytes == 1 ? static_cast<const void *>(bytes.data()) : block.data();
      try {
        decoder.decode(indexes, input.index_bytes, block.size(), *input.tables, symbols.data(), 1);
      } catch (const InvalidInputError &) {
        outcome.end += "refused indexes; ";  // and the decoder goes on
        continue;
      }
      outcome.symbols.push_back(std::move(symbols));
    }
    decoder.finish();
    outcome.end += "finished";
  } catch (const BitstreamError &error) {
    ended(error);
  } catch (const UnsupportedError &error) {
    ended(error);
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static const std::vector<std::string> names = kernel_names();
  FuzzInput input;
  if (!parse_fuzz_input(data, size, input)) return 0;
  repair(input);
  const Outcome expected = decode_with(names.front(), input);
  for (const std::string &name : names) {
    if (&name == &names.front()) continue;
    const Outcome outcome = decode_with(name, input);
    if (outcome == expected) continue;
    std::fprintf(stderr, "%s: %s\n%s: %s\n%s\n", names.front().c_str(), expected.end.c_str(),
                 name.c_str(), outcome.end.c_str(),
                 outcome.symbols == expected.symbols ? "the same symbols" : "other symbols");
    std::abort();
  }
  return 0;
}
