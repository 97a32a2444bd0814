// SPDX-License-Identifier: Apache-2.0
#include "diffusion/jacobi_forward.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "diffusion/forward_process.h"

namespace plumb::diffusion {
namespace {

constexpr double kHalfPi = 1.5707963267948966;
constexpr int64_t kNodes = LineageLaw::kNodes;

double log_uniform(Philox& random) { return std::log((static_cast<double>(random.next()) + 0.5) / 4294967296.0); }

/// w_t before it is normalised: the integral over the nodes, dv = 2 sqrt(v (1 - v)) dphi.
double weight_of(const LineageLaw::Nodes& from_one, double b) {
  double sum = 0;
  for (int64_t k = 1; k + 1 < kNodes; ++k) {
    const double v = LineageLaw::node(k), rest = LineageLaw::node(kNodes - 1 - k);
    const double density = std::exp(from_one.log_ratio[static_cast<size_t>(k)]) * b * std::pow(rest, b - 1);
    const double score = from_one.lineages[static_cast<size_t>(k)] / v - (b - 1) / rest;
    sum += density * v * rest * score * score * 2 * std::sqrt(v * rest);
  }
  return 2 / (1 + b) * sum * kHalfPi / static_cast<double>(kNodes - 1);
}

class JacobiForward final : public ForwardProcess {
 public:
  JacobiForward(const JacobiOptions& options, int64_t letters) : options_(options), noise_(letters, options) {
    for (const double t : noise_.times()) times_.push_back(static_cast<float>(t));
  }

  Tensor loss(nn::Denoiser& denoiser, const Tensor& x0, const nn::Condition& condition, uint64_t seed, int64_t first) const override {
    JacobiBatch batch = noise_.draw(x0, seed, first);
    const Tensor t = at::tensor(times_).index_select(0, batch.time);
    batch.v = batch.v.to(x0.device());
    batch.slope = batch.slope.to(x0.device());
    return jacobi_loss(denoiser.forward(stick_to_simplex(batch.v), t.to(x0.device()), condition).to(at::kFloat), batch, noise_.weights());
  }

  /// The published network: time as t / 2, output times sqrt(w_t), less its mean over the letters.
  void fit_network(nlohmann::ordered_json& denoiser) const override {
    if (!denoiser.contains("type") || denoiser.at("type") != "conv1d") {
      throw Error(Exit::kUsage, "--denoiser", "jacobi diffusion needs a network of type conv1d", "--denoiser sequence");
    }
    if (denoiser.contains("config") && !denoiser.at("config").is_object()) return;   // make_denoiser says so
    nlohmann::ordered_json& network = denoiser["config"];
    const auto fill = [&](const char* key, const nlohmann::ordered_json& value) {
      if (!network.contains(key) || network.at(key).is_null()) network[key] = value;
    };
    fill("num_train_timesteps", 2);
    fill("output_scale", noise_.output_scale());
    fill("subtract_mean", true);
  }
  nlohmann::ordered_json schedule() const override { return options_.to_json(); }

