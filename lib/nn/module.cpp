// SPDX-License-Identifier: Apache-2.0
#include "nn/module.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <unordered_map>

#include "core/error.h"
#include "core/text.h"

namespace plumb::nn {
namespace {

std::string joined(const std::string& prefix, const std::string& name) { return prefix.empty() ? name : prefix + "." + name; }

}  // namespace

void Module::register_parameter(const std::string& name, Tensor& tensor) {
  tensor.set_requires_grad(tensor.is_floating_point());
  parameters_.emplace_back(name, &tensor);
}

void Module::register_buffer(const std::string& name, Tensor& tensor) { buffers_.emplace_back(name, &tensor); }
void Module::register_module(const std::string& name, Module& module) { children_.emplace_back(name, &module); }

void Module::unregister_parameter(const std::string& name) {
  std::erase_if(parameters_, [&](const auto& entry) { return entry.first == name; });
}

void Module::reset_parameters(WeightInit&) {}

void Module::each_parameter(const std::function<void(const std::string&, Tensor&)>& f, const std::string& prefix) {
  for (auto& [name, tensor] : parameters_) f(joined(prefix, name), *tensor);
  for (auto& [name, child] : children_) child->each_parameter(f, joined(prefix, name));
}

void Module::each_buffer(const std::function<void(const std::string&, Tensor&)>& f, const std::string& prefix) {
  for (auto& [name, tensor] : buffers_) f(joined(prefix, name), *tensor);
  for (auto& [name, child] : children_) child->each_buffer(f, joined(prefix, name));
}

void Module::each_module(const std::function<void(const std::string&, Module&)>& f, const std::string& prefix) {
  f(prefix, *this);
  for (auto& [name, child] : children_) child->each_module(f, joined(prefix, name));
}

NamedTensors Module::parameters() {
  NamedTensors all;
  each_parameter([&](const std::string& name, Tensor& tensor) { all.emplace_back(name, tensor); });
  return all;
}

NamedTensors Module::state() {
  NamedTensors all = parameters();
  each_buffer([&](const std::string& name, Tensor& tensor) { all.emplace_back(name, tensor); });
  return all;
}

int64_t Module::parameter_count() {
  int64_t count = 0;
  each_parameter([&](const std::string&, Tensor& tensor) { count += tensor.numel(); });
  return count;
}

void Module::load_state(const NamedTensors& values, const std::string& where) {
  std::unordered_map<std::string, const Tensor*> given;
  for (const auto& [name, tensor] : values) given[name] = &tensor;
  const NamedTensors own = state();
  for (const auto& [name, tensor] : own) {   // all checks before the first change
    const auto found = given.find(name);
    if (found == given.end()) throw Error(Exit::kBadInput, where, "has no weight '" + name + "'", "is it a model of this network?");
    if (found->second->sizes() != tensor.sizes()) {
      throw Error(Exit::kBadInput, where, cat("weight '", name, "' is ", shape_text(found->second->sizes().vec()),
                                              ", the network has ", shape_text(tensor.sizes().vec())));
    }
  }
  if (given.size() > own.size()) {
    for (const auto& [name, tensor] : values) {
      const bool known = std::any_of(own.begin(), own.end(), [&](const auto& entry) { return entry.first == name; });
      if (!known) throw Error(Exit::kBadInput, where, "has weight '" + name + "', which the network lacks");
    }
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : own) tensor.copy_(*given[name]);
}

void Module::set_requires_grad(bool on) {
  each_parameter([&](const std::string&, Tensor& tensor) {
    if (tensor.is_floating_point()) tensor.set_requires_grad(on);
  });
}

void Module::to(at::Device device) {
  const auto move = [&](const std::string&, Tensor& tensor) {
    if (tensor.device() != device) tensor.set_data(tensor.detach().to(device));
  };
  each_parameter(move);
  each_buffer(move);
}

void Module::to(at::ScalarType type) {
  const auto convert = [&](const std::string&, Tensor& tensor) {
    if (tensor.is_floating_point() && tensor.scalar_type() != type) tensor.set_data(tensor.detach().to(type));
  };
  each_parameter(convert);
  each_buffer(convert);
}

void Module::train(bool on) {
  each_module([&](const std::string&, Module& module) {
    module.training_ = on;
    module.on_train(on);
  });
}

}  // namespace plumb::nn
