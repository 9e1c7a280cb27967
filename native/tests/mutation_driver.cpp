// Runs a fuzz target where there is no libFuzzer: on the inputs of some folders and then on random
// mutations of them, not guided by coverage; or on single files, to see one failure again.
//
//     fuzz_X [-runs=N] [-max_total_time=SECONDS] [-max_len=BYTES] [-seed=N, 0 for any] FOLDER...
//     fuzz_X FILE...
//
// libFuzzer's other options are ignored. An input that ends the program is left in crash-input.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "random_items.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);
// AddressSanitizer's, where it is compiled in.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

using Input = std::vector<std::uint8_t>;
using kodec::Random;

const Input *running = nullptr;

void keep_input() {
  std::FILE *const file = std::fopen("crash-input", "wb");
  if (file == nullptr) return;
  std::fwrite(running->data(), 1, running->size(), file);
  std::fclose(file);
  std::fputs("the input is in crash-input\n", stderr);
}

void keep_input_and_end(int signal) {
  keep_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const Input &input) {
  running = &input;
  // A copy to the byte, so that AddressSanitizer sees who reads beyond.
  const Input copy(input.begin(), input.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

Input read(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<Input> read_folder(const std::filesystem::path &folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());  // so that a seed means the same everywhere
  std::vector<Input> inputs;
  for (const std::filesystem::path &path : paths) inputs.push_back(read(path));
  return inputs;
}

void mutate(Random &random, Input &input, const std::vector<Input> &others) {
  const auto position = [&] { return random.below(std::uint32_t(input.size())); };
  const auto iterator = [&](std::size_t at) { return input.begin() + std::ptrdiff_t(at); };
  if (input.empty()) input.push_back(0);
  switch (random.below(7)) {
    case 0: input[position()] ^= std::uint8_t(1u << random.below(8)); break;
    case 1: input[position()] = std::uint8_t(random.below(256)); break;
    case 2: input[position()] = random.one_of<std::uint8_t>({0, 1, 127, 128, 254, 255}); break;
    case 3: {
      const std::uint32_t from = position(), size = 1 + random.below(8);
      input.erase(iterator(from), iterator(std::min<std::size_t>(from + size, input.size())));
      break;
    }
    case 4: {
      const std::uint8_t byte = std::uint8_t(random.below(256));
      input.insert(iterator(position()), 1 + random.below(8), byte);
      break;
    }
    case 5: {
      const std::uint32_t from = position(), to = position();
      std::swap_ranges(iterator(std::min(from, to)), iterator((from + to) / 2), iterator((from + to) / 2));
      break;
    }
    default: {
      const Input &other = others[random.below(std::uint32_t(others.size()))];
      const std::size_t from = std::min<std::size_t>(position(), other.size());
      input.resize(from);
      input.insert(input.end(), other.begin() + std::ptrdiff_t(from), other.end());
    }
  }
}

struct Options {
  std::uint64_t runs = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t seconds = 60, longest = 4096, seed = 1;
};

void fuzz(const std::vector<Input> &seeds, const Options &options) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::uint64_t done = 0;
  for (const Input &seed : seeds) {
    if (done == options.runs) break;
    run(seed);
    ++done;
  }
  Random random(options.seed);
  while (done < options.runs && (options.seconds == 0 || elapsed() < double(options.seconds))) {
    Input input = seeds[random.below(std::uint32_t(seeds.size()))];
    for (std::uint32_t times = 1 + random.below(8); times > 0; --times) mutate(random, input, seeds);
    if (input.size() > options.longest) input.resize(options.longest);
    run(input);
    ++done;
  }
  std::printf("%llu inputs in %.1f s, %zu of them seeds; no finding\n",
              static_cast<unsigned long long>(done), elapsed(), seeds.size());
}

}  // namespace

int main(int argc, char **argv) {
  std::signal(SIGABRT, keep_input_and_end);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(keep_input);
  Options options;
  std::vector<Input> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = argument.find('=');
    if (argument[0] == '-' && equals != std::string::npos) {
      const std::string name = argument.substr(1, equals - 1);
      const std::uint64_t value = std::strtoull(argument.c_str() + equals + 1, nullptr, 10);
      if (name == "runs") options.runs = value;
      if (name == "max_total_time") options.seconds = value;
      if (name == "max_len") options.longest = value;
      if (name == "seed") options.seed = value > 0 ? value : std::random_device()();
    } else if (std::filesystem::is_directory(argument)) {
      const std::vector<Input> inputs = read_folder(argument);
      seeds.insert(seeds.end(), inputs.begin(), inputs.end());
    } else if (std::filesystem::is_regular_file(argument)) {
      run(read(argument));
      std::printf("%s: no finding\n", argument.c_str());
      return 0;
    } else {
      std::fprintf(stderr, "%s: no such file or folder\n", argument.c_str());
      return 2;
    }
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "give folders of inputs, such as fuzz_seeds writes\n");
    return 2;
  }
  fuzz(seeds, options);
}
