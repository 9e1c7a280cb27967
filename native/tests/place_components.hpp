// What a filter by kinds of place adds to a picture's components, in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "layers/layers.hpp"

namespace kodec {

// Of a cell's kinds the taps `tap` of each, by its shares. each: taps of a kind.
inline double blended(const std::vector<float> &taps, std::size_t each, const float *place, std::size_t cells,
               std::size_t tap) {
  const auto kind_of = [](std::size_t here, std::size_t near, std::size_t direction) {
    return (here * kPlaceLevels + near) * kPlaceDirections + direction;
  };
  const double direction = place[2 * cells], turned = std::fabs(direction);
  double sum = 0;
  for (std::size_t here = 0; here < kPlaceLevels; ++here)
    for (std::size_t near = 0; near < kPlaceLevels; ++near) {
      const double of_here = std::fmax(0.0, 1 - std::fabs(place[0] - double(here)));
      const double of_near = std::fmax(0.0, 1 - std::fabs(place[cells] - double(near)));
      sum += of_here * of_near *
             ((1 - turned) * taps[kind_of(here, near, 2) * each + tap] +
              turned * taps[kind_of(here, near, direction > 0 ? 0 : 1) * each + tap]);
    }
  return sum;
}

// A picture's components in double precision, and what a filter by place adds to them.
class Components {
 public:
  Components(const std::vector<float> &x, std::size_t h, std::size_t w) : h_(h), w_(w), planes_(3 * h * w) {
    const std::size_t plane = h * w;
    for (std::size_t i = 0; i < plane; ++i) {
      const double r = x[i], g = x[plane + i], b = x[2 * plane + i];
      planes_[i] = (r + g + b) / std::sqrt(3.0);
      planes_[plane + i] = (r - b) / std::sqrt(2.0);
      planes_[2 * plane + i] = (r - 2 * g + b) / std::sqrt(6.0);
    }
  }

  // Of the component `c` at pixel (y, z), or the nearest there is.
  double at(std::size_t c, std::ptrdiff_t y, std::ptrdiff_t z) const {
    return planes_[(c * h_ + std::size_t(inside(y, h_))) * w_ + std::size_t(inside(z, w_))];
  }

  // By taps of neighbours up to `reach` away: tap(r, c, clipped).
  template <typename Tap>
  double by_taps(std::size_t component, std::size_t i, std::ptrdiff_t reach, double clip,
                 const Tap &tap) const {
    const std::ptrdiff_t y = std::ptrdiff_t(i / w_), z = std::ptrdiff_t(i % w_);
    double sum = 0;
    for (std::ptrdiff_t r = -reach; r <= reach; ++r)
      for (std::ptrdiff_t c = -reach; c <= reach; ++c) {
        const double difference = at(component, y + r, z + c) - at(component, y, z);
        const double bounded = std::fmin(std::fmax(difference, -clip), clip);
        sum += difference * tap(std::size_t(r + reach), std::size_t(c + reach), 0) +
               bounded * tap(std::size_t(r + reach), std::size_t(c + reach), 1);
      }
    return sum;
  }

  // How far pixel i is from its regression on luma over cells up to `reach` away.
  double lacks(std::size_t component, std::size_t i, std::ptrdiff_t reach, double floor) const {
    const std::ptrdiff_t y = std::ptrdiff_t(i / w_) / 2, z = std::ptrdiff_t(i % w_) / 2;
    double luma = 0, own = 0, square = 0, product = 0, count = 0;
    for (std::ptrdiff_t r = y - reach; r <= y + reach; ++r)
      for (std::ptrdiff_t c = z - reach; c <= z + reach; ++c)
        for (std::ptrdiff_t p = 0; p < 4; ++p, ++count) {
          const std::ptrdiff_t row = 2 * inside(r, h_ / 2) + p / 2;
          const std::ptrdiff_t column = 2 * inside(c, w_ / 2) + p % 2;
          const double l = at(0, row, column), o = at(component, row, column);
          luma += l;
          own += o;
          square += l * l;
          product += l * o;
        }
    luma /= count;
    own /= count;
    const double variance = square / count - luma * luma;
    const double slope = (product / count - luma * own) / (variance + floor);
    return slope * (planes_[i] - luma) + own - planes_[component * h_ * w_ + i];
  }

 private:
  static std::ptrdiff_t inside(std::ptrdiff_t k, std::size_t end) {
    return std::min(std::max<std::ptrdiff_t>(k, 0), std::ptrdiff_t(end) - 1);
  }

  std::size_t h_, w_;
  std::vector<double> planes_;
};

}  // namespace kodec
