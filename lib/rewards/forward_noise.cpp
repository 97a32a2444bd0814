// SPDX-License-Identifier: Apache-2.0
#include "rewards/forward_noise.h"

#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "nn/data.h"
#include "nn/denoiser.h"

namespace plumb::rewards {
namespace {


}  // namespace

ForwardNoise::ForwardNoise(const diffusion::NoiseSchedule& schedule, int64_t steps, uint64_t seed) : schedule_(schedule), steps_(steps), seed_(seed) {
  if (steps > 0) {
    timesteps_ = schedule.timesteps(steps);
    std::sort(timesteps_.begin(), timesteps_.end());
  } else {
    timesteps_.resize(static_cast<size_t>(schedule.num_train_timesteps()));
    std::iota(timesteps_.begin(), timesteps_.end(), int64_t{0});
  }
}

std::shared_ptr<const ForwardNoise> ForwardNoise::of_model(const io::Manifest& model, const io::Space& space, int64_t steps, uint64_t seed) {
  const io::Json& about = model.json().contains("model") ? model.json().at("model") : model.json();
  const io::Manifest whole = about.contains("lora") ? nn::base_model(model) : model;
  if (!(whole.space() == space)) {
    throw Error(Exit::kBadInput, whole.label(), "is a model of " + whole.space().text() + ", the items are " + space.text());
  }
  const auto found = whole.json().find("model");
  if (found == whole.json().end() || !found->is_object() || !found->contains("schedule")) {
    throw Error(Exit::kBadInput, whole.label(), "its manifest has no model.schedule", "name a model to --noised-by");
  }
  io::Json schedule = found->at("schedule");
  const auto process = schedule.find("process");
  if (process != schedule.end() && *process != "gaussian") {
    throw Error(Exit::kBadInput, whole.label(), "its process is " + process->dump() + ", not Gaussian noise", "--noised-by takes Gaussian models");
  }
  schedule.erase("process");
  const diffusion::NoiseSchedule process_of(diffusion::ScheduleOptions::from_json(schedule, whole.label()));
  if (steps > process_of.num_train_timesteps()) {
    throw Error(Exit::kUsage, "--noised-steps", cat(steps, " steps are more than the ", process_of.num_train_timesteps(), " timesteps of ", whole.label()));
  }
  return std::make_shared<const ForwardNoise>(process_of, steps, seed);
}

Tensor ForwardNoise::noised(const Tensor& x0, const std::vector<int64_t>& numbers, Use use) const {
  Tensor t = at::empty({x0.size(0)}, at::kLong);
  for (size_t i = 0; i < numbers.size(); ++i) {
    Philox random(seed_, Stream::kTrainTime, static_cast<uint64_t>(numbers[i]), use);
    t.mutable_data_ptr<int64_t>()[i] = timesteps_[random.below(timesteps_.size())];
  }
  const Tensor eps = nn::normal_noise(seed_, static_cast<int>(Stream::kTrainNoise), numbers, use, x0.sizes().slice(1).vec(), x0.device());
  return schedule_.add_noise(x0, eps, t.to(x0.device()));
}

Tensor ForwardNoise::noised_at(const Tensor& x0, const std::vector<int64_t>& numbers, int64_t t, Use use) const {
  const Tensor eps = nn::normal_noise(seed_, static_cast<int>(Stream::kTrainNoise), numbers, use, x0.sizes().slice(1).vec(), x0.device());
  return schedule_.add_noise(x0, eps, at::full({x0.size(0)}, t, at::TensorOptions(at::kLong).device(x0.device())));
}

io::Json ForwardNoise::describe() const {
  return {{"timesteps", schedule_.num_train_timesteps()}, {"steps", steps_ > 0 ? io::Json(steps_) : io::Json(nullptr)}};
}

std::vector<int64_t> ForwardNoise::levels() const {
  std::vector<int64_t> levels;
  for (size_t k = 0; k < 5; ++k) {
    const int64_t t = timesteps_[k * (timesteps_.size() - 1) / 4];
    if (levels.empty() || levels.back() != t) levels.push_back(t);
  }
  return levels;
}

void check_noise_options(const RewardTrainingOptions& options, const std::function<bool(const std::string&)>& was_set) {
  if (options.noised_by.empty() && was_set("noised-steps")) throw Error(Exit::kUsage, "--noised-steps", "needs --noised-by");
  if (!options.noised_by.empty() && options.type == "preference") {
    throw Error(Exit::kUsage, "--noised-by", "has no meaning for --type preference: the finished items were compared", "leave it out");
  }
  if (!options.noised_by.empty() && options.uncertainty.type != "none") {
    throw Error(Exit::kUsage, "--noised-by", "goes with --uncertainty none: the uncertainty is of finished items", "leave one of them out");
  }
}

}  // namespace plumb::rewards
