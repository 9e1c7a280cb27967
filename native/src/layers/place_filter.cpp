// Filters whose taps follow the kind of place: luma, then kinds, then the sums.
#include <algorithm>
#include <cstdint>
#include <cstring>
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
void filter_place_row(const float *, std::size_t, const PlaceRow &, const float *,
                      const unsigned char *, float, std::size_t, float *) {}
void add_luma_row(const float *, const float *, float *, std::size_t) {}
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

void filter_places(const float *x, const float *taps, float clip, float *out, std::size_t height,
                   std::size_t width, std::size_t threads) {
  const std::size_t each = 2 * kPlaceTaps * kPlaceColumns, plane = height * width;
  std::vector<float> own(taps, taps + kPlaceKinds * each);
  unsigned char used[kPlaceKinds];
  for (std::size_t kind = 0; kind < kPlaceKinds; ++kind) {
    float *const first = own.data() + kind * each;
    for (std::size_t row = 0; row < 2 * kPlaceTaps; ++row) first[row * kPlaceColumns + 7] = 0;
    used[kind] = std::any_of(first, first + each, [](float tap) { return tap != 0; });
  }
  const Places places(x, height, width, threads);
  const std::size_t cells = places.cells();
  const std::size_t room_size = 2 * places.padded() + 2 * kPlaceNear + 2 * width;
  std::vector<std::vector<float>> rooms(std::min(threads, places.rows()),
                                        std::vector<float>(room_size));
  share_tasks(places.rows(), threads, [&](std::size_t row, std::size_t worker) {
    float *const near = rooms[worker].data(), *const added = near + places.padded();
    places.find_near(row, added + 2 * width, near);
    filter_place_row(places.luma(row), places.luma_step(),
                     {places.levels(row), near, places.directions(row)}, own.data(), used, clip,
                     cells, added);
    for (std::size_t component = 0; component < 3; ++component)
      for (std::size_t r = 0; r < 2; ++r) {
        const std::size_t at = component * plane + (2 * row + r) * width;
        add_luma_row(x + at, added + r * width, out + at, width);
      }
  });
}

}  // namespace kodec
