// The loops of front_kernels.hpp, for one instruction set: included within an anonymous namespace by a
// file that says how many values its vectors hold (kLanes) and how many of them a tile's part takes.
//
// Vectors are the compiler's; a compiler that has none computes value by value.

#if defined(__GNUC__)
typedef double Vector __attribute__((vector_size(8 * kLanes)));
typedef double LooseVector __attribute__((vector_size(8 * kLanes), aligned(8), may_alias));
inline Vector load(const double *p) { return *reinterpret_cast<const LooseVector *>(p); }
inline void store(double *p, Vector v) { *reinterpret_cast<LooseVector *>(p) = v; }
#else
using Vector = double;
inline Vector load(const double *p) { return *p; }
inline void store(double *p, Vector v) { *p = v; }
#endif

// Of |x| < 2^51: rounded to the nearest by what float64 leaves out above 2^52, then put right.
inline Vector floor_of(Vector x) {
  const double big = 6755399441055744.0;  // 1.5 * 2^52
  const Vector nearest = (x + big) - big;
  return nearest > x ? nearest - 1.0 : nearest;
}

// `Outputs` outputs from `output` on, of `Vectors` vectors of positions.
template <int Outputs, int Vectors>
inline void outputs_of(const LayerView &layer, std::size_t output, const double *x, double *y) {
  const double *const weights = layer.weights + output;
  Vector sums[Outputs][Vectors];
#pragma GCC unroll 16
  for (int o = 0; o < Outputs; ++o)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sums[o][v] = Vector{} + layer.biases[output + std::size_t(o)];
  for (std::size_t i = 0; i < layer.inputs; ++i) {
    Vector values[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) values[v] = load(x + i * kTile + std::size_t(v) * kLanes);
    const double *const row = weights + i * layer.padded;
#pragma GCC unroll 16
    for (int o = 0; o < Outputs; ++o)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sums[o][v] += values[v] * row[o];
  }
  const double unit = 1.0 / double(std::uint64_t(1) << layer.shift);
#pragma GCC unroll 16
  for (int o = 0; o < Outputs; ++o) {
    if (output + std::size_t(o) >= layer.outputs) break;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      Vector sum = sums[o][v];
      if (layer.shift > 0) sum = floor_of(sum * unit);
      if (layer.rectified) sum = sum > 0.0 ? sum : Vector{};
      store(y + (output + std::size_t(o)) * kTile + std::size_t(v) * kLanes, sum);
    }
  }
}

template <int Outputs, int Vectors>
void all_outputs(const LayerView &layer, const double *x, double *y) {
  std::size_t output = 0;
  for (; output + Outputs <= layer.padded; output += Outputs)
    outputs_of<Outputs, Vectors>(layer, output, x, y);
  for (; output < layer.outputs; output += 2) outputs_of<2, Vectors>(layer, output, x, y);
}

// Few vectors leave room for many outputs.
void layer(const LayerView &layer, const double *x, double *y, std::size_t width) {
  for (std::size_t first = 0; first < width;) {
    const std::size_t left = width - first;
    if (left > 2 * kLanes) {
      all_outputs<kOutputsOfFour, 4>(layer, x + first, y + first);
      first += 4 * kLanes;
    } else if (left > kLanes) {
      all_outputs<2 * kOutputsOfFour, 2>(layer, x + first, y + first);
      first += 2 * kLanes;
    } else {
      all_outputs<4 * kOutputsOfFour, 1>(layer, x + first, y + first);
      first += kLanes;
    }
  }
}
