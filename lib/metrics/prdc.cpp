// SPDX-License-Identifier: Apache-2.0
#include "metrics/prdc.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/registry.h"
#include "metrics/nearest.h"

namespace plumb::metrics {
namespace {

/// Balls around the items of one side, and whose they are: precision, recall, density and coverage each ask which pairs (sample,
/// reference item) are nearer than a radius.
enum class Ball { kPrecision, kRecall, kDensity };

/// A pair whose float32 distance is too near a radius to say on which side of it.
struct Close {
  int64_t sample, item;
  Ball ball;
};

/// What is found out about every item.
struct Hits {
  Tensor precise, recalled, covered;  // [N], [M], [M] uint8
  Tensor balls;                       // [N] int64: density balls of the reference around each sample
  void note(int64_t sample, int64_t item, Ball ball) {
    if (ball == Ball::kPrecision) precise.data_ptr<uint8_t>()[sample] = 1;
    if (ball == Ball::kRecall) recalled.data_ptr<uint8_t>()[item] = 1;
    if (ball != Ball::kDensity) return;
    covered.data_ptr<uint8_t>()[item] = 1;
    ++balls.data_ptr<int64_t>()[sample];
  }
};

/// Squared radii, float32.
struct Radii {
  Tensor precision, density;  // [M], of the reference
  Tensor recall;              // [N], of the samples
};

/// Notes the pairs of a block that are inside a ball for certain; returns those that float64 must decide.
std::vector<Close> find_inside(const DistanceBlocks& blocks, int64_t i, int64_t j, const Tensor& squared, const Radii& radii, Hits& hits) {
  constexpr float kRadiusRounding = 2.4e-7f;  // the radii are rounded to float32 too
  const int64_t m = squared.size(1);
  const float* const distance = squared.const_data_ptr<float>();
  const float* const x_norm = blocks.x_norms().const_data_ptr<float>() + i;
  const float* const y_norm = blocks.y_norms().const_data_ptr<float>() + j;
  const float* const precision = radii.precision.const_data_ptr<float>() + j;
  const float* const density = radii.density.const_data_ptr<float>() + j;
  const float* const recall = radii.recall.const_data_ptr<float>() + i;
  std::vector<Close> close;
  std::mutex mutex;
  at::parallel_for(0, squared.size(0), 64, [&](int64_t begin, int64_t end) {
    std::vector<Close> near;
    std::vector<uint8_t> recalled_here(static_cast<size_t>(m)), covered_here(static_cast<size_t>(m));
    uint8_t* const precise = hits.precise.data_ptr<uint8_t>() + i;
    int64_t* const balls = hits.balls.data_ptr<int64_t>() + i;
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c < m; ++c) {
        const float off = blocks.rounding() * (x_norm[r] + y_norm[c]), d = distance[r * m + c];
        const float widest = std::max(std::max(precision[c], density[c]), recall[r]);
        if (d > widest + off + kRadiusRounding * widest) continue;  // nearly all pairs
        const auto inside = [&](float radius, Ball ball) {
          const float gap = d - radius, slack = off + kRadiusRounding * radius;
          if (std::abs(gap) <= slack) near.push_back({i + r, j + c, ball});
          return gap < -slack;
        };
        if (inside(precision[c], Ball::kPrecision)) precise[r] = 1;
        if (inside(recall[r], Ball::kRecall)) recalled_here[static_cast<size_t>(c)] = 1;
        if (inside(density[c], Ball::kDensity)) {
          covered_here[static_cast<size_t>(c)] = 1;
          ++balls[r];
        }
      }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    close.insert(close.end(), near.begin(), near.end());
    uint8_t* const all_recalled = hits.recalled.data_ptr<uint8_t>() + j;
    uint8_t* const all_covered = hits.covered.data_ptr<uint8_t>() + j;
    for (int64_t c = 0; c < m; ++c) {
      if (recalled_here[static_cast<size_t>(c)]) all_recalled[c] = 1;
      if (covered_here[static_cast<size_t>(c)]) all_covered[c] = 1;
    }
  });
  return close;
}

Tensor squares(const Tensor& radius) { return radius.square().to(at::kFloat).contiguous(); }

/// wanted: options and how many neighbours they ask for among n items.
void check_count(int64_t n, const std::string& who, const std::vector<std::pair<std::string, int64_t>>& wanted) {
  std::vector<std::string> binding;
  int64_t most = 0;
  for (const auto& [option, k] : wanted) {
    if (n > k) continue;
    binding.push_back(option);
    most = std::max(most, k);
  }
  if (binding.empty()) return;
  throw NotApplicable(Exit::kBadNumbers, "prdc", cat(who, ": ", n, " items for ", most, " neighbours"), "give more, or lower " + join(binding, " and "));
}

}  // namespace

