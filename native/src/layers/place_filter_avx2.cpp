// Filters whose taps follow the kind of place: rows of luma, of what kinds are told by, of sums.
#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "float_lanes.hpp"
#include "layer_kernels.hpp"
#include "place_colour_loops.hpp"

namespace kodec {
namespace {

// Added to a float below 2^22, it leaves the nearest integer in the lowest bits.
constexpr float kRounding = 12582912.0f;

inline __m256i pairs(__m256i x) { return _mm256_madd_epi16(x, _mm256_set1_epi16(1)); }

inline __m256i distances(__m256i a, __m256i b) {
  return pairs(_mm256_abs_epi16(_mm256_sub_epi16(a, b)));
}

inline __m256i steps_at(const std::int16_t *row, std::size_t at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(row + at));
}

inline void store(std::int32_t *to, __m256i x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), x);
}

// Least and most hold for what is no number, too.
inline __m256 within(__m256 x, float least, float most) {
  return _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(least)), _mm256_set1_ps(most));
}

// Whether a is more than twice b: 0 to 1.
inline __m256 twice(__m256 a, __m256 b) {
  const __m256 above = _mm256_sub_ps(a, _mm256_add_ps(b, b));
  const __m256 size = _mm256_add_ps(_mm256_mul_ps(a, _mm256_set1_ps(0.25f)),
                                    _mm256_set1_ps(kPlaceFloor));
  return within(_mm256_div_ps(above, size), 0, 1);
}

// 36^2 variances, of sums of 36 values and of their squares.
inline __m128 variances(__m128i sums, __m128i squares) {
  const __m256d sum = _mm256_cvtepi32_pd(sums);
  const __m256d whole = _mm256_mul_pd(_mm256_cvtepi32_pd(squares), _mm256_set1_pd(36));
  return _mm256_cvtpd_ps(_mm256_sub_pd(whole, _mm256_mul_pd(sum, sum)));
}

inline __m256i ints_at(const std::int32_t *row) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(row));
}

// Sums of 3x3 cells of quantity `q` from three rows of cells. wide: room for two cells more.
inline void add_nine(const std::int32_t *const *rows, std::size_t from, std::size_t cells,
                     std::int32_t *wide, std::int32_t *out) {
  const std::int32_t *const a = rows[0] + from, *const b = rows[1] + from,
                            *const c = rows[2] + from;
  for (std::size_t i = 0; i < cells; ++i) wide[i + 1] = a[i] + b[i] + c[i];
  wide[0] = wide[1];
  wide[cells + 1] = wide[cells];
  for (std::size_t i = 0; i < cells; ++i) out[i] = wide[i] + wide[i + 1] + wide[i + 2];
}

// Sums of four pixels, two in a row: (0, 0), (0, 1), (1, 0), (1, 1).
inline __m128 filter_cell(const float *x, std::size_t step, const float *taps, __m256 most,
                          __m256 least) {
  constexpr std::size_t kMiddleTap = kPlaceTaps / 2;
  const float *const middle = x + kMiddleTap * step + kMiddleTap;
  const __m256 centres[4] = {_mm256_broadcast_ss(middle), _mm256_broadcast_ss(middle + 1),
                             _mm256_broadcast_ss(middle + step),
                             _mm256_broadcast_ss(middle + step + 1)};
  __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                    _mm256_setzero_ps()};
#pragma GCC unroll 7
  for (std::size_t r = 0; r < kPlaceTaps; ++r) {
    const __m256 plain = _mm256_loadu_ps(taps + r * kLanes);
    const __m256 clipped = _mm256_loadu_ps(taps + (kPlaceTaps + r) * kLanes);
#pragma GCC unroll 4
    for (std::size_t p = 0; p < 4; ++p) {
      const __m256 seen = _mm256_loadu_ps(x + (r + p / 2) * step + p % 2);
      const __m256 difference = _mm256_sub_ps(seen, centres[p]);
      sums[p] = _mm256_fmadd_ps(difference, plain, sums[p]);
      const __m256 bounded = _mm256_max_ps(_mm256_min_ps(difference, most), least);
      sums[p] = _mm256_fmadd_ps(bounded, clipped, sums[p]);
    }
  }
  const __m256 both =
      _mm256_hadd_ps(_mm256_hadd_ps(sums[0], sums[1]), _mm256_hadd_ps(sums[2], sums[3]));
  return _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
}

