// The CUDA coder's kernels, compiled as C++ and run in the emulation of emulated_cuda, against the
// CPU's coder: the same bytes, the same symbols, and errors for the same damaged streams.
// cuda_emulation [ITEMS [FIRST_SEED]]; the first failure ends it with status 1.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>

#include "cuda/cuda_decoder.hpp"
#include "cuda/cuda_encoder.hpp"
#include "decoder.hpp"
#include "errors.hpp"
#include "random_items.hpp"

namespace {

using namespace kodec;
using cuda::CudaDecoder;
using cuda::CudaEncoder;

std::uint64_t seed;

[[noreturn]] void fail(const std::string &what) {
  std::printf("FAILED: seed %llu: %s\n", static_cast<unsigned long long>(seed), what.c_str());
  std::exit(1);
}

// One block of all items.
struct Batch {
  std::vector<RandomBlock> items;
  RandomBlock all;
};

Batch random_batch(Random &random, std::shared_ptr<const TableSet> tables, std::uint32_t most,
                   std::size_t items) {
  Batch batch;
  const std::uint32_t symbols = random.below(most * std::uint32_t(items) + 1);
  batch.all = random_block(random, std::move(tables), symbols);
  RandomBlock &all = batch.all;
  const std::size_t count = all.symbols.size() / items;
  const auto cut = [](auto &values, std::size_t begin, std::size_t end) {
    return std::decay_t<decltype(values)>(values.begin() + std::ptrdiff_t(begin),
                                          values.begin() + std::ptrdiff_t(end));
  };
  for (std::size_t item = 0; item < items; ++item) {
    const std::size_t begin = item * count, end = begin + count;
    RandomBlock part{all.tables, cut(all.symbols, begin, end), cut(all.indexes, begin, end),
                     cut(all.theirs, begin, end), {}};
    for (std::uint32_t position : all.overrides)
      if (position >= begin && position < end)
        part.overrides.push_back(position - std::uint32_t(begin));
    batch.items.push_back(std::move(part));
  }
  all.symbols.resize(items * count);
  all.indexes.resize(items * count);
  all.theirs.resize(items * count);
  return batch;
}

// As a tensor would hold them, so that reads behind the end are noticed.
void add(CudaEncoder &encoder, const Batch &batch, bool narrow) {
  const RandomBlock &all = batch.all;
  const std::size_t items = batch.items.size(), count = all.symbols.size() / items;
  const std::vector<std::uint8_t> bytes(all.indexes.begin(), all.indexes.end());
  const bool byte_indexes = narrow && all.tables->size() < 256;
  const std::vector<std::int16_t> words(all.symbols.begin(), all.symbols.end());
  const bool word_symbols = narrow && std::equal(words.begin(), words.end(), all.symbols.begin());
  std::vector<std::uint8_t> overridden(all.symbols.size());
  bool any = false;
  for (std::uint32_t position : all.overrides)
    if (position < overridden.size()) {
      overridden[position] = 1;
      any = true;
    }
  encoder.add({word_symbols ? static_cast<const void *>(words.data()) : all.symbols.data(),
               word_symbols ? 2 : 4,
               byte_indexes ? static_cast<const void *>(bytes.data()) : all.indexes.data(),
               byte_indexes ? 1 : 2, any || !narrow ? overridden.data() : nullptr, items, count},
              all.tables, 0);
}

using Blocks = std::vector<std::vector<std::int32_t>>;

// The symbols of one item's blocks, or nothing if its decoder raised an error.
std::optional<Blocks> decode_on_cpu(const Bytes &stream, const std::vector<Batch> &batches,
                                    std::size_t item) try {
  Decoder decoder(stream.data(), stream.size());
  Blocks blocks;
  for (const Batch &batch : batches) {
    const RandomBlock &block = batch.items[item];
    blocks.emplace_back(block.symbols.size());
    decoder.decode(block.theirs.data(), 2, block.theirs.size(), *block.tables, blocks.back().data(), 1);
  }
  decoder.finish();
  return blocks;
} catch (const BitstreamError &) {
  return {};
} catch (const InvalidInputError &) {
  return {};
}

// The same of all items together; the symbols also where finish() raises an error.
struct Decoded {
  std::vector<Blocks> items;
  bool accepted = false;
};

Decoded decode_emulated(const std::vector<Bytes> &streams, const std::vector<Batch> &batches,
                        bool narrow) {
  Decoded decoded;
  decoded.items.resize(streams.size());
  try {
    CudaDecoder decoder(streams, 0, 0);
    for (const Batch &batch : batches) {
      const std::vector<std::uint16_t> &indexes = batch.all.theirs;
      const std::vector<std::uint8_t> bytes(indexes.begin(), indexes.end());
      const bool byte_indexes =
          narrow && std::equal(bytes.begin(), bytes.end(), indexes.begin());
      std::vector<std::int32_t> symbols(indexes.size(), 12345);
      const std::size_t count = indexes.size() / streams.size();
      decoder.decode({byte_indexes ? static_cast<const void *>(bytes.data()) : indexes.data(),
                      byte_indexes ? 1 : 2, symbols.data(), streams.size(), count},
                     batch.all.tables, 0);
      for (std::size_t item = 0; item < streams.size(); ++item) {
        const auto begin = symbols.begin() + std::ptrdiff_t(item * count);
        decoded.items[item].emplace_back(begin, begin + std::ptrdiff_t(count));
      }
    }
    decoder.finish(0);
    decoded.accepted = true;
  } catch (const BitstreamError &) {
  } catch (const InvalidInputError &) {
  }
  return decoded;
}

// A stream with valid checksums that nobody wrote: some bytes of its sections are others, or some
// lengths.
Bytes forge(Random &random, const Bytes &stream) {
  Bytes copy = stream;
  copy.resize(copy.size() + kReadAhead);
  std::vector<SegmentView> views = parse_stream(copy.data(), stream.size(), kernels());
  std::vector<SegmentBytes> segments;
  for (std::size_t s = 0; s < views.size(); ++s) {
    SegmentView &view = views[s];
    for (Section *section : {&view.bits, &view.words, &view.escapes, &view.overrides}) {
      if (section->size == 0) continue;
      for (std::uint32_t n = random.one_of({0u, 0u, 0u, 1u, 1u, 5u}); n > 0; --n)
        copy[std::size_t(section->begin - copy.data()) +
             random.below(std::uint32_t(section->size))] ^= std::uint8_t(1 + random.below(255));
      if (random.below(8) == 0)
        section->size = random.below(std::uint32_t(section->size)) & ~std::size_t(1);
    }
    if (random.below(8) == 0) view.index_checksum ^= 1;
    if (random.below(8) == 0) view.symbols += random.below(3);
    if (view.lanes > 0 && random.below(8) == 0) view.lanes = random.one_of({1, 4, 8, 16, 32});
    segments.push_back(write_segment(view, s, s + 1 < views.size(), kernels()));
  }
  return join_segments(segments);
}

struct Counts {
  std::size_t symbols = 0, forged = 0, accepted = 0;
};

void check_item(Counts &counts) {
  Random random(seed);
  emulation::multiprocessors = random.one_of({1, 2, 132});
  emulation::shared_memory_limit = random.one_of({227 << 10, 48 << 10, 8 << 10});
  emulation::schedule = std::uint32_t(seed);
  const std::size_t items = 1 + random.below(3);
  const std::uint32_t most = random.one_of({70u, 1500u, 1500u, 6000u});
  std::vector<Batch> batches;
  std::shared_ptr<const TableSet> tables;
  for (std::uint32_t b = 1 + random.below(4); b > 0; --b) {
    if (!tables || random.below(2) == 0)
      tables = random_tables(random, random.one_of({3u, 70u, 300u}));
    batches.push_back(random_batch(random, tables, most, items));
    counts.symbols += batches.back().all.symbols.size();
  }
  const std::int64_t segments = random.one_of({0, 1, 2, 3, 7, 40});
  const std::int64_t lanes = random.one_of({0, 1, 4, 8, 16, 32, 32, 32, 32});
  const bool narrow = random.below(2) == 0;

  CudaEncoder encoder(std::int64_t(items), 0);
  for (const Batch &batch : batches) add(encoder, batch, narrow);
  const std::vector<Bytes> streams = encoder.finish(segments, lanes, 0);
  if (streams.size() != items) fail("another number of streams");
  std::vector<Bytes> theirs;
  for (std::size_t item = 0; item < items; ++item) {
    Encoder cpu;
    for (const Batch &batch : batches) add_block(cpu, batch.items[item], narrow);
    theirs.push_back(cpu.finish(segments, lanes, 1));
    if (segments > 0 && lanes > 0 && streams[item] != theirs.back()) fail("the stream is another");
    Blocks expected;
    for (const Batch &batch : batches) expected.push_back(batch.items[item].symbols);
    if (decode_on_cpu(streams[item], batches, item) != expected)
      fail("the CPU decodes other symbols");
  }
  for (const auto &from : {streams, theirs}) {
    const Decoded decoded = decode_emulated(from, batches, narrow);
    if (!decoded.accepted) fail("a good stream was refused");
    for (std::size_t item = 0; item < items; ++item)
      for (std::size_t b = 0; b < batches.size(); ++b)
        if (decoded.items[item][b] != batches[b].items[item].symbols) fail("other symbols came back");
  }

  // Forgeries: both coders refuse them, or both decode the same; other items are not affected.
  for (int trial = 0; trial < 3; ++trial) {
    std::vector<Bytes> forged = streams;
    std::vector<Batch> given = batches;
    const std::size_t victim = random.below(std::uint32_t(items));
    if (streams[victim].size() > 1) forged[victim] = forge(random, streams[victim]);
    if (random.below(3) == 0) {
      Batch &batch = given[random.below(std::uint32_t(given.size()))];
      const std::size_t count = batch.items[victim].theirs.size();
      if (count > 0) {
        const std::size_t place = random.below(std::uint32_t(count));
        const std::uint16_t index = std::uint16_t(
            random.below(random.one_of({std::uint32_t(batch.all.tables->size()) + 1, 65536u})));
        batch.items[victim].theirs[place] = index;
        batch.all.theirs[victim * count + place] = index;
      }
    }
    const std::optional<Blocks> expected = decode_on_cpu(forged[victim], given, victim);
    const Decoded decoded = decode_emulated(forged, given, narrow);
    if (decoded.accepted != expected.has_value())
      fail(decoded.accepted ? "a forged stream was accepted" : "a forged stream was refused");
    if (expected && decoded.items[victim] != *expected) fail("a forged stream gave other symbols");
    for (std::size_t item = 0; item < items; ++item)
      for (std::size_t b = 0; item != victim && b < decoded.items[item].size(); ++b)
        if (decoded.items[item][b] != batches[b].items[item].symbols)
          fail("one item's damage reached another");
    ++counts.forged;
    counts.accepted += decoded.accepted;
  }
}

template <typename Error, typename Work>
void expect(const char *message, Work work) {
  try {
    work();
  } catch (const Error &error) {
    if (std::string(error.what()).find(message) == std::string::npos)
      fail(std::string("another message: ") + error.what());
    return;
  }
  fail(std::string("no error: ") + message);
}

void check_wrong_input() {
  Random random(1);
  const auto tables = random_tables(random, 3);
  const std::uint16_t beyond = std::uint16_t(tables->size() + 1);
  const std::vector<std::int32_t> symbols{0, 0, 0, 7, 0, 0};
  std::vector<std::uint16_t> indexes{1, 1, 1, 0, beyond, beyond};
  const auto encode = [&](std::size_t items) {
    CudaEncoder encoder(2, 0);
    encoder.add({symbols.data(), 4, indexes.data(), 2, nullptr, items, 3}, tables, 0);
    return encoder.finish(0, 0, 0);
  };
  expect<InvalidInputError>("position 0 of item 1 is not 0", [&] { encode(2); });
  indexes[3] = 1;
  expect<InvalidInputError>("at position 1 of item 1 names no table", [&] { encode(2); });
  expect<InvalidInputError>("made for 2", [&] { encode(3); });
  indexes[4] = indexes[5] = 1;
  const std::vector<Bytes> streams = encode(2);
  expect<InvalidInputError>("no CUDA device 1", [] { CudaEncoder(1, 1); });
  expect<InvalidInputError>("no CUDA device -1", [&] { CudaDecoder(streams, -1, 0); });
  expect<InvalidInputError>("segments must", [] { CudaEncoder(1, 0).finish(-1, 0, 0); });
  std::vector<std::int32_t> out(12);
  CudaDecoder decoder(streams, 0, 0);
  expect<InvalidInputError>("of 1 items", [&] {
    decoder.decode({indexes.data(), 2, out.data(), 1, 3}, tables, 0);
  });
  expect<BitstreamError>("more symbols are asked for", [&] {
    decoder.decode({indexes.data(), 2, out.data(), 2, 6}, tables, 0);
  });
  CudaDecoder another(streams, 0, 0);
  indexes[2] = beyond;
  another.decode({indexes.data(), 2, out.data(), 2, 3}, tables, 0);
  expect<InvalidInputError>("an index of item 0 names no table", [&] { another.check(0); });
  Bytes cut = streams[0];
  cut.pop_back();
  expect<BitstreamError>("", [&] { CudaDecoder({cut}, 0, 0); });
}

// The stream with its only segment changed, and valid checksums.
template <typename Change>
Bytes changed(const Bytes &stream, Change change) {
  Bytes copy = stream;
  copy.resize(copy.size() + kReadAhead);
  SegmentView view = parse_stream(copy.data(), stream.size(), kernels()).front();
  change(view);
  return join_segments({write_segment(view, 0, false, kernels())});
}

// What random forgeries reach too seldom.
void check_forgeries() {
  const std::uint16_t frequencies[] = {16383, 1}, sizes[] = {2};
  const std::int32_t offsets[] = {0};
  const std::uint8_t shifts[] = {8};
  const auto tables = std::make_shared<TableSet>(frequencies, 2, sizes, offsets, shifts, 1);
  const std::size_t count = 5000;
  std::vector<std::int32_t> symbols(count, 77), out(count, 12345);
  symbols[4] = std::numeric_limits<std::int32_t>::max();
  const std::vector<std::uint8_t> indexes(count, 1);
  CudaEncoder encoder(1, 0);
  encoder.add({symbols.data(), 4, indexes.data(), 1, nullptr, 1, count}, tables, 0);
  const Bytes stream = encoder.finish(1, 32, 0).front();
  const auto decode = [&](const Bytes &data) {
    CudaDecoder decoder({data}, 0, 0);
    decoder.decode({indexes.data(), 1, out.data(), 1, count}, tables, 0);
    decoder.check(0);
  };
  decode(stream);
  if (out != symbols) fail("other symbols came back");

  // Only the states are left of five thousand bytes, which were most of the stream.
  expect<MismatchError>("raw bits of the coder stream ran out", [&] {
    decode(changed(stream, [](SegmentView &view) { view.bits.size = 96; }));
  });
  expect<MismatchError>("escapes of the coder stream ran out", [&] {
    decode(changed(stream, [](SegmentView &view) { view.escapes.size = 0; }));
  });
  const Bytes most{0xFE, 0xFF, 0xFF, 0xFF, 0x7F};  // an even number: above all codes
  expect<MismatchError>("does not fit 32 bits", [&] {
    decode(changed(stream, [&](SegmentView &view) { view.escapes = {most.data(), most.size()}; }));
  });
  // The first symbols with the highest states of all take no words; others soon do.
  expect<MismatchError>("words of the coder stream ran out", [&] {
    const std::vector<std::uint16_t> frequencies(2, 8192);
    const auto even = std::make_shared<TableSet>(frequencies.data(), 2, sizes, offsets, shifts, 1);
    CudaDecoder decoder({stream}, 0, 0);
    decoder.decode({indexes.data(), 1, out.data(), 1, count}, even, 0);
    decoder.check(0);
  });

  // After an error, symbols are 0: in the rest of its block, and in the blocks after it.
  CudaEncoder pair(1, 0);
  for (int block = 0; block < 2; ++block)
    pair.add({symbols.data(), 4, indexes.data(), 1, nullptr, 1, count}, tables, 0);
  CudaDecoder decoder(pair.finish(1, 32, 0), 0, 0);
  std::vector<std::uint8_t> wrong = indexes;
  wrong[100] = 2;
  for (const std::vector<std::uint8_t> &given : {wrong, indexes}) {
    std::fill(out.begin(), out.end(), 12345);
    decoder.decode({given.data(), 1, out.data(), 1, count}, tables, 0);
    const std::size_t good = given == wrong ? 96 : 0;
    for (std::size_t i = 0; i < count; ++i)
      if (out[i] != (i < good ? symbols[i] : 0)) fail("a symbol after an error is not 0");
  }
  expect<InvalidInputError>("names no table", [&] { decoder.finish(0); });
}

}  // namespace

int main(int argc, char **argv) {
  const std::uint64_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Counts counts;
  try {
    check_wrong_input();
    check_forgeries();
    for (seed = first; seed < first + items; ++seed) check_item(counts);
  } catch (const std::exception &error) {
    fail(error.what());
  }
  std::printf(
      "%llu items, %zu symbols, the same as the CPU's; %zu forged streams, %zu of them decoded, the "
      "others refused by both; %llu kernels emulated\n",
      static_cast<unsigned long long>(items), counts.symbols, counts.forged, counts.accepted,
      emulation::kernels_run);
}
