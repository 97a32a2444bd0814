// SPDX-License-Identifier: Apache-2.0
#include "metrics/prdc.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "metrics/registry.h"
#include "metrics/nearest.h"

namespace plumb::metrics {
namespace {

/// Which pairs of a block are nearer than a radius: decided in float32 where that is safe, else in float64.
/// radius broadcasts to the block [bi,bj].
Tensor inside(const DistanceBlocks& blocks, int64_t i, int64_t j, const Tensor& squared, const Tensor& tolerance,
              const Tensor& radius) {
  const Tensor gap = squared - radius.square().to(at::kFloat);
  Tensor out = gap < 0;
  // The radius is rounded to float32 too: one more unit of its square.
  const Tensor slack = tolerance + radius.square().to(at::kFloat) * 2.4e-7;
  const Tensor close = at::nonzero(gap.abs() <= slack);
  if (close.size(0) == 0) return out;
  const Tensor row = close.select(1, 0), column = close.select(1, 1);
  const Tensor r = radius.expand(squared.sizes()).index({row, column});
  out.index_put_({row, column}, blocks.exact(row + i, column + j) < r);
  return out;
}

void check_count(int64_t n, int64_t k, const std::string& who) {
  if (n > k) return;
  throw Error(Exit::kBadNumbers, "prdc", cat(who, ": ", n, " items for ", k, " neighbours"), "give more, or lower --prdc.density-k");
}

}  // namespace

PrdcResult prdc(const Tensor& samples, const Tensor& reference, const PrdcOptions& options) {
  const int64_t kp = options.precision_k, kd = options.density_k, k = std::max(kp, kd);
  check_count(samples.size(0), kp, "samples");
  check_count(reference.size(0), k, "reference");
  const Tensor reference_radii = nearest_within(reference, k).distance;                 // [M,k]
  const Tensor sample_radius = nearest_within(samples, kp).distance.select(1, kp - 1);  // [N]
  const Tensor precision_radius = reference_radii.select(1, kp - 1), density_radius = reference_radii.select(1, kd - 1);
  const int64_t n = samples.size(0), m = reference.size(0);
  Tensor precise = at::zeros({n}, at::kBool), recalled = at::zeros({m}, at::kBool), covered = at::zeros({m}, at::kBool);
  int64_t balls = 0;
  const DistanceBlocks blocks(samples, samples.is_same(reference) ? reference.alias() : reference);
  blocks.each([&](int64_t i, int64_t j, const Tensor& squared) {
    const auto of_samples = [&](const Tensor& t) { return t.slice(0, i, i + squared.size(0)); };
    const auto of_reference = [&](const Tensor& t) { return t.slice(0, j, j + squared.size(1)); };
    const Tensor tolerance = blocks.tolerance(i, j, squared);
    const auto within = [&](const Tensor& radius) { return inside(blocks, i, j, squared, tolerance, radius); };
    of_samples(precise).logical_or_(within(of_reference(precision_radius).unsqueeze(0)).any(1));
    of_reference(recalled).logical_or_(within(of_samples(sample_radius).unsqueeze(1)).any(0));
    const Tensor dense = within(of_reference(density_radius).unsqueeze(0));
    of_reference(covered).logical_or_(dense.any(0));
    balls += dense.sum().item<int64_t>();
  });
  const auto share = [](const Tensor& hit) { return hit.to(at::kDouble).mean().item<double>(); };
  PrdcResult out;
  out.precision = share(precise);
  out.recall = share(recalled);
  out.coverage = share(covered);
  out.density = static_cast<double>(balls) / static_cast<double>(kd) / static_cast<double>(n);
  out.n = n;
  out.n_reference = m;
  out.precision_k = kp;
  out.density_k = kd;
  return out;
}

io::Json PrdcResult::to_json() const {
  return {{"precision", precision}, {"recall", recall}, {"density", density}, {"coverage", coverage},
          {"precision_k", precision_k}, {"density_k", density_k}, {"n", n}, {"n_reference", n_reference}};
}

io::Json prdc_metric(const MetricInput& in, const Settings& settings) {
  return prdc(in.samples.features, in.reference_features("prdc").features, settings.prdc).to_json();
}

}  // namespace plumb::metrics
