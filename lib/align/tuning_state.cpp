// SPDX-License-Identifier: Apache-2.0
#include "align/tuning_state.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "nn/denoiser.h"

namespace plumb::align {
namespace {

constexpr const char* kGroup = "tuning";

/// What has to be the same for a state to fit.
io::Json what_is_trained(const FinetuneOptions& o) {
  io::Json json{{"method", o.method}, {"full", o.full}};
  if (!o.full)
    json.update({{"lora_rank", o.lora_rank}, {"lora_alpha", o.lora_alpha}, {"lora_targets", o.lora_targets}});
  return json;
}

}  // namespace

TuningStart tuning_start(const io::Manifest& given, const FinetuneOptions& o) {
  if (!o.ask.step)
    return {given, std::nullopt, given.sha256()};
  const io::H5Reader file = io::open_artefact(given);
  if (!file.has(std::string(kGroup) + "/state"))
    return {given, std::nullopt, given.sha256()};
  nn::Checkpoint state = nn::read_checkpoint(file, kGroup);
  const io::Json was = state.state.at("trained"), is = what_is_trained(o);
  if (was != is)
    throw Error(Exit::kUsage, given.label(), "was tuned with " + was.dump() + ", and this step says " + is.dump(), "give every step the same options");
  return {nn::base_model(given), std::move(state), given.sha256()};
}

void write_tuning_state(io::H5Writer& file, const nn::Checkpoint& state, const FinetuneOptions& o) {
  nn::Checkpoint kept = state;
  kept.fingerprint.clear();
  kept.state["trained"] = what_is_trained(o);
  kept.state["seconds"] = 0.0;  // two runs of the same command give the same bytes
  kept.state["record"].erase("seconds");
  nn::write_checkpoint(file, kGroup, kept);
}

}  // namespace plumb::align
