// Networks as trees of named parameters. Names equal diffusers' state_dict keys.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>   // at::NoGradGuard; <ATen/ATen.h> has it only since LibTorch 2.12

namespace plumb::nn {

using at::Tensor;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;  // in declaration order
class WeightInit;  // init.h

/// Base of all layers and networks. A subclass registers its tensors and sub-modules in its constructor, in the order of the
/// peer's state_dict. Not copyable: parents hold pointers to members.
class Module {
 public:
  virtual ~Module() = default;
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Calls f(full name, tensor) for each parameter below, depth first in order of registration. Buffers (running
  /// statistics) are visited by each_buffer.
  void each_parameter(const std::function<void(const std::string&, Tensor&)>& f, const std::string& prefix = "");
  void each_buffer(const std::function<void(const std::string&, Tensor&)>& f, const std::string& prefix = "");
  /// Calls f(full name, module) for this module ("") and each below.
  void each_module(const std::function<void(const std::string&, Module&)>& f, const std::string& prefix = "");

  NamedTensors parameters();   ///< name, tensor (shares storage)
  NamedTensors state();        ///< parameters and buffers
  int64_t parameter_count();

  /// Copies values in by name, in place. Every name must be there with its shape, and none may be left over.
  /// Throws Error(kBadInput, where, ...) naming the first that does not fit.
  void load_state(const NamedTensors& values, const std::string& where);
  /// Parameters are made with requires_grad on.
  void set_requires_grad(bool on);
  void to(at::Device device);
  void to(at::ScalarType type);   ///< floating point parameters and buffers (float64 in gradient checks)
  void train(bool on);
  bool is_training() const { return training_; }

  /// Draws this module's own parameters (not its children's), one init.next() each, in order of registration. The default is
  /// for modules without parameters of their own. Called by initialise() in denoiser.h.
  virtual void reset_parameters(WeightInit& init);

 protected:
  void register_parameter(const std::string& name, Tensor& tensor);
  void register_buffer(const std::string& name, Tensor& tensor);
  void register_module(const std::string& name, Module& module);
  void unregister_parameter(const std::string& name);
  bool has_own_parameters() const { return !parameters_.empty(); }
  virtual void on_train(bool) {}   ///< for modules that wrap something with a mode of its own

 private:
  std::vector<std::pair<std::string, Tensor*>> parameters_, buffers_;
  std::vector<std::pair<std::string, Module*>> children_;
  bool training_ = false;
};

/// A list of owned sub-modules named "0", "1", ... (torch's ModuleList).
template <typename T>
class ModuleList : public Module {
 public:
  T& add(std::unique_ptr<T> module) {
    items_.push_back(std::move(module));
    register_module(std::to_string(items_.size() - 1), *items_.back());
    return *items_.back();
  }
  size_t size() const { return items_.size(); }
  T& operator[](size_t i) { return *items_[i]; }

 private:
  std::vector<std::unique_ptr<T>> items_;
};

}  // namespace plumb::nn