 private:
  JacobiOptions options_;
  JacobiNoise noise_;
  std::vector<float> times_;
};

}  // namespace

JacobiNoise::JacobiNoise(int64_t letters, const JacobiOptions& o) : letters_(letters) {
  const double step = (o.max_time - o.min_time) / static_cast<double>(o.num_times - 1);
  for (int64_t i = 0; i < o.num_times; ++i) times_.push_back(o.min_time + static_cast<double>(i) * step);
  times_.back() = o.max_time;
  for (int64_t b = letters - 1; b >= 1; --b) {
    laws_.emplace_back(b, times_);
    for (const int end : {0, 1}) {
      for (size_t t = 0; t < times_.size(); ++t) {
        const LineageLaw::Nodes nodes = laws_.back().at_nodes(t, end);
        lineages_[end].insert(lineages_[end].end(), nodes.lineages.begin(), nodes.lineages.end());
        if (end == 1 && b == letters - 1) weights_.push_back(weight_of(nodes, static_cast<double>(b)));
      }
    }
  }
  double mean = 0, sum = 0;
  for (const double w : weights_) mean += w / static_cast<double>(weights_.size());
  for (double& w : weights_) {
    w /= mean;
    time_sums_.push_back(sum += std::sqrt(w));
  }
}

std::vector<std::pair<double, double>> JacobiNoise::output_scale() const {
  std::vector<std::pair<double, double>> scale;
  const double low = std::log(times_.front()), high = std::log(times_.back());
  for (int64_t k = 0; k <= 32; ++k) {   // near even in log t, where sqrt(w) is smooth
    const double wanted = std::exp(low + (high - low) * static_cast<double>(k) / 32);
    const auto found = std::lower_bound(times_.begin(), times_.end(), wanted * (1 - 1e-9));
    const size_t i = std::min(static_cast<size_t>(found - times_.begin()), times_.size() - 1);
    if (scale.empty() || times_[i] > scale.back().first) scale.emplace_back(times_[i], std::sqrt(weights_[i]));
  }
  return scale;
}

double JacobiNoise::slope(size_t coordinate, int end, size_t time, double v) const {
  const double position = std::asin(std::sqrt(v)) * (static_cast<double>(kNodes - 1) / kHalfPi);
  const size_t left = std::min(static_cast<size_t>(position), static_cast<size_t>(kNodes - 2));
  const float* row = lineages_[end].data() + (coordinate * times_.size() + time) * static_cast<size_t>(kNodes) + left;
  const double lineages = row[0] + (position - static_cast<double>(left)) * (row[1] - row[0]);
  return end == 1 ? lineages / v : -lineages / (1 - v);
}

JacobiBatch JacobiNoise::draw(const Tensor& x0, uint64_t seed, int64_t first) const {
  const Tensor codes = x0.argmax(1).to(at::kCPU).contiguous();   // [B,L]
  const int64_t batch = codes.size(0), length = codes.size(1), coordinates = letters_ - 1;
  JacobiBatch result{at::empty({batch, coordinates, length}, at::kFloat), at::zeros({batch, coordinates, length}, at::kFloat), at::empty({batch}, at::kLong)};
  const int64_t* code = codes.const_data_ptr<int64_t>();
  float* v = result.v.data_ptr<float>();
  float* slopes = result.slope.data_ptr<float>();
  for (int64_t row = 0; row < batch; ++row) {
    const uint64_t example = static_cast<uint64_t>(first + row);
    const double u = Philox(seed, Stream::kTrainTime, example).uniform() * time_sums_.back();
    const auto found = std::upper_bound(time_sums_.begin(), time_sums_.end(), u);
    const size_t time = std::min(static_cast<size_t>(found - time_sums_.begin()), times_.size() - 1);
    result.time.data_ptr<int64_t>()[row] = static_cast<int64_t>(time);
    for (int64_t k = 0; k < length; ++k) {
      Philox random(seed, Stream::kSimplex, example, static_cast<uint32_t>(k));
      const int64_t letter = code[row * length + k];
      for (int64_t i = 0; i < coordinates; ++i) {
        const LineageLaw& law = laws_[static_cast<size_t>(i)];
        const double b = static_cast<double>(law.b());
        const double lineages = i <= letter ? static_cast<double>(law.draw(time, random.uniform())) : 0.0;
        double at = 0;
        if (i == letter) {   // Beta(1 + l, b) = prod_j u_j^(1/(1 + l + j)), j < b
          double log_v = 0;
          for (int64_t j = 0; j < law.b(); ++j) log_v += log_uniform(random) / (1 + lineages + static_cast<double>(j));
          at = std::exp(log_v);
        } else {             // Beta(1, b + l) = 1 - u^(1/(b + l))
          at = -std::expm1(log_uniform(random) / (b + lineages));
        }
        at = std::clamp(at, kStickMargin, 1 - kStickMargin);
        const int64_t cell = (row * coordinates + i) * length + k;
        v[cell] = static_cast<float>(at);
        if (i <= letter) slopes[cell] = static_cast<float>(slope(static_cast<size_t>(i), i == letter ? 1 : 0, time, at));
      }
    }
  }
  return result;
}

Tensor jacobi_loss(const Tensor& score_x, const JacobiBatch& batch, const std::vector<double>& weights) {
  const Tensor& v = batch.v;
  const Tensor error = jacobi_speeds(v) * v * (1 - v) * (stick_gradient(score_x, v) - batch.slope).square();
  const Tensor weight = at::tensor(weights, at::kDouble).index_select(0, batch.time).rsqrt();
  return error.flatten(1).mean(1) * weight.to(v.options());
}

std::unique_ptr<ForwardProcess> make_jacobi_forward(const JacobiOptions& options, const io::Space& space) {
  if (space.type != "sequence" || space.alphabet.size() < 2) {
    throw Error(Exit::kUsage, "--process", "jacobi diffusion is for sequences of 2 letters or more, the items are " + space.text(), "--process gaussian");
  }
  return std::make_unique<JacobiForward>(options, static_cast<int64_t>(space.alphabet.size()));
}

}  // namespace plumb::diffusion
