// k-means, what is held out to choose a scale, and the smallest scale that covers.   SPDX-License-Identifier: Apache-2.0
#include "rewards/pseudo_ood.h"

#include <cmath>
#include <limits>

#include "fitted.h"

namespace plumb::rewards {
using namespace test;

TEST_CASE("kmeans: finds clusters that lie apart, by the seed alone") {
  const at::Tensor x = Points(90).items.to(at::kDouble);
  const at::Tensor centres = kmeans(x, 3, 1), sorted = std::get<0>(centres.select(1, 0).sort());
  CHECK(largest_difference(sorted, at::tensor({-3.0, 0.0, 3.0}, at::kDouble)) < 0.3);
  CHECK(at::equal(centres, kmeans(x, 3, 1)));
  const at::Tensor nearest = nearest_centre(x, centres);
  for (int64_t i = 3; i < 90; ++i) CHECK(nearest[i].item<int64_t>() == nearest[i % 3].item<int64_t>());
  for (int64_t j = 0; j < 3; ++j) {   // each centre is the mean of its items
    CHECK(largest_difference(x.index_select(0, (nearest == j).nonzero().squeeze(1)).mean(0), centres[j]) < 1e-12);
  }
  CHECK(kmeans(at::zeros({5, 2}, at::kDouble), 3, 1).abs().max().item<double>() == 0);   // all the same
  CHECK(exit_of([&] { kmeans(x.narrow(0, 0, 2), 3, 1); }) == Exit::kBadInput);
}

TEST_CASE("smallest_scale: the order statistic of |error| / g") {
  const at::Tensor mean = at::zeros({5}, at::kDouble), g = at::full({5}, 2.0, at::kDouble);
  const at::Tensor target = at::tensor({2.0, -4.0, 6.0, 8.0, 0.0}, at::kDouble);   // ratios 1 2 3 4 0
  CHECK(smallest_scale(mean, g, target, 0.2) == 0);
  CHECK(smallest_scale(mean, g, target, 0.8) == 3);
  CHECK(smallest_scale(mean, g, target, 0.81) == 4);
  CHECK(smallest_scale(mean, g, target, 1) == 4);
  CHECK(std::isinf(smallest_scale(mean, at::zeros({5}, at::kDouble), target, 0.5)));
  CHECK(smallest_scale(mean, at::zeros({5}, at::kDouble), mean, 1) == 0);   // no error, no uncertainty
}

TEST_CASE("hold_out_extremes: the top tenth and the best cluster, from both sides of the split") {
  const Points points(200);
  Fit run(points, quick_fit("none"));
  const PseudoOod extremes = hold_out_extremes(*run.rows, *run.codec, run.target, run.chosen.split, 3, 1);
  CHECK(extremes.top == 20);
  CHECK(extremes.cluster == 66);   // i % 3 == 2
  CHECK(extremes.held.size() == 66);
  CHECK(extremes.held.size() + extremes.rest.train.size() + extremes.rest.held_out.size() == 200);
  for (const int64_t row : extremes.held) CHECK(row % 3 == 2);
  const at::Tensor height = points.items.select(1, 1).to(at::kDouble);   // its top tenth is spread over all clusters
  const PseudoOod mixed = hold_out_extremes(*run.rows, *run.codec, height, run.chosen.split, 3, 1);
  CHECK(mixed.held.size() > static_cast<size_t>(mixed.cluster));
  CHECK(mixed.held.size() <= static_cast<size_t>(mixed.cluster + mixed.top));
  for (const int64_t row : mixed.rest.train) CHECK(height[row].item<double>() < mixed.threshold);
  const at::Tensor tied = (height > 0).to(at::kDouble);   // about half of the items share the highest target: still a tenth of all
  const PseudoOod drawn = hold_out_extremes(*run.rows, *run.codec, tied, run.chosen.split, 3, 1);
  CHECK(drawn.top == 20);
  CHECK(drawn.threshold == 1);
  CHECK(drawn.held != hold_out_extremes(*run.rows, *run.codec, tied, run.chosen.split, 3, 2).held);   // which of them, the seed says
}

}  // namespace plumb::rewards
