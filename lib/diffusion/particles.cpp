// SPDX-License-Identifier: Apache-2.0
#include "diffusion/particles.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "diffusion/resampling.h"

namespace plumb::diffusion {
namespace {

/// Of log weights; those within rounding are equal, and the first of them is taken: sums of differences end in other last digits with
/// another batch, and equal rewards are common (a count of letters).
int64_t first_of_largest(const std::vector<double>& log_w) {
  const double largest = *std::max_element(log_w.begin(), log_w.end());
  double spread = 1;
  for (const double w : log_w) {
    if (std::isfinite(w)) spread = std::max(spread, largest - w);
  }
  return std::find_if(log_w.begin(), log_w.end(), [&](double w) { return w >= largest - 1e-9 * spread; }) - log_w.begin();
}

}  // namespace

Particles::Particles(std::vector<int64_t> items, int64_t n, uint64_t seed, std::string scheme)
    : items_(std::move(items)), n_(n), seed_(seed), scheme_(std::move(scheme)),
      log_w_(items_.size(), std::vector<double>(static_cast<size_t>(n), -std::log(static_cast<double>(n)))), log_z_(items_.size(), 0.0) {}

void Particles::reweight(const Tensor& increment) {
  const Tensor values = increment.to(at::kCPU, at::kDouble).contiguous();
  const double* value = values.const_data_ptr<double>();
  for (size_t g = 0; g < items_.size(); ++g) {
    for (double& w : log_w_[g]) w += *value++;
    normalised_weights(log_w_[g]);  // refuses weights that are not finite
    const double total = log_sum_exp(log_w_[g]);
    log_z_[g] += total;
    for (double& w : log_w_[g]) w -= total;
  }
}

Tensor Particles::resample_below(double share, int64_t step) {
  std::vector<int64_t> rows;
  bool any = false;
  for (size_t g = 0; g < items_.size(); ++g) {
    const auto first = static_cast<int64_t>(g) * n_;
    const std::vector<double> weights = normalised_weights(log_w_[g]);
    if (effective_sample_size(weights) < share * static_cast<double>(n_) * (1 - 1e-12)) {
      Philox random(seed_, Stream::kResample, static_cast<uint64_t>(items_[g]), static_cast<uint32_t>(step));
      for (const int64_t j : resample(scheme_, weights, n_, random)) rows.push_back(first + j);
      std::fill(log_w_[g].begin(), log_w_[g].end(), -std::log(static_cast<double>(n_)));
      any = true;
    } else {
      for (int64_t j = 0; j < n_; ++j) rows.push_back(first + j);
    }
  }
  return any ? at::tensor(rows, at::kLong) : Tensor();
}

Tensor Particles::survivors(const std::string& keep, int64_t step) const {
  std::vector<int64_t> rows;
  for (size_t g = 0; g < items_.size(); ++g) {
    const auto first = static_cast<int64_t>(g) * n_;
    if (keep == "best") {
      rows.push_back(first + first_of_largest(log_w_[g]));
      continue;
    }
    Philox random(seed_, Stream::kResample, static_cast<uint64_t>(items_[g]), static_cast<uint32_t>(step));
    const std::vector<double> weights = normalised_weights(log_w_[g]);
    for (const int64_t j : keep == "all" ? resample(scheme_, weights, n_, random) : multinomial(weights, {random.uniform()})) rows.push_back(first + j);
  }
  return at::tensor(rows, at::kLong);
}

Tensor Particles::log_weights() const {
  std::vector<Tensor> groups;
  for (const auto& log_w : log_w_) groups.push_back(at::tensor(log_w, at::kDouble));
  return at::stack(groups);
}

}  // namespace plumb::diffusion