PrdcResult prdc(const Tensor& samples, const Tensor& reference, const PrdcOptions& options) {
  const int64_t kp = options.precision_k, kd = options.density_k, k = std::max(kp, kd);
  check_count(samples.size(0), "samples", {{"--prdc.precision-k", kp}});
  check_count(reference.size(0), "reference", {{"--prdc.precision-k", kp}, {"--prdc.density-k", kd}});
  const Tensor reference_radii = nearest_within(reference, k).distance;                 // [M,k]
  const Tensor sample_radius = nearest_within(samples, kp).distance.select(1, kp - 1).contiguous();  // [N]
  const Tensor precision_radius = reference_radii.select(1, kp - 1).contiguous();        // [M]
  const Tensor density_radius = reference_radii.select(1, kd - 1).contiguous();          // [M]
  const int64_t n = samples.size(0), m = reference.size(0);
  const Radii radii{squares(precision_radius), squares(density_radius), squares(sample_radius)};
  Hits hits{at::zeros({n}, at::kByte), at::zeros({m}, at::kByte), at::zeros({m}, at::kByte), at::zeros({n}, at::kLong)};
  const DistanceBlocks blocks(samples, samples.is_same(reference) ? reference.alias() : reference);
  blocks.each([&](int64_t i, int64_t j, const Tensor& squared) {
    const std::vector<Close> close = find_inside(blocks, i, j, squared, radii, hits);
    if (close.empty()) return;
    std::vector<int64_t> rows, columns;
    for (const Close& pair : close) {
      rows.push_back(pair.sample);
      columns.push_back(pair.item);
    }
    const Tensor exact = blocks.exact(at::tensor(rows, at::kLong), at::tensor(columns, at::kLong));
    for (size_t p = 0; p < close.size(); ++p) {
      const Ball ball = close[p].ball;
      const Tensor& radius = ball == Ball::kPrecision ? precision_radius : ball == Ball::kDensity ? density_radius : sample_radius;
      const int64_t owner = ball == Ball::kRecall ? close[p].sample : close[p].item;
      const double distance = exact.const_data_ptr<double>()[p];
      const double reach = radius.const_data_ptr<double>()[owner];
      const bool inside = ball == Ball::kDensity ? distance < reach || distance == 0 : distance <= reach;
      if (inside) hits.note(close[p].sample, close[p].item, ball);
    }
  });
  const auto share = [](const Tensor& hit) { return hit.to(at::kDouble).mean().item<double>(); };
  PrdcResult out;
  out.precision = share(hits.precise);
  out.recall = share(hits.recalled);
  out.coverage = share(hits.covered);
  const Tensor density = hits.balls.to(at::kDouble) / static_cast<double>(kd);  // [N]
  out.density = density.mean().item<double>();
  out.density_deviation = n > 1 ? density.std(0, true).item<double>() : 0;
  out.n = n;
  out.n_reference = m;
  out.precision_k = kp;
  out.density_k = kd;
  return out;
}

Interval PrdcResult::precision_interval() const { return share_interval(precision, n); }
Interval PrdcResult::recall_interval() const { return share_interval(recall, n_reference); }
Interval PrdcResult::coverage_interval() const { return share_interval(coverage, n_reference); }
Interval PrdcResult::density_interval() const {
  Interval out = normal_interval(density, density_deviation / std::sqrt(static_cast<double>(n)));
  out.low = std::max(0.0, out.low);
  return out;
}

io::Json PrdcResult::to_json() const {
  io::Json out{{"precision", precision}, {"recall", recall}, {"density", density}, {"coverage", coverage},
               {"precision_k", precision_k}, {"density_k", density_k}, {"n", n}, {"n_reference", n_reference}};
  add_interval(out, "precision", precision_interval());
  add_interval(out, "recall", recall_interval());
  add_interval(out, "density", density_interval());
  add_interval(out, "coverage", coverage_interval());
  return out;
}

io::Json prdc_metric(const MetricInput& in, const Settings& settings) {
  return prdc(in.samples.features, in.reference_features("prdc").features, settings.prdc).to_json();
}

}  // namespace plumb::metrics
