// The loops of motion_kernels.hpp, for one instruction set: included within an anonymous namespace by a
// file that says how many 16-bit values its vectors hold (kLanes: 8, 16 or 32). Vectors are the
// compiler's (GCC's or Clang's).

template <int Lanes>
struct Of {
  typedef std::uint8_t Bytes __attribute__((vector_size(Lanes)));
  typedef std::int16_t Words __attribute__((vector_size(2 * Lanes)));
  typedef std::int32_t Ints __attribute__((vector_size(4 * Lanes)));
};

template <typename V, typename T>
inline V loaded(const T *p) {
  V v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

using Words = Of<kLanes>::Words;
constexpr int kRowsAtOnce = kLanes / 8;
constexpr int kVectors = 8 / kRowsAtOnce;

// Eight pixels of each of a vector's rows, kVectors rows apart.
inline Words rows_of(const std::uint8_t *p, std::ptrdiff_t stride) {
  typedef std::uint64_t Parts __attribute__((vector_size(kLanes)));
  Parts parts;
#pragma GCC unroll 4
  for (int r = 0; r < kRowsAtOnce; ++r) {
    std::uint64_t part;
    std::memcpy(&part, p + r * kVectors * stride, 8);
    parts[r] = part;
  }
  return __builtin_convertvector((Of<kLanes>::Bytes)parts, Words);
}

template <int... Numbers>
struct List {};
template <int Count, int... Numbers>
struct Counted : Counted<Count - 1, Count - 1, Numbers...> {};
template <int... Numbers>
struct Counted<0, Numbers...> {
  using Type = List<Numbers...>;
};

template <int Distance, int... Lane>
inline Words swapped(Words v, List<Lane...>) {
  return Words{v[Lane ^ Distance]...};
}
template <int Distance, int... Lane>
inline Words signs(List<Lane...>) {
  return Words{std::int16_t(Lane & Distance ? -1 : 1)...};
}

// Sums in one of two lanes so far apart, differences in the other.
template <int Distance>
inline Words butterfly(Words v) {
  using Lanes = typename Counted<kLanes>::Type;
  return swapped<Distance>(v, Lanes{}) + v * signs<Distance>(Lanes{});
}

// Vectors' lanes first, then the lanes' rows, then columns. Values stay below 2^14; the last
// butterfly, |a + b| + |a - b|, is the larger magnitude twice.
std::uint32_t satd(const std::uint8_t *block, const std::uint8_t *a, const std::uint8_t *b,
                   std::ptrdiff_t stride) {
  Words values[kVectors];
#pragma GCC unroll 8
  for (int k = 0; k < kVectors; ++k) {
    const Words mean = (rows_of(a + k * stride, stride) + rows_of(b + k * stride, stride) + 1) >> 1;
    values[k] = rows_of(block + k * int(kBlock), kBlock) - mean;
  }
#pragma GCC unroll 3
  for (int distance = 1; distance < kVectors; distance *= 2)
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k)
      if ((k & distance) == 0) {
        const Words sum = values[k] + values[k + distance];
        values[k + distance] = values[k] - values[k + distance];
        values[k] = sum;
      }
  typedef std::uint16_t Sums __attribute__((vector_size(2 * kLanes)));
  Sums sums{};
#pragma GCC unroll 8
  for (int k = 0; k < kVectors; ++k) {
    Words v = values[k];
    if constexpr (kLanes > 8) v = butterfly<kLanes / 2>(v);
    if constexpr (kLanes > 16) v = butterfly<8>(v);
    v = butterfly<2>(butterfly<4>(v));
    const Words magnitude = v < 0 ? -v : v;
    const Words other = swapped<1>(magnitude, Counted<kLanes>::Type{});
    sums += (Sums)(magnitude > other ? magnitude : other);
  }
  std::uint32_t sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += sums[lane];
  return (sum + 4) >> 3;
}

constexpr std::int16_t kTaps[4][8] = {{0, 0, 0, 64, 0, 0, 0, 0},
                                      {-1, 4, -10, 58, 17, -5, 1, 0},
                                      {-1, 4, -11, 40, 40, -11, 4, -1},
                                      {0, 1, -5, 17, 58, -10, 4, -1}};

