// Filters whose taps follow the kind of place: luma, then kinds, then the sums.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <optional>
#include <vector>

#include "buffer.hpp"
#include "layer_kernels.hpp"
#include "layers.hpp"
#include "tasks.hpp"

namespace kodec {

#if !defined(KODEC_X86_LAYERS)
void place_luma_row(const float *, std::size_t, float *, std::int16_t *, std::size_t) {}
void place_cell_row(const std::int16_t *, const std::int16_t *, const std::int16_t *, std::size_t,
                    std::int32_t *) {}
void place_level_row(const std::int32_t *const *, std::size_t, const float *, std::int32_t *,
                     float *, float *) {}
void place_near_row(const float *const *, std::size_t, std::size_t, float *, float *) {}
void filter_place_row(const float *, std::size_t, const PlaceRow &, const PlaceSets &,
                      const PlaceColours *, std::size_t, float *) {}
void add_luma_row(const float *, const float *, float *, std::size_t) {}
void place_colour_row(const float *, std::size_t, float *, std::size_t, std::size_t) {}
void place_moment_row(const float *, std::size_t, std::size_t, float *, float *, std::size_t) {}
void mean_moment_row(const float *const *, std::size_t, float *, float *) {}
void add_colour_row(const float *, const float *, std::size_t, float *, std::size_t, std::size_t) {}
#endif

namespace {

constexpr std::size_t kReach = kPlaceTaps / 2;
// Rows of cells at a time, whose sums take part in those of two rows more.
constexpr std::size_t kRows = 8;
constexpr double kSpreads[] = {2 / 255.0, 6 / 255.0, 16 / 255.0};

// What is known of all places of a picture, before any is filtered.
class Places {
 public:
  Places(const float *x, std::size_t height, std::size_t width, std::size_t threads)
      : rows_(height / 2),
        cells_(width / 2),
        padded_(rounded_up(cells_, kPlaceLanes)),
        step_(width + 2 * kReach + 1),
        luma_((height + 2 * kReach) * step_),
        levels_(rows_ * padded_),
        directions_(rows_ * padded_) {
    // A row of steps has what whole vectors of cells read behind its end.
    const std::size_t steps_step = rounded_up(width, 2 * kPlaceLanes) + 2 * kPlaceLanes;
    const Buffer room(height * steps_step / 2);
    std::int16_t *const steps = reinterpret_cast<std::int16_t *>(room.data());
    share_tasks(height, threads, [&](std::size_t y, std::size_t) {
      std::int16_t *const own = steps + y * steps_step;
      float *const row = luma_.data() + (y + kReach) * step_;
      std::fill_n(own + width, steps_step - width, std::int16_t(0));
      place_luma_row(x + y * width, height * width, row + kReach, own, width);
      std::fill_n(row, kReach, row[kReach]);
      std::fill_n(row + kReach + width, kReach + 1, row[kReach + width - 1]);
    });
    for (std::size_t r = 0; r < kReach; ++r) {
      std::memcpy(luma_.data() + r * step_, luma_.data() + kReach * step_, step_ * sizeof(float));
      std::memcpy(luma_.data() + (height + kReach + r) * step_,
                  luma_.data() + (height + kReach - 1) * step_, step_ * sizeof(float));
    }
    find_levels(steps, steps_step, threads);
  }

  std::size_t rows() const { return rows_; }
  std::size_t cells() const { return cells_; }
  std::size_t padded() const { return padded_; }
  std::size_t luma_step() const { return step_; }

  // Neighbours of a row of cells.
  const float *luma(std::size_t row) const { return luma_.data() + 2 * row * step_; }
  const float *levels(std::size_t row) const { return levels_.data() + row * padded_; }
  const float *directions(std::size_t row) const { return directions_.data() + row * padded_; }

  // In whole vectors of cells; room: for 2 kPlaceNear more.
  void find_near(std::size_t row, float *room, float *out) const {
    const float *seen[2 * kPlaceNear + 1];
    std::size_t count = 0;
    const std::size_t first = row - std::min(row, kPlaceNear);
    for (std::size_t r = first; r <= std::min(row + kPlaceNear, rows_ - 1); ++r)
      seen[count++] = levels(r);
    place_near_row(seen, count, cells_, room, out);
  }

