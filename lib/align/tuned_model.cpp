// Loading what is tuned, writing what came of it.   SPDX-License-Identifier: Apache-2.0
#include "align/tuned_model.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "diffusion/sampling.h"
#include "io/class_names.h"

namespace plumb::align {
namespace {

nn::Model load_whole(const io::Manifest& manifest, at::Device device) {
  nn::Model model = nn::load_model(manifest, device);
  nn::merge_lora(*model.denoiser);
  return model;
}

}  // namespace

TunedModel::TunedModel(const io::Manifest& base, const FinetuneOptions& o, at::Device device)
    : lora_{o.lora_rank, o.lora_alpha, o.lora_targets},
      full_(o.full),
      merge_(o.merge),
      seed_(o.seed),
      model_(load_whole(base, device)),
      base_below_(align::base_below(o, model_.schedule.value("num_train_timesteps", int64_t{0}))) {
  if (model_.denoiser->takes_value())
    throw Error(Exit::kUsage, base.label(), "tuning of value-conditional models is not offered", "pretrain --condition class or none makes one that can be tuned");
  if (model_.denoiser->num_classes() > 0) {
    if (o.guidance_scale != 1.0)
      diffusion::check_knows_none(base, "--guidance-scale", "leave it at 1");
    if (o.classes == std::vector<std::string>{"none"})
      diffusion::check_knows_none(base, "--class", "name classes, or leave it out");
  }
  if (const int64_t below = base.json().at("model").value("base_below", int64_t{0}); below > 0)
    throw Error(Exit::kUsage, base.label(), cat("draws its steps below timestep ", below, " by the model that it was tuned from (epapa), and tuning such a pair is not offered"),
                "go on with --step, or start from that model");
  if (base.json().at("model").contains("lora") && !full_ && !merge_)
    throw Error(Exit::kUsage, base.label(), "is an adapter itself, and adapters do not stack",
                "add --merge to write a whole model");
  if (full_) {
    frozen_ = std::move(load_whole(base, device).denoiser);
    model_.denoiser->set_requires_grad(true);
    return;
  }
  nn::attach_lora(*model_.denoiser, lora_, seed_);
  for (auto& [name, tensor] : nn::lora_parameters(*model_.denoiser))
    tensor.set_requires_grad(true);
}

std::vector<std::string> TunedModel::class_names() const {
  return io::class_names(model_.manifest);
}

void TunedModel::write(io::H5Writer& writer, io::Manifest& manifest, const nn::NamedTensors& weights) const {
  const at::NoGradGuard no_grad;
  io::Json about = model_.manifest.json().at("model");
  about.erase("lora");
  about["denoiser"] = model_.denoiser->config();
  about["schedule"] = model_.schedule;
  about.erase("base_below");
  if (base_below_ > 0)
    about["base_below"] = base_below_;
  if (full_) {
    nn::write_denoiser(writer, *model_.denoiser, &weights);
  } else if (!merge_) {
    about["lora"] = lora_.to_json();
    nn::write_denoiser(writer, *model_.denoiser, &weights);
  } else {  // on a fresh copy: this network may be written twice
    const nn::Model whole = load_whole(model_.manifest, at::kCPU);
    nn::attach_lora(*whole.denoiser, lora_, seed_);
    nn::NamedTensors adapter = nn::lora_parameters(*whole.denoiser);
    for (size_t i = 0; i < adapter.size(); ++i)
      adapter[i].second.copy_(weights.at(i).second);
    nn::merge_lora(*whole.denoiser);
    nn::write_denoiser(writer, *whole.denoiser);
  }
  if (const auto names = class_names(); !names.empty())
    manifest.json()["classes"] = names;
  manifest.json()["space"] = model_.space.to_json();
  manifest.json()["model"] = about;
}

}  // namespace plumb::align