// A set, and what it uses.
struct Set {
  const float *taps;
  unsigned used;
};

// Sets of up to eight kinds, each with its share. A single kind's is where it is.
class BlendedTaps {
 public:
  BlendedTaps(const PlaceSets &sets, std::size_t size) : all_(sets), size_(size) {}

  // Of a place of one kind.
  Set of(std::int32_t kind) const { return {all_.sets + kind * kPlaceSet, all_.used[kind]}; }

  // Of any place.
  Set at(float here, float near, float direction) {
    const unsigned h = unsigned(here), n = unsigned(near);
    const float more_here = here - float(h), more_near = near - float(n);
    const float turned = std::fabs(direction);
    const unsigned other = direction > 0 ? 0 : 1;
    count_ = 0;
    used_ = 0;
    for (unsigned i = 0; i < 2; ++i)
      for (unsigned j = 0; j < 2; ++j) {
        const float share = (i ? more_here : 1 - more_here) * (j ? more_near : 1 - more_near);
        if (share == 0) continue;
        put(kind_of(h + i, n + j, 2), share * (1 - turned));
        put(kind_of(h + i, n + j, other), share * turned);
      }
    if (count_ == 0) return {blended_, 0};
    for (std::size_t k = 0; k < size_; k += kLanes) {
      __m256 sum = _mm256_mul_ps(_mm256_set1_ps(shares_[0]), _mm256_loadu_ps(sets_[0] + k));
      for (std::size_t i = 1; i < count_; ++i)
        sum = _mm256_fmadd_ps(_mm256_set1_ps(shares_[i]), _mm256_loadu_ps(sets_[i] + k), sum);
      _mm256_storeu_ps(blended_ + k, sum);
    }
    return {blended_, used_};
  }

 private:
  static unsigned kind_of(unsigned here, unsigned near, unsigned direction) {
    return (here * unsigned(kPlaceLevels) + near) * unsigned(kPlaceDirections) + direction;
  }

  void put(unsigned kind, float share) {
    if (share == 0 || !all_.used[kind]) return;
    used_ |= all_.used[kind];
    sets_[count_] = all_.sets + kind * kPlaceSet;
    shares_[count_++] = share;
  }

  const PlaceSets &all_;
  std::size_t size_;
  const float *sets_[8];
  float shares_[8];
  std::size_t count_ = 0;
  unsigned used_ = 0;
  float blended_[kPlaceSet];
};

// Kinds of eight places, -1 where there is more than one.
inline __m256i kinds_of(__m256 here, __m256 near, __m256 direction) {
  const __m256 h = _mm256_floor_ps(here), n = _mm256_floor_ps(near);
  const __m256 d = _mm256_round_ps(direction, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
  const __m256 whole = _mm256_and_ps(
      _mm256_and_ps(_mm256_cmp_ps(h, here, _CMP_EQ_OQ), _mm256_cmp_ps(n, near, _CMP_EQ_OQ)),
      _mm256_cmp_ps(d, direction, _CMP_EQ_OQ));
  // Directions 1, -1, 0 have the numbers 0, 1, 2.
  const __m256 turned = _mm256_mul_ps(_mm256_mul_ps(d, d), _mm256_set1_ps(1.5f));
  const __m256 other =
      _mm256_sub_ps(_mm256_sub_ps(_mm256_set1_ps(2), turned), _mm256_mul_ps(d, _mm256_set1_ps(0.5f)));
  const __m256 level = _mm256_add_ps(_mm256_mul_ps(h, _mm256_set1_ps(kPlaceLevels)), n);
  const __m256 kind = _mm256_add_ps(_mm256_mul_ps(level, _mm256_set1_ps(kPlaceDirections)), other);
  return _mm256_blendv_epi8(_mm256_set1_epi32(-1), _mm256_cvtps_epi32(kind),
                            _mm256_castps_si256(whole));
}

}  // namespace