 private:
  void find_levels(const std::int16_t *steps, std::size_t steps_step, std::size_t threads) {
    float slopes[kPlaceLevels - 1];
    for (std::size_t k = 0; k < kPlaceLevels - 1; ++k) {
      const double bound = kSpreads[k] * kPlaceSteps * 36;
      slopes[k] = float(kPlaceRamp / (bound * bound));
    }
    const std::size_t row_step = 4 * padded_;
    const std::size_t parts = (rows_ + kRows - 1) / kRows;
    const std::size_t each = (kRows + 3) * row_step;
    std::vector<std::vector<std::int32_t>> rooms(std::min(threads, parts),
                                                 std::vector<std::int32_t>(each));
    share_tasks(parts, threads, [&](std::size_t part, std::size_t worker) {
      std::int32_t *const sums = rooms[worker].data();
      const std::size_t first = part * kRows, count = std::min(kRows, rows_ - first);
      for (std::size_t r = 0; r < count + 2; ++r) {
        const std::size_t row = std::min(std::max<std::size_t>(first + r, 1) - 1, rows_ - 1);
        const std::int16_t *const upper = steps + 2 * row * steps_step;
        const std::int16_t *const lower = upper + steps_step;
        place_cell_row(upper, lower, row + 1 < rows_ ? lower + steps_step : lower, cells_,
                       sums + r * row_step);
      }
      for (std::size_t r = 0; r < count; ++r) {
        const std::int32_t *const seen[] = {sums + r * row_step, sums + (r + 1) * row_step,
                                            sums + (r + 2) * row_step};
        const std::size_t at = (first + r) * padded_;
        place_level_row(seen, cells_, slopes, sums + (kRows + 2) * row_step, levels_.data() + at,
                        directions_.data() + at);
      }
    });
  }

  std::size_t rows_, cells_, padded_, step_;
  Buffer luma_, levels_, directions_;
};

// Sums over cells of luma, colours and their products, and what the filter sees around a row.
class Colours {
 public:
  Colours(const float *x, std::size_t height, std::size_t width, const ColourTaps &taps,
          std::size_t threads)
      : x_(x), height_(height), width_(width), taps_(taps), rows_(height / 2),
        sums_(rows_ * kPlaceMoments * cells()) {
    std::vector<std::vector<float>> rooms(std::min(threads, rows_),
                                          std::vector<float>(kPlaceMoments * width));
    share_tasks(rows_, threads, [&](std::size_t row, std::size_t worker) {
      place_moment_row(x + 2 * row * width, height * width, width, rooms[worker].data(),
                       sums_.data() + row * kPlaceMoments * cells(), cells());
    });
  }

  // Floats that `around` needs.
  std::size_t room() const {
    return 2 * plane() + 2 * kPlaceMoments * cells() + 2 * cells() + 2 * kPlaceWide;
  }

  PlaceColours around(std::size_t row, float *room) const {
    float *const moments = room + 2 * plane(), *const wide = moments + 2 * kPlaceMoments * cells();
    for (std::size_t r = 0; r <= kPlaceColourTaps; ++r) {
      const std::size_t y = moved(2 * row + r, 1, height_);
      place_colour_row(x_ + y * width_, height_ * width_, room + r * step(), plane(), width_);
    }
    for (std::size_t m = 0; m < kPlaceMoments; ++m) {
      const float *seen[2 * kPlaceWide + 1];
      for (std::size_t r = 0; r <= 2 * kPlaceWide; ++r)
        seen[r] = sums_.data() + (moved(row + r, kPlaceWide, rows_) * kPlaceMoments + m) * cells();
      mean_moment_row(seen, cells(), wide, moments + 2 * m * cells());
    }
    return {room, step(), plane(), moments, cells(), {taps_.clips[0], taps_.clips[1]},
            {taps_.floors[0], taps_.floors[1]}};
  }

 private:
  // `to` less `by`, within 0 and end.
  static std::size_t moved(std::size_t to, std::size_t by, std::size_t end) {
    return std::min(std::max(to, by) - by, end - 1);
  }
  std::size_t cells() const { return width_ / 2; }
  std::size_t step() const { return width_ + 3; }
  std::size_t plane() const { return (kPlaceColourTaps + 1) * step(); }

