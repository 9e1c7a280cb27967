#include "buffer.hpp"

#include <limits>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>

#include <mutex>
#include <vector>
#endif

namespace kodec {
namespace {

constexpr std::size_t kAlignment = 64;

#if defined(__linux__)
constexpr std::size_t kPage = 4096, kHugePage = std::size_t(2) << 20;

struct Block {
  void *start;
  std::size_t bytes;
};

// Blocks for the next buffers, the oldest first.
class Kept {
 public:
  // One of at least this size and not much more, or none.
  Block take(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto best = blocks_.end();
    for (auto block = blocks_.begin(); block != blocks_.end(); ++block)
      if (block->bytes >= bytes && block->bytes / 2 <= bytes &&
          (best == blocks_.end() || block->bytes <= best->bytes))
        best = block;
    if (best == blocks_.end()) return {nullptr, 0};
    const Block found = *best;
    blocks_.erase(best);
    total_ -= found.bytes;
    return found;
  }

  void keep(Block block) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (block.bytes > most_ || madvise(block.start, block.bytes, MADV_FREE) != 0) {
      munmap(block.start, block.bytes);
      return;
    }
    try {
      blocks_.push_back(block);
    } catch (const std::bad_alloc &) {
      munmap(block.start, block.bytes);
      return;
    }
    total_ += block.bytes;
    shrink();
  }

  std::size_t limit(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::swap(most_, bytes);
    shrink();
    return bytes;
  }

 private:
  void shrink() {
    for (; total_ > most_; blocks_.erase(blocks_.begin())) {
      total_ -= blocks_.front().bytes;
      munmap(blocks_.front().start, blocks_.front().bytes);
    }
  }

  std::mutex mutex_;
  std::vector<Block> blocks_;
  std::size_t total_ = 0, most_ = kMostFreedKept;
};

// Never destroyed: arrays may be freed after everything else.
Kept &kept() {
  static Kept *const all = new Kept;
  return *all;
}

// From the system, beginning with a huge page.
Block map(std::size_t bytes) {
  // One page more than wanted: what lies before the first multiple of a page, and behind the last,
  // is given back at once.
  void *const place =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) throw std::bad_alloc();
  char *const start = static_cast<char *>(place);
  const std::size_t before =
      (kHugePage - reinterpret_cast<std::size_t>(start) % kHugePage) % kHugePage;
  if (before > 0) munmap(start, before);
  munmap(start + before + bytes, kHugePage - before);
  madvise(start + before, bytes, MADV_HUGEPAGE);
  return {start + before, bytes};
}
#endif

}  // namespace

std::size_t keep_freed(std::size_t bytes) {
#if defined(__linux__)
  return kept().limit(bytes);
#else
  return bytes;
#endif
}

Buffer::Buffer(std::size_t floats) : data_(nullptr), mapped_(0) {
  if (floats > std::numeric_limits<std::size_t>::max() / 2 / sizeof(float)) throw std::bad_alloc();
  const std::size_t bytes = floats * sizeof(float);
#if defined(__linux__)
  if (bytes >= kHugePage) {
    const std::size_t whole = (bytes + kPage - 1) / kPage * kPage;
    Block block = kept().take(whole);
    if (block.start == nullptr) block = map(whole);
    data_ = static_cast<float *>(block.start);
    mapped_ = block.bytes;
    return;
  }
#endif
  data_ = static_cast<float *>(::operator new(bytes, std::align_val_t(kAlignment)));
}

Buffer::~Buffer() {
#if defined(__linux__)
  if (mapped_ > 0) {
    kept().keep({data_, mapped_});
    return;
  }
#endif
  if (data_ != nullptr) ::operator delete(data_, std::align_val_t(kAlignment));
}

}  // namespace kodec
