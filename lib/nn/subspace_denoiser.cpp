// SPDX-License-Identifier: Apache-2.0
#include "nn/subspace_denoiser.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "nn/init.h"

namespace plumb::nn {

SubspaceDenoiser::SubspaceDenoiser(const MlpOptions& options, int64_t subspace_dim, bool residual)
    : options_(options), dim_(subspace_dim), residual_(residual), free_(at::zeros({options.elements, subspace_dim})),
      network_(subspace_dim, subspace_dim, options) {
  register_parameter("basis", free_);
  if (residual_) {
    alphas_cumprod_ = at::zeros({options.num_train_timesteps});
    register_buffer("alphas_cumprod", alphas_cumprod_);
  }
  register_module("network", network_);
}

std::unique_ptr<SubspaceDenoiser> SubspaceDenoiser::from_json(io::Json json, const std::string& where) {
  const std::string option = "network option subspace_dim";
  const auto given = json.is_object() ? json.find("subspace_dim") : json.end();
  if (given == json.end()) throw Error(Exit::kUsage, where, option + ": is required", "the dimension of the subspace that the data lie on");
  const int64_t dim = given->is_number_integer() ? given->get<int64_t>() : 0;
  json.erase("subspace_dim");
  const auto residual = json.find("residual");
  if (residual != json.end() && !residual->is_boolean()) {
    throw Error(Exit::kUsage, where, "network option residual: is not true or false");
  }
  const bool is_residual = residual != json.end() && residual->get<bool>();
  json.erase("residual");
  if (!json.contains("hidden")) json["hidden"] = {256, 256};
  const MlpOptions options = MlpOptions::from_json(json, where);
  if (dim < 1 || dim > options.elements) {
    throw Error(Exit::kUsage, where, cat(option, ": is not a whole number from 1 to ", options.elements, ", the size of an item"));
  }
  return std::make_unique<SubspaceDenoiser>(options, dim, is_residual);
}

io::Json SubspaceDenoiser::config() const {
  io::Json config = options_.to_json();
  config["subspace_dim"] = dim_;
  if (residual_) config["residual"] = true;
  return {{"type", "subspace"}, {"config", config}};
}

void SubspaceDenoiser::reset_parameters(WeightInit& init) { init.normal(free_, 1.0 / std::sqrt(static_cast<double>(options_.elements))); }

Tensor SubspaceDenoiser::basis() const {
  const auto [q, r] = at::linalg_qr(free_, "reduced");
  // LAPACK's signs are arbitrary: with them V would not be a function of the free matrix that training can follow.
  const Tensor sign = at::where(r.diagonal() < 0, at::full({1}, -1.0, r.options()), at::full({1}, 1.0, r.options())).detach();
  return q * sign;
}

Tensor SubspaceDenoiser::forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) {
  const Tensor v = basis(), z = at::matmul(flat_items(x_t, options_.elements), v);   // [B,d]
  Tensor m = network_.forward(z, timestep, condition);   // [B,d]
  if (residual_) {
    const Tensor t = timestep_of_items(timestep, z.size(0), z.device()).to(at::kLong);
    const Tensor a = alphas_cumprod_.index_select(0, t).unsqueeze(1);
    m = at::sqrt(a) * z + at::sqrt(1.0 - a) * m;
  }
  return at::matmul(m, v.t().to(m.scalar_type())).view(x_t.sizes()).to(x_t.scalar_type());
}

void SubspaceDenoiser::set_noise_levels(const std::vector<double>& alphas_cumprod) {
  if (!residual_) return;
  if (static_cast<int64_t>(alphas_cumprod.size()) != options_.num_train_timesteps) {
    throw Error(Exit::kUsage, "num_train_timesteps", cat("is ", options_.num_train_timesteps, " in the network's config, the schedule has ",
                                                         alphas_cumprod.size()));
  }
  const at::NoGradGuard no_grad;
  alphas_cumprod_.copy_(at::tensor(alphas_cumprod, at::kDouble));
}

double subspace_angle_error(const Tensor& v, const Tensor& a) {
  if (v.dim() != 2 || a.dim() != 2 || v.size(0) != a.size(0)) {
    throw Error(Exit::kBadInput, "subspace", cat("matrices are ", shape_text(v.sizes().vec()), " and ", shape_text(a.sizes().vec()), ", not of as many rows"));
  }
  const Tensor left = v.detach().to(at::kCPU, at::kDouble), right = a.detach().to(at::kCPU, at::kDouble);
  const auto squares = [](const Tensor& x, const Tensor& y) { return at::matmul(x.t(), y).square().sum().item<double>(); };
  return std::max(0.0, squares(left, left) + squares(right, right) - 2 * squares(left, right));
}

}  // namespace plumb::nn