  const float *x_;
  std::size_t height_, width_;
  const ColourTaps &taps_;
  std::size_t rows_;
  Buffer sums_;
};

// All kinds' taps and weights, in one place, and what each uses.
class Sets {
 public:
  Sets(const float *taps, const ColourTaps *colours) : sets_(kPlaceKinds * kPlaceSet) {
    for (std::size_t kind = 0; kind < kPlaceKinds; ++kind) {
      float *const own = sets_.data() + kind * kPlaceSet;
      std::copy_n(taps + kind * kPlaceLumaSet, kPlaceLumaSet, own);
      for (std::size_t row = 0; row < 2 * kPlaceTaps; ++row) own[row * kPlaceColumns + 7] = 0;
      used_[kind] = any(own, kPlaceLumaSet) ? kUsesLuma : 0;
      if (colours == nullptr) continue;
      float *const more = own + kPlaceLumaSet, *const weights = more + kPlaceColourSet;
      std::copy_n(colours->taps + kind * kPlaceColourSet, kPlaceColourSet, more);
      for (std::size_t k = 3; k < kPlaceColourSet; k += 4) more[k] = 0;
      std::copy_n(colours->weights + kind * 3 * kPlaceGuides, 3 * kPlaceGuides, weights);
      for (std::size_t k = 0; k < 3; ++k)
        weights[3 * kPlaceGuides + k] = std::accumulate(
            weights + k * kPlaceGuides, weights + (k + 1) * kPlaceGuides, 0.0f);
      if (any(more, kPlaceColourSet)) used_[kind] |= kUsesColours;
      if (any(weights, 3 * kPlaceGuides)) used_[kind] |= kUsesGuides;
    }
  }

  PlaceSets with_clip(float clip) const { return {sets_.data(), used_, clip}; }

 private:
  static bool any(const float *first, std::size_t count) {
    return std::any_of(first, first + count, [](float tap) { return tap != 0; });
  }

  std::vector<float> sets_;
  unsigned char used_[kPlaceKinds];
};

}  // namespace

void find_places(const float *x, float *out, std::size_t height, std::size_t width,
                 std::size_t threads) {
  const Places places(x, height, width, threads);
  const std::size_t cells = places.cells(), all = places.rows() * cells;
  std::vector<float> near(places.padded()), room(places.padded() + 2 * kPlaceNear);
  for (std::size_t row = 0; row < places.rows(); ++row) {
    places.find_near(row, room.data(), near.data());
    float *const to = out + row * cells;
    std::copy_n(places.levels(row), cells, to);
    std::copy_n(near.data(), cells, to + all);
    std::copy_n(places.directions(row), cells, to + 2 * all);
  }
}

void filter_places(const float *x, const float *taps, float clip, const ColourTaps *colours,
                   float *out, std::size_t height, std::size_t width, std::size_t threads) {
  const std::size_t plane = height * width, planes = colours ? 3 : 1;
  const Sets sets(taps, colours);
  const Places places(x, height, width, threads);
  std::optional<Colours> around;
  if (colours != nullptr) around.emplace(x, height, width, *colours, threads);
  const std::size_t cells = places.cells();
  const std::size_t own_size = 2 * places.padded() + 2 * kPlaceNear + 2 * planes * width;
  std::vector<std::vector<float>> rooms(
      std::min(threads, places.rows()),
      std::vector<float>(own_size + (around ? around->room() : 0)));
  share_tasks(places.rows(), threads, [&](std::size_t row, std::size_t worker) {
    float *const near = rooms[worker].data(), *const added = near + places.padded();
    places.find_near(row, added + 2 * planes * width, near);
    PlaceColours seen{};
    if (around) seen = around->around(row, near + own_size);
    filter_place_row(places.luma(row), places.luma_step(),
                     {places.levels(row), near, places.directions(row)}, sets.with_clip(clip),
                     around ? &seen : nullptr, cells, added);
    for (std::size_t r = 0; r < 2; ++r) {
      const std::size_t at = (2 * row + r) * width;
      if (around) {
        add_colour_row(x + at, added + r * width, 2 * width, out + at, plane, width);
        continue;
      }
      for (std::size_t c = 0; c < 3; ++c)
        add_luma_row(x + c * plane + at, added + r * width, out + c * plane + at, width);
    }
  });
}

}  // namespace kodec
