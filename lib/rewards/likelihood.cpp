// likelihood: how probable an item is under a diffusion model: whether designs still look like what the model learned.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "diffusion/likelihood.h"
#include "nn/data.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

constexpr const char* kUsageText = "likelihood:MODEL.h5[,steps=64][,seed=0]";
constexpr int64_t kPiece = 64;  // items of one network call

class Likelihood : public Reward {
 public:
  explicit Likelihood(const RewardSpec& spec) : device_(spec.device), space_(spec.space) {
    const FileArgument argument = split_file_argument(spec, kUsageText);
    const std::string subject = "reward 'likelihood:" + spec.argument + "'";
    for (const std::string& part : argument.rest) {
      if (part.rfind("steps=", 0) == 0) steps_ = parse_int(part.substr(6), subject);
      else if (part.rfind("seed=", 0) == 0) seed_ = static_cast<uint64_t>(parse_int(part.substr(5), subject));
      else throw Error(Exit::kUsage, subject, "'" + part + "' is not understood", kUsageText);
    }
    if (steps_ < 1 || steps_ > 100000) throw Error(Exit::kUsage, subject, cat("steps=", steps_, " is out of range"), "1 to 100000");
    const io::Manifest manifest = io::Manifest::read(argument.file);
    if (manifest.kind() != "model") throw Error(Exit::kBadInput, argument.file, "is no model");
    model_ = nn::load_model(manifest, device_);
    if (!(model_.space == space_)) {
      throw Error(Exit::kBadInput, argument.file, "is a model of " + model_.space.text() + ", the items are " + space_.text());
    }
    if (model_.schedule.value("process", "gaussian") != "masked") {
      schedule_ = std::make_unique<diffusion::NoiseSchedule>(diffusion::ScheduleOptions::from_json(model_.schedule, argument.file));
    }
    codec_ = nn::make_codec(space_, argument.file);
    decoder_ = space_.type == "sequence" ? diffusion::Decoder::kLetters : space_.type == "image" ? diffusion::Decoder::kBytes : diffusion::Decoder::kDensity;
  }

  Tensor score(const RewardBatch& batch) override {
    const at::NoGradGuard no_grad;
    const int64_t classes = model_.denoiser->num_classes();
    std::vector<Tensor> parts;
    for (int64_t begin = 0; begin < batch.items.size(0); begin += kPiece) {
      const int64_t end = std::min(begin + kPiece, batch.items.size(0));
      const Tensor x0 = codec_->encode(batch.items.slice(0, begin, end)).to(device_);
      nn::Condition condition;
      if (classes > 0) {
        condition.label = batch.label.defined() ? batch.label.slice(0, begin, end).to(device_)
                                                : at::full({end - begin}, classes, at::TensorOptions(device_).dtype(at::kLong));
      }
      parts.push_back(!schedule_ ? diffusion::masked_bound(*model_.denoiser, x0, condition, steps_, seed_)
                                 : diffusion::variational_bound(*model_.denoiser, *schedule_, x0, condition, decoder_, steps_, seed_));
    }
    return at::cat(parts);
  }
  io::Json describe() const override {
    return {{"name", "likelihood"}, {"model", model_.manifest.sha256()}, {"steps", steps_}, {"seed", seed_}};
  }

 private:
  at::Device device_;
  io::Space space_;
  nn::Model model_;
  std::unique_ptr<diffusion::NoiseSchedule> schedule_;  // null: masked letters
  std::unique_ptr<nn::Codec> codec_;
  diffusion::Decoder decoder_ = diffusion::Decoder::kDensity;
  int64_t steps_ = 64;
  uint64_t seed_ = 0;
};

}  // namespace

std::unique_ptr<Reward> make_likelihood(const RewardSpec& spec) { return std::make_unique<Likelihood>(spec); }

}  // namespace plumb::rewards