void place_luma_row(const float *x, std::size_t plane, float *luma, std::int16_t *steps,
                    std::size_t width) {
  const float *const green = x + plane, *const blue = x + 2 * plane;
#pragma GCC ivdep
  for (std::size_t c = 0; c < width; ++c) {
    const float value = (x[c] + green[c] + blue[c]) * kWhole;
    luma[c] = value;
    float found = value - kMiddle;
    found = found > -kPlaceMost ? found : -kPlaceMost;
    found = (found < kPlaceMost ? found : kPlaceMost) * kPlaceSteps + kRounding;
    std::int32_t bits;
    __builtin_memcpy(&bits, &found, sizeof bits);
    steps[c] = std::int16_t(bits - 0x4B400000);
  }
  steps[width] = steps[width - 1];
}

void place_cell_row(const std::int16_t *upper, const std::int16_t *lower,
                    const std::int16_t *below, std::size_t cells, std::int32_t *out) {
  const std::size_t step = rounded_up(cells, kLanes);
  for (std::size_t c = 0; c < cells; c += kLanes) {
    const __m256i u = steps_at(upper, 2 * c), l = steps_at(lower, 2 * c);
    const __m256i beside_u = steps_at(upper, 2 * c + 1), beside_l = steps_at(lower, 2 * c + 1);
    store(out + c, _mm256_add_epi32(pairs(u), pairs(l)));
    store(out + step + c, _mm256_add_epi32(_mm256_madd_epi16(u, u), _mm256_madd_epi16(l, l)));
    store(out + 2 * step + c, _mm256_add_epi32(distances(beside_u, u), distances(beside_l, l)));
    store(out + 3 * step + c,
          _mm256_add_epi32(distances(l, u), distances(steps_at(below, 2 * c), l)));
  }
}

void place_level_row(const std::int32_t *const *rows, std::size_t cells, const float *slopes,
                     std::int32_t *room, float *levels, float *directions) {
  const std::size_t step = rounded_up(cells, kLanes);
  std::int32_t *const wide = room + 2 * step, *const sums = room, *const squares = room + step;
  add_nine(rows, 0, cells, wide, sums);
  add_nine(rows, step, cells, wide, squares);
  for (std::size_t c = 0; c < cells; c += kLanes) {
    const __m256i sum = ints_at(sums + c), square = ints_at(squares + c);
    const __m256 v = _mm256_set_m128(
        variances(_mm256_extracti128_si256(sum, 1), _mm256_extracti128_si256(square, 1)),
        variances(_mm256_castsi256_si128(sum), _mm256_castsi256_si128(square)));
    __m256 level = _mm256_setzero_ps();
    for (std::size_t k = 0; k < kPlaceLevels - 1; ++k) {
      const __m256 passed = _mm256_mul_ps(v, _mm256_set1_ps(slopes[k]));
      level = _mm256_add_ps(
          level, within(_mm256_sub_ps(passed, _mm256_set1_ps(kPlaceRamp - 0.5f)), 0, 1));
    }
    _mm256_storeu_ps(levels + c, level);
  }
  std::int32_t *const along_rows = room, *const along_columns = room + step;
  add_nine(rows, 2 * step, cells, wide, along_rows);
  add_nine(rows, 3 * step, cells, wide, along_columns);
  for (std::size_t c = 0; c < cells; c += kLanes) {
    const __m256 a = _mm256_cvtepi32_ps(ints_at(along_rows + c));
    const __m256 b = _mm256_cvtepi32_ps(ints_at(along_columns + c));
    _mm256_storeu_ps(directions + c, _mm256_sub_ps(twice(a, b), twice(b, a)));
  }
}

