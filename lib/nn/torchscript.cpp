// SPDX-License-Identifier: Apache-2.0
#include "nn/torchscript.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>

#include "core/error.h"
#include "core/sha256.h"
#include "core/text.h"
#include "io/atomic_file.h"

namespace plumb::nn {
namespace {

/// LibTorch's message without its stack trace, on one line.
std::string first_line(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

torch::jit::Module load(const std::string& bytes, const std::string& where) {
  std::istringstream stream(bytes);
  try {
    return torch::jit::load(stream, at::Device(at::kCPU));
  } catch (const c10::Error& error) {
    throw Error(Exit::kBadInput, where, "is not a TorchScript file: " + first_line(error), "save it with torch.jit.script(m).save(path)");
  }
}

/// Arguments of forward without self; those with defaults need not be given.
struct Arity {
  size_t required = 0, all = 0;
};
Arity arity_of(const torch::jit::Module& module, const std::string& where) {
  const auto method = module.find_method("forward");
  if (!method) throw Error(Exit::kBadInput, where, "has no forward method");
  Arity arity;
  for (const c10::Argument& argument : method->function().getSchema().arguments()) {
    if (argument.name() == "self") continue;
    ++arity.all;
    if (!argument.default_value()) ++arity.required;
  }
  return arity;
}

const char* const kReturnFeatures = "return_features";

bool has_argument(const torch::jit::Module& module, const std::string& name) {
  for (const c10::Argument& argument : module.get_method("forward").function().getSchema().arguments()) {
    if (argument.name() == name) return true;
  }
  return false;
}

Tensor call(torch::jit::Module& module, std::vector<c10::IValue> inputs, const std::string& where, const torch::jit::Kwargs& named = {}) {
  c10::IValue output;
  try {
    output = module.forward(std::move(inputs), named);
  } catch (const c10::Error& error) {
    throw Error(Exit::kBadInput, where, "its forward failed: " + first_line(error));
  } catch (const std::exception& error) {   // errors raised inside the script
    const std::string text = error.what();
    const size_t last = text.find_last_not_of('\n');
    const size_t start = text.rfind('\n', last);
    throw Error(Exit::kBadInput, where, "its forward failed: " + trim(text.substr(start == std::string::npos ? 0 : start + 1)));
  }
  if (!output.isTensor()) throw Error(Exit::kBadInput, where, "its forward gives " + output.tagKind() + ", not one tensor");
  return output.toTensor();
}

template <typename List>
void collect(const List& list, NamedTensors& into) {
  for (const auto& entry : list) into.emplace_back(entry.name, entry.value);
}

class TorchScriptDenoiser : public Denoiser {
 public:
  TorchScriptDenoiser(const std::string& bytes, int64_t num_classes, std::string where)
      : bytes_(bytes), where_(std::move(where)), digest_(sha256_of(bytes)), num_classes_(num_classes), module_(load(bytes, where_)) {
    const Arity arity = arity_of(module_, where_);
    const size_t given = num_classes > 0 ? 3 : 2;
    if (arity.required > given || arity.all < given) {
      throw Error(Exit::kBadInput, where_, cat("its forward takes ", arity.all, " arguments, a denoiser ", num_classes > 0 ? "with" : "without",
                                               " classes takes ", given), "forward(x_t, t) or forward(x_t, t, label)");
    }
    collect(module_.named_parameters(), parameters_);
    collect(module_.named_buffers(), buffers_);
    for (auto& [name, tensor] : parameters_) register_parameter(name, tensor);
    for (auto& [name, tensor] : buffers_) register_buffer(name, tensor);
  }

  Tensor forward(const Tensor& x_t, const Tensor& timestep, const Condition& condition) override {
    const int64_t batch = x_t.size(0);
    std::vector<c10::IValue> inputs{x_t, timestep.to(x_t.device()).reshape({-1}).expand({batch})};
    if (num_classes_ > 0) {
      inputs.emplace_back(condition.label.defined() ? condition.label.to(x_t.device())
                                                    : at::full({batch}, num_classes_, at::TensorOptions(at::kLong).device(x_t.device())));
    } else if (condition.label.defined()) {
      throw Error(Exit::kBadInput, "label", "the model is unconditional: it has no classes");
    }
    Tensor output = call(module_, std::move(inputs), where_);
    if (output.sizes() != x_t.sizes()) {
      throw Error(Exit::kBadInput, where_, cat("gives ", shape_text(output.sizes().vec()), " for x_t ", shape_text(x_t.sizes().vec())),
                  "a denoiser keeps the shape");
    }
    return output;
  }
  int64_t num_classes() const override { return num_classes_; }
  io::Json config() const override {
    return io::Json{{"type", "torchscript"}, {"sha256", digest_}, {"num_classes", num_classes_}};
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void on_train(bool on) override { module_.train(on); }

  std::string bytes_, where_, digest_;
  int64_t num_classes_;
  torch::jit::Module module_;
  NamedTensors parameters_, buffers_;   // the module's own tensors: changes in place reach it
};

class TorchScriptPredictor : public Predictor {
 public:
  TorchScriptPredictor(const std::string& bytes, int64_t outputs, std::string where)
      : bytes_(bytes), where_(std::move(where)), digest_(sha256_of(bytes)), outputs_(outputs), module_(load(bytes, where_)) {
    const Arity arity = arity_of(module_, where_);
    if (arity.required > 1 || arity.all < 1) {
      throw Error(Exit::kBadInput, where_, cat("its forward takes ", arity.all, " arguments, not one batch"));
    }
    collect(module_.named_parameters(), parameters_);
    collect(module_.named_buffers(), buffers_);
    for (auto& [name, tensor] : parameters_) register_parameter(name, tensor);
    for (auto& [name, tensor] : buffers_) register_buffer(name, tensor);
  }
  Tensor features(const Tensor& x) override {
    const Tensor output = call(module_, {x}, where_);
    const bool fits = output.dim() == 2 ? output.size(1) == outputs_ : output.dim() == 1 && outputs_ == 1;
    if (!fits || output.size(0) != x.size(0)) {
      throw Error(Exit::kBadInput, where_, cat("gives ", shape_text(output.sizes().vec()), " for ", x.size(0), " items, expected [",
                                               x.size(0), ",", outputs_, "]"));
    }
    return output.reshape({x.size(0), outputs_});
  }
  Tensor head(const Tensor& features) override { return features; }
  int64_t feature_dimension() const override { return outputs_; }
  int64_t outputs() const override { return outputs_; }
  io::Json config() const override { return {{"type", "torchscript"}, {"sha256", digest_}, {"outputs", outputs_}}; }
  const std::string& bytes() const { return bytes_; }

 private:
  void on_train(bool on) override { module_.train(on); }

  std::string bytes_, where_, digest_;
  int64_t outputs_;
  torch::jit::Module module_;
  NamedTensors parameters_, buffers_;
};

}  // namespace

std::unique_ptr<Predictor> torchscript_predictor(const std::string& bytes, int64_t outputs, const std::string& where) {
  return std::make_unique<TorchScriptPredictor>(bytes, outputs, where);
}

const std::string& torchscript_bytes(const Predictor& predictor) {
  static const std::string none;
  const auto* script = dynamic_cast<const TorchScriptPredictor*>(&predictor);
  return script ? script->bytes() : none;
}

std::unique_ptr<Denoiser> torchscript_denoiser(const std::string& bytes, int64_t num_classes, const std::string& where) {
  return std::make_unique<TorchScriptDenoiser>(bytes, num_classes, where);
}

const std::string& torchscript_bytes(const Denoiser& denoiser) {
  static const std::string none;
  const auto* script = dynamic_cast<const TorchScriptDenoiser*>(&denoiser);
  return script ? script->bytes() : none;
}

struct TorchScriptFunction::State {
  torch::jit::Module module;
  std::string path, digest;
  Output output;
  at::Device device;
  int64_t dimension = 1;
  torch::jit::Kwargs named;   // return_features=True, for networks that can give either
};

TorchScriptFunction::TorchScriptFunction(const std::string& path, const std::vector<int64_t>& item_shape, Output output, at::Device device) {
  const std::string bytes = io::read_file(path);
  state_ = std::make_unique<State>(State{load(bytes, path), path, sha256_of(bytes), output, device, 1, {}});
  const Arity arity = arity_of(state_->module, path);
  if (arity.required > 1 || arity.all < 1) {
    throw Error(Exit::kBadInput, path, cat("its forward takes ", arity.all, " arguments, not one batch"));
  }
  if (output == Output::kFeatures && has_argument(state_->module, kReturnFeatures)) state_->named[kReturnFeatures] = true;
  state_->module.eval();
  state_->module.to(device);
  for (Tensor parameter : state_->module.parameters()) parameter.set_requires_grad(false);
  std::vector<int64_t> shape = item_shape;
  shape.insert(shape.begin(), 2);
  const at::NoGradGuard no_grad;
  const Tensor probe = call(state_->module, {at::zeros(shape, at::TensorOptions(at::kFloat).device(device))}, path, state_->named);
  const bool two = probe.dim() >= 1 && probe.size(0) == 2;
  const bool scalar = two && (probe.dim() == 1 || (probe.dim() == 2 && probe.size(1) == 1));
  const bool features = two && probe.numel() > 0 && (probe.dim() == 2 || (probe.dim() == 4 && probe.size(2) * probe.size(3) == 1));
  if (!probe.is_floating_point() || !(output == Output::kScalar ? scalar : features)) {
    throw Error(Exit::kBadInput, path, cat("gives ", shape_text(probe.sizes().vec()), " ", c10::toString(probe.scalar_type()), " for a batch of 2 items, expected ",
                                           output == Output::kScalar ? "[2] numbers" : "[2,D] features"));
  }
  state_->dimension = output == Output::kScalar ? 1 : probe.size(1);
}

TorchScriptFunction::~TorchScriptFunction() = default;
TorchScriptFunction::TorchScriptFunction(TorchScriptFunction&&) noexcept = default;

Tensor TorchScriptFunction::operator()(const Tensor& x) {
  const Tensor output = call(state_->module, {x.to(state_->device, at::kFloat)}, state_->path, state_->named).to(at::kFloat);
  const int64_t expected = x.size(0) * state_->dimension;
  if (output.numel() != expected) {
    throw Error(Exit::kBadInput, state_->path, cat("gives ", shape_text(output.sizes().vec()), " for a batch of ", x.size(0), " items"));
  }
  return state_->output == Output::kScalar ? output.reshape({x.size(0)}) : output.reshape({x.size(0), state_->dimension});
}

bool TorchScriptFunction::gives_probabilities() const { return !state_->named.empty(); }

Tensor TorchScriptFunction::probabilities(const Tensor& x) {
  const Tensor output = call(state_->module, {x.to(state_->device, at::kFloat)}, state_->path).to(at::kFloat);
  if (output.dim() == 2 && output.size(0) == x.size(0)) return output;
  throw Error(Exit::kBadInput, state_->path, cat("gives ", shape_text(output.sizes().vec()), " for ", x.size(0), " items, expected [", x.size(0), ",classes]"));
}

int64_t TorchScriptFunction::dimension() const { return state_->dimension; }
const std::string& TorchScriptFunction::digest() const { return state_->digest; }

}  // namespace plumb::nn
