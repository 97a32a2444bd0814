// SPDX-License-Identifier: Apache-2.0
#include "diffusion/transition.h"

#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::diffusion {
namespace {

Tensor per_item(const Tensor& values, const Tensor& x) {  // [B] -> [B,1,..] of x's type and device; [B,*] as it is
  if (values.dim() == x.dim() && values.dim() > 1) return values.to(x.options());
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = values.size(0);
  return values.to(x.options()).reshape(shape);
}

/// [B,*] -> [B], added up in float64: a float32 sum over 16384 elements would be off by more than a clip range of 1e-4.
Tensor reduce_items(const Tensor& values, Reduce reduce) {
  const Tensor flat = values.flatten(1);
  return reduce == Reduce::kMean ? flat.mean(1, false, at::kDouble) : flat.sum(1, false, at::kDouble);
}

void refuse_zero_sigma(const Tensor& sigma) {
  if ((sigma <= 0).any().item<bool>()) {
    throw Error(Exit::kUsage, "--eta", "a step without noise has no density",
                "use eta > 0, and a schedule whose last step is not 0 -> 0 (steps-offset 1, or trailing spacing)");
  }
}

}  // namespace

Transition ddim_transition(PredictionType type, const Tensor& model_output, const Tensor& x_t, const Tensor& a,
                           const Tensor& b, double eta, bool clip_sample) {
  const Tensor a64 = a.to(at::kDouble), b64 = b.to(at::kDouble);
  const Tensor variance = eta * eta * (1.0 - b64) / (1.0 - a64) * (1.0 - a64 / b64);  // [B]
  const Tensor direction = (1.0 - b64 - variance).clamp_min(0.0).sqrt();
  std::vector<int64_t> shape(static_cast<size_t>(x_t.dim()), 1);
  shape[0] = a64.size(0);
  Prediction p = predict(type, model_output, x_t, a64.to(x_t.device()).reshape(shape));
  if (clip_sample) p.x0 = p.x0.clamp(-1.0, 1.0);
  return {per_item(b64.sqrt(), x_t) * p.x0 + per_item(direction, x_t) * p.eps,
          variance.clamp_min(0.0).sqrt().to(x_t.options()), p.x0, model_output};
}

Transition ddpm_transition(PredictionType type, const Tensor& model_output, const Tensor& x_t, const Tensor& a, const Tensor& b,
                           StepVariance variance, bool clip_sample) {
  const Tensor a64 = a.to(at::kDouble), b64 = b.to(at::kDouble), alpha = a64 / b64, beta = 1.0 - alpha;
  std::vector<int64_t> shape(static_cast<size_t>(x_t.dim()), 1);
  shape[0] = a64.size(0);
  Tensor x0 = predict(type, model_output, x_t, a64.to(x_t.device()).reshape(shape)).x0;
  if (clip_sample) x0 = x0.clamp(-1.0, 1.0);
  const Tensor of_x0 = b64.sqrt() * beta / (1.0 - a64), of_x = alpha.sqrt() * (1.0 - b64) / (1.0 - a64);
  const Tensor v = variance == StepVariance::kBeta ? beta : beta * (1.0 - b64) / (1.0 - a64);
  return {per_item(of_x0, x_t) * x0 + per_item(of_x, x_t) * x_t, v.clamp_min(0.0).sqrt().to(x_t.options()), x0, model_output};
}

Transition flow_sde_transition(const Tensor& v, const Tensor& x, const Tensor& sigma, const Tensor& sigma_next,
                               double sigma_second, double noise_level) {
  const Tensor s = sigma.to(at::kDouble), dt = sigma_next.to(at::kDouble) - s;
  const Tensor below_one = at::where(s < 1.0, s, at::full_like(s, sigma_second));
  const Tensor g2 = noise_level * noise_level * s / (1.0 - below_one);
  const Tensor of_x = 1.0 + g2 * dt / (2.0 * s), of_v = (1.0 + g2 * (1.0 - s) / (2.0 * s)) * dt;
  return {per_item(of_x, x) * x + per_item(of_v, x) * v, (g2 * -dt).sqrt().to(x.options()), x - per_item(s, x) * v};
}

Reduce parse_reduce(const std::string& text) {
  if (text == "mean") return Reduce::kMean;
  if (text == "sum") return Reduce::kSum;
  throw Error(Exit::kUsage, "--logprob-reduce", cat("unknown value '", text, "'"), "mean or sum");
}

Tensor log_prob(const Tensor& x_prev, const Transition& transition, Reduce reduce) {
  refuse_zero_sigma(transition.sigma);
  const Tensor sigma = per_item(transition.sigma, x_prev);
  const Tensor z = (x_prev.detach() - transition.mean) / sigma;  // standardised first: sigma^2 underflows half precision
  return reduce_items(-0.5 * z.square() - sigma.log() - 0.5 * std::log(2 * 3.14159265358979323846), reduce);
}

Tensor gaussian_kl(const Tensor& mean, const Tensor& mean_ref, const Tensor& sigma, Reduce reduce) {
  refuse_zero_sigma(sigma);
  return reduce_items(0.5 * ((mean - mean_ref) / per_item(sigma, mean)).square(), reduce);
}

}  // namespace plumb::diffusion
