// What the tests of the diffusion room share.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "core/philox.h"
#include "diffusion/options.h"
#include "diffusion/sampler.h"
#include "nn/data.h"
#include "nn/denoiser.h"

namespace plumb::diffusion::testing {

using Json = nlohmann::ordered_json;

/// tests/numeric/NAME.
inline Json read_numeric(const std::string& name) {
  const char* root = std::getenv("PLUMB_SOURCE_DIR");
  std::ifstream file(std::string(root ? root : ".") + "/tests/numeric/" + name);
  REQUIRE_MESSAGE(file.good(), "run from the repository's root or set PLUMB_SOURCE_DIR");
  return Json::parse(file);
}

/// The case of this id in policy-gradient.json (docs of its numbers: the file's own notes).
inline Json oracle_case(const std::string& id) {
  const Json file = read_numeric("policy-gradient.json");
  for (const Json& one : file.at("cases")) {
    if (one.at("id") == id) return one;
  }
  FAIL("no case " << id);
  return {};
}

/// The case of this name in offline-design.json (source of the formulas: each case's own "formula").
inline Json offline_case(const std::string& name) {
  const Json file = read_numeric("offline-design.json");
  for (const Json& one : file.at("cases")) {
    if (one.at("name") == name) return one;
  }
  FAIL("no case " << name);
  return {};
}

/// A JSON number, list or list of lists as a float64 tensor.
inline at::Tensor tensor_of(const Json& json) {
  if (!json.is_array()) return at::scalar_tensor(json.get<double>(), at::kDouble);
  std::vector<at::Tensor> rows;
  for (const Json& row : json) rows.push_back(tensor_of(row));
  return at::stack(rows);
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/// The oracles are written with 9 significant digits; their file asks for 1e-6 absolute plus relative.
inline void check_close(const at::Tensor& value, const Json& expected, double tolerance = 1e-6) {
  const at::Tensor want = tensor_of(expected);
  REQUIRE(value.sizes() == want.sizes());
  const double excess = ((value.to(at::kDouble) - want).abs() - tolerance * want.abs()).max().item<double>();
  CHECK_MESSAGE(excess <= tolerance, value << "\nexpected\n" << want);
}

/// model_output = x * weight + 0.1 * (label + 1) * bias + t / 1000: a network small enough to reason about.
class TinyDenoiser : public nn::Denoiser {
 public:
  explicit TinyDenoiser(int64_t num_classes = 0) : num_classes_(num_classes) {
    register_parameter("weight", weight_);
    register_parameter("bias", bias_);
  }
  at::Tensor forward(const at::Tensor& x_t, const at::Tensor& timestep, const nn::Condition& condition) override {
    ++calls;
    at::Tensor output = x_t * weight_ + (timestep.to(x_t.scalar_type()) / 1000).reshape({-1, 1});
    if (condition.label.defined()) output = output + 0.1 * (condition.label.to(x_t.scalar_type()) + 1).reshape({-1, 1}) * bias_;
    return output;
  }
  int64_t num_classes() const override { return num_classes_; }
  io::Json config() const override { return {{"type", "tiny"}}; }
  int calls = 0;

 private:
  int64_t num_classes_;
  at::Tensor weight_ = at::full({4}, 0.5), bias_ = at::ones({4});
};

/// Runs one batch of chains from noise keyed by (seed, global item index, step): what Steering does in the commands, without
/// steering. on_step, when given, sees (i, t, x_t, model_output, x_next) of each step.
using StepObserver = std::function<void(size_t i, int64_t t, const at::Tensor& x_t, const at::Tensor& model_output, const at::Tensor& x_next)>;
inline at::Tensor run_chain(Sampler& sampler, const ModelFunction& model, const std::vector<int64_t>& items, uint64_t seed,
                            const std::vector<int64_t>& item_shape, const nn::Condition& condition, at::Device device,
                            const StepObserver& on_step = nullptr) {
  at::Tensor x = nn::normal_noise(seed, static_cast<int>(Stream::kPrior), items, 0, item_shape, device);
  const std::vector<int64_t>& timesteps = sampler.timesteps();
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const at::Tensor t = at::full({x.size(0)}, timesteps[i], at::TensorOptions(at::kLong).device(device));
    const at::Tensor output = model(i, x, t, condition);
    at::Tensor noise;
    if (sampler.needs_noise(i)) {
      noise = nn::normal_noise(seed, static_cast<int>(Stream::kSamplerStep), items, static_cast<uint32_t>(i), item_shape, device);
    }
    const at::Tensor next = sampler.step(i, x, output, noise);
    if (on_step) on_step(i, timesteps[i], x, output, next);
    x = next;
  }
  return x;
}

}  // namespace plumb::diffusion::testing