void place_near_row(const float *const *rows, std::size_t count, std::size_t cells, float *room,
                    float *out) {
  // What lies behind the last cell is zero, in whole vectors.
  float *const first = room + kPlaceNear;
  const std::size_t padded = rounded_up(cells, kLanes);
  for (std::size_t c = 0; c < padded; c += kLanes) {
    __m256 most = _mm256_loadu_ps(rows[0] + c);
    for (std::size_t r = 1; r < count; ++r) most = _mm256_max_ps(most, _mm256_loadu_ps(rows[r] + c));
    _mm256_storeu_ps(first + c, most);
  }
  for (std::size_t c = 0; c < kPlaceNear; ++c) room[c] = 0;
  for (std::size_t c = cells; c < padded + kPlaceNear; ++c) first[c] = 0;
  for (std::size_t c = 0; c < padded; c += kLanes) {
    __m256 most = _mm256_loadu_ps(room + c);
    for (std::size_t k = 1; k <= 2 * kPlaceNear; ++k)
      most = _mm256_max_ps(most, _mm256_loadu_ps(room + c + k));
    _mm256_storeu_ps(out + c, most);
  }
}

void filter_place_row(const float *luma, std::size_t step, const PlaceRow &places,
                      const PlaceSets &sets, const PlaceColours *colours, std::size_t cells,
                      float *added) {
  const __m256 most = _mm256_set1_ps(sets.clip), least = _mm256_set1_ps(-sets.clip);
  BlendedTaps blended(sets, colours ? kPlaceSet : kPlaceLumaSet);
  constexpr std::size_t kMiddleTap = kPlaceTaps / 2;
  const auto put = [&](std::size_t row, std::size_t c, __m128 sums) {
    float *const first = added + 2 * (2 * row * cells + c);
    _mm_storel_pi(reinterpret_cast<__m64 *>(first), sums);
    _mm_storeh_pi(reinterpret_cast<__m64 *>(first + 2 * cells), sums);
  };
  std::int32_t kinds[kLanes];
  for (std::size_t c = 0; c < cells; ++c) {
    if (c % kLanes == 0)
      store(kinds, kinds_of(_mm256_loadu_ps(places.here + c), _mm256_loadu_ps(places.near + c),
                            _mm256_loadu_ps(places.directions + c)));
    const std::int32_t kind = kinds[c % kLanes];
    const Set set = kind >= 0
                        ? blended.of(kind)
                        : blended.at(places.here[c], places.near[c], places.directions[c]);
    __m128 whole = _mm_setzero_ps();
    __m256 both = _mm256_setzero_ps();
    if (set.used & kUsesLuma) whole = filter_cell(luma + 2 * c, step, set.taps, most, least);
    if (set.used & kUsesColours) both = filter_colours(*colours, 2 * c, set.taps + kPlaceLumaSet);
    __m128 first = _mm256_castps256_ps128(both), second = _mm256_extractf128_ps(both, 1);
    if (set.used & kUsesGuides) {
      const float *const weights = set.taps + kPlaceLumaSet + kPlaceColourSet;
      const float *const here = colours->rows + colours->step + 1 + 2 * c;
      const Guided guided = guide(*colours, c, weights);
      const __m128 own = _mm_sub_ps(pixels_at(luma + kMiddleTap * (step + 1) + 2 * c, step),
                                    _mm_set1_ps(kMiddle));
      const __m128 ones = pixels_at(here, colours->step);
      const __m128 others = pixels_at(here + colours->plane, colours->step);
      whole = _mm_add_ps(whole, guided.added<0>(own, own));
      first = _mm_add_ps(first, guided.added<1>(own, ones));
      second = _mm_add_ps(second, guided.added<2>(own, others));
    }
    put(0, c, whole);
    if (colours == nullptr) continue;
    put(1, c, first);
    put(2, c, second);
  }
}

