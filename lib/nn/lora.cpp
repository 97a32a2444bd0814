// SPDX-License-Identifier: Apache-2.0
#include "nn/lora.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"

namespace plumb::nn {
namespace {

constexpr uint32_t kLoraStep = 1;   // apart from the base weights' draws of the same stream

bool matches(const std::string& name, const std::vector<std::string>& targets) {
  for (const std::string& target : targets) {
    if (target == "all" || name == target) return true;
    if (name.size() > target.size() && name.ends_with("." + target)) return true;
  }
  return false;
}

std::vector<std::pair<std::string, LoraTarget*>> targets_of(Module& network) {
  std::vector<std::pair<std::string, LoraTarget*>> found;
  network.each_module([&](const std::string& name, Module& module) {
    if (auto* target = dynamic_cast<LoraTarget*>(&module)) found.emplace_back(name, target);
  });
  return found;
}

/// Last part of a name that is not a number: "to_out.0" for "mid_block.attentions.0.to_out.0".
std::string suffix_of(const std::string& name) {
  const std::vector<std::string> parts = split(name, '.');
  size_t first = parts.size() - 1;
  while (first > 0 && !parts[first].empty() && std::isdigit(static_cast<unsigned char>(parts[first][0]))) --first;
  return join({parts.begin() + static_cast<std::ptrdiff_t>(first), parts.end()}, ".");
}

}  // namespace

io::Json LoraOptions::to_json() const { return io::Json{{"rank", rank}, {"alpha", alpha > 0 ? alpha : static_cast<double>(rank)}, {"targets", targets}}; }

LoraOptions LoraOptions::from_json(const io::Json& json, const std::string& where) {
  LoraOptions options;
  try {
    options.rank = json.at("rank").get<int64_t>();
    options.alpha = json.at("alpha").get<double>();
    options.targets = json.at("targets").get<std::vector<std::string>>();
  } catch (const io::Json::exception&) {
    throw Error(Exit::kBadInput, where, "its model.lora is not {rank, alpha, targets}");
  }
  if (options.rank < 1 || !(options.alpha >= 0)) throw Error(Exit::kBadInput, where, "its model.lora has a bad rank or alpha");
  return options;
}

void LoraTarget::attach_lora(int64_t rank, double alpha, uint64_t seed, uint64_t index) {
  if (has_lora()) throw Error(Exit::kUsage, "lora", "the network has an adapter already", "merge it first");
  std::vector<int64_t> a_shape = weight_shape(), b_shape(a_shape.size(), 1);
  b_shape[0] = a_shape[0];
  b_shape[1] = rank;
  a_shape[0] = rank;
  Tensor a = at::empty(a_shape, at::kFloat);
  Philox random(seed, Stream::kInit, index, kLoraStep);
  random.fill_normal(a.mutable_data_ptr<float>(), a.numel());
  lora_a_ = (a / static_cast<double>(rank)).to(weight().options());
  lora_b_ = at::zeros(b_shape, weight().options());
  lora_alpha_over_rank_ = (alpha > 0 ? alpha : static_cast<double>(rank)) / static_cast<double>(rank);
  register_parameter("lora_A.weight", lora_a_);
  register_parameter("lora_B.weight", lora_b_);
}

void LoraTarget::detach_lora() {
  unregister_parameter("lora_A.weight");
  unregister_parameter("lora_B.weight");
  lora_a_ = lora_b_ = Tensor();
}

void LoraTarget::merge_lora() {
  if (!has_lora()) return;
  const at::NoGradGuard no_grad;
  const Tensor delta = at::matmul(lora_b_.flatten(1), lora_a_.flatten(1)).view(weight().sizes());
  weight().add_(delta, lora_factor());
  detach_lora();
}

int64_t attach_lora(Module& network, const LoraOptions& options, uint64_t seed) {
  if (options.rank < 1) throw Error(Exit::kUsage, "lora-rank", cat(options.rank, " is below 1"));
  int64_t count = 0;
  uint64_t index = 0;
  std::set<std::string> suffixes;
  for (auto& [name, target] : targets_of(network)) {
    suffixes.insert(suffix_of(name));
    if (matches(name, options.targets)) {
      target->attach_lora(options.rank, options.alpha, seed, index);
      ++count;
    }
    ++index;
  }
  if (count == 0) {
    throw Error(Exit::kUsage, "lora-targets", "no layer is named '" + join(options.targets, ", ") + "'",
                suffixes.empty() ? "this network has no layer that can carry an adapter"
                                 : "there are: all, " + join({suffixes.begin(), suffixes.end()}, ", "));
  }
  return count;
}

NamedTensors lora_parameters(Module& network) {
  NamedTensors all;
  for (auto& [name, target] : targets_of(network)) {
    if (!target->has_lora()) continue;
    all.emplace_back(name + ".lora_A.weight", target->lora_a_);
    all.emplace_back(name + ".lora_B.weight", target->lora_b_);
  }
  return all;
}

bool has_lora(Module& network) {
  const auto targets = targets_of(network);
  return std::any_of(targets.begin(), targets.end(), [](const auto& entry) { return entry.second->has_lora(); });
}

void set_lora_scale(Module& network, double scale) {
  for (auto& [name, target] : targets_of(network)) target->set_lora_scale(scale);
}

void merge_lora(Module& network) {
  for (auto& [name, target] : targets_of(network)) target->merge_lora();
}

}  // namespace plumb::nn
