// SPDX-License-Identifier: Apache-2.0
#include "align/tuning_state.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/denoiser.h"

namespace plumb::align {
namespace {

constexpr const char* kGroup = "tuning";

/// What has to be the same for a state to fit.
io::Json what_is_trained(const FinetuneOptions& o) {
  io::Json json{{"method", o.method}, {"full", o.full}};
  if (o.monitor_every > 0)
    json["monitor"] = {{"gold", o.gold}, {"n", o.monitor_n}, {"features", o.monitor_features}};
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
  io::Json was = state.state.at("trained"), is = what_is_trained(o);
  if (!was.contains("monitor") || !is.contains("monitor")) {  // it may begin late, or end early
    was.erase("monitor");
    is.erase("monitor");
  }
  if (was != is)
    throw Error(Exit::kUsage, given.label(), "was tuned with " + was.dump() + ", and this step says " + is.dump(), "give every step the same options");
  const io::Json& model = given.json().at("model");
  const int64_t drawn_with = model.value("base_below", int64_t{0}), now = base_below(o, model.at("schedule").value("num_train_timesteps", int64_t{0}));
  if (drawn_with != now)
    throw Error(Exit::kUsage, "--papa.k", cat("is ", now, ", and the samples of ", given.label(), " are drawn with ", drawn_with), "give every step the same options");
  const std::string stopped_by = state.state.at("stopped_by").get<std::string>();
  if (!stopped_by.empty() && !o.stop.empty())
    throw Error(Exit::kUsage, "--stop", "'" + stopped_by + "' ended the tuning of " + given.label(), "leave it out to go on all the same");
  state.state["stopped_by"] = "";
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