// 64 times what lies `step` apart, filtered: within 16 bits, as taps of one sign add up to 88 at most.
template <int Lanes>
inline typename Of<Lanes>::Words filtered(const std::uint8_t *p, std::ptrdiff_t step,
                                          const std::int16_t *taps) {
  using Bytes = typename Of<Lanes>::Bytes;
  using Words = typename Of<Lanes>::Words;
  Words sum{};
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k)
    sum += __builtin_convertvector(loaded<Bytes>(p + (k - kTapsBefore) * step), Words) * taps[k];
  return sum;
}

template <typename Small, typename V>
inline void store_clipped(std::uint8_t *out, V v) {
  v = v < 0 ? V{} : v;
  v = v > 255 ? V{} + 255 : v;
  const Small bytes = __builtin_convertvector(v, Small);
  std::memcpy(out, &bytes, sizeof(bytes));
}

// Lanes columns.
template <int Lanes>
void strip(const std::uint8_t *source, std::ptrdiff_t stride, std::uint8_t *out,
           std::ptrdiff_t out_stride, std::size_t height, int down, int right) {
  using Bytes = typename Of<Lanes>::Bytes;
  const std::ptrdiff_t rows = std::ptrdiff_t(height);
  if (down == 0 || right == 0) {
    const std::ptrdiff_t step = down == 0 ? 1 : stride;
    for (std::ptrdiff_t y = 0; y < rows; ++y)
      store_clipped<Bytes>(out + y * out_stride,
                           (filtered<Lanes>(source + y * stride, step, kTaps[down + right]) + 32) >> 6);
    return;
  }
  constexpr int kHalf = Lanes / 2;
  using Few = typename Of<kHalf>::Words;
  using Ints = typename Of<kHalf>::Ints;
  std::int16_t middle[kMostRows + 7][Lanes];
  for (std::ptrdiff_t y = 0; y < rows + 7; ++y) {
    const auto row = filtered<Lanes>(source + (y - kTapsBefore) * stride, 1, kTaps[right]);
    std::memcpy(middle[y], &row, sizeof(row));
  }
  for (std::ptrdiff_t y = 0; y < rows; ++y)
    for (int half = 0; half < Lanes; half += kHalf) {
      Ints sum = Ints{} + 2048;
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k)
        sum += __builtin_convertvector(loaded<Few>(middle[y + k] + half), Ints) *
               std::int32_t(kTaps[down][k]);
      store_clipped<typename Of<kHalf>::Bytes>(out + y * out_stride + half, sum >> 12);
    }
}

void interpolate(const std::uint8_t *source, std::ptrdiff_t stride, std::uint8_t *out,
                 std::ptrdiff_t out_stride, std::size_t width, std::size_t height, int down,
                 int right) {
  if (down == 0 && right == 0) {
    for (std::size_t y = 0; y < height; ++y)
      std::memcpy(out + std::ptrdiff_t(y) * out_stride, source + std::ptrdiff_t(y) * stride, width);
    return;
  }
  std::size_t x = 0;
  for (; x + kLanes / 2 < width; x += kLanes)
    strip<kLanes>(source + x, stride, out + x, out_stride, height, down, right);
  // What few columns are left.
  if (x < width)
    strip<kLanes / 2>(source + x, stride, out + x, out_stride, height, down, right);
}

void add_weighted(const std::uint8_t *values, const std::uint16_t *weights, std::size_t count,
                  std::uint16_t *sums) {
  for (std::size_t i = 0; i < count; ++i) sums[i] = std::uint16_t(sums[i] + weights[i] * values[i]);
}

void divide(const std::uint16_t *sums, std::size_t count, std::uint8_t *out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = std::uint8_t((sums[i] + 128u) >> 8);
}

void average(const std::uint8_t *a, const std::uint8_t *b, std::size_t count, std::uint8_t *out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = std::uint8_t((a[i] + b[i] + 1) >> 1);
}