void place_colour_row(const float *x, std::size_t plane, float *out, std::size_t out_plane,
                      std::size_t width) {
  const float *const green = x + plane, *const blue = x + 2 * plane;
  float *const first = out + 1, *const second = out + out_plane + 1;
#pragma GCC ivdep
  for (std::size_t c = 0; c < width; ++c) {
    first[c] = (x[c] - blue[c]) * kRedBlue;
    second[c] = (x[c] - 2 * green[c] + blue[c]) * kGreen;
  }
  for (float *const row : {first, second}) {
    row[-1] = row[0];
    row[width] = row[width + 1] = row[width - 1];
  }
}

void place_moment_row(const float *x, std::size_t plane, std::size_t width, float *room, float *out,
                      std::size_t out_step) {
  const float *const green = x + plane, *const blue = x + 2 * plane;
  float *const y = room, *const u = y + width, *const v = u + width;
  float *const yy = v + width, *const yu = yy + width, *const yv = yu + width;
#pragma GCC ivdep
  for (std::size_t c = 0; c < width; ++c) {
    float l[2], a[2], b[2];
    for (std::size_t r = 0; r < 2; ++r) {
      const std::size_t at = r * width + c;
      l[r] = (x[at] + green[at] + blue[at]) * kWhole - kMiddle;
      a[r] = (x[at] - blue[at]) * kRedBlue;
      b[r] = (x[at] - 2 * green[at] + blue[at]) * kGreen;
    }
    y[c] = l[0] + l[1];
    u[c] = a[0] + a[1];
    v[c] = b[0] + b[1];
    yy[c] = l[0] * l[0] + l[1] * l[1];
    yu[c] = l[0] * a[0] + l[1] * a[1];
    yv[c] = l[0] * b[0] + l[1] * b[1];
  }
  for (std::size_t m = 0; m < kPlaceMoments; ++m)
    for (std::size_t c = 0; c < width / 2; ++c)
      out[m * out_step + c] = room[m * width + 2 * c] + room[m * width + 2 * c + 1];
}

void mean_moment_row(const float *const *rows, std::size_t cells, float *room, float *out) {
  float *const first = room + kPlaceWide, *const small = first + cells + kPlaceWide;
  const auto edged = [&] {
    for (std::size_t k = 1; k <= kPlaceWide; ++k) {
      room[kPlaceWide - k] = first[0];
      first[cells - 1 + k] = first[cells - 1];
    }
  };
  for (std::size_t c = 0; c < cells; ++c) first[c] = rows[1][c] + rows[2][c] + rows[3][c];
  edged();
  for (std::size_t c = 0; c < cells; ++c)
    small[c] = (room[c + 1] + room[c + 2] + room[c + 3]) * (1 / 36.0f);
  for (std::size_t c = 0; c < cells; ++c) first[c] += rows[0][c] + rows[4][c];
  edged();
  for (std::size_t c = 0; c < cells; ++c) {
    out[2 * c] = small[c];
    out[2 * c + 1] =
        (room[c] + room[c + 1] + room[c + 2] + room[c + 3] + room[c + 4]) * (1 / 100.0f);
  }
}

void add_luma_row(const float *x, const float *added, float *out, std::size_t width) {
  for (std::size_t c = 0; c < width; ++c) out[c] = x[c] + added[c] * kWhole;
}

void add_colour_row(const float *x, const float *added, std::size_t added_plane, float *out,
                    std::size_t plane, std::size_t width) {
  const float *const first = added + added_plane, *const second = first + added_plane;
#pragma GCC ivdep
  for (std::size_t c = 0; c < width; ++c) {
    const float whole = added[c] * kWhole, tilt = first[c] * kRedBlue, green = second[c] * kGreen;
    out[c] = x[c] + (whole + tilt + green);
    out[plane + c] = x[plane + c] + (whole - 2 * green);
    out[2 * plane + c] = x[2 * plane + c] + (whole - tilt + green);
  }
}

}  // namespace kodec
