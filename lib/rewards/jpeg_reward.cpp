// SPDX-License-Identifier: Apache-2.0
#include "rewards/jpeg_reward.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "io/jpeg.h"
#include "rewards/image_reward.h"
#include "rewards/jpeg_rate.h"

namespace plumb::rewards {
namespace {

constexpr int kQuality = 95;
constexpr double kBytesPerKb = 1000;

class JpegReward : public Reward {
 public:
  JpegReward(std::string name, double sign) : name_(std::move(name)), sign_(sign) {}

  Tensor score(const RewardBatch& batch) override {
    const Tensor images = batch.items.contiguous();              // [B,C,H,W] uint8
    const int64_t image_size = images[0].numel();
    const uint8_t* pixels = images.const_data_ptr<uint8_t>();
    Tensor values = at::empty({images.size(0)}, at::kDouble);
    double* value = values.mutable_data_ptr<double>();
    at::parallel_for(0, images.size(0), 1, [&](int64_t begin, int64_t end) {
      io::JpegSizer sizer;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t bytes =
            sizer.size(pixels + i * image_size, images.size(1), images.size(2), images.size(3), kQuality);
        value[i] = sign_ * static_cast<double>(bytes) / kBytesPerKb;
      }
    });
    return values;
  }
  bool differentiable() const override { return true; }
  /// The value is the size itself, of the rounded pixels; the gradient is jpeg_rate's (a straight-through estimator).
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override {
    const Tensor pixels = unit_range(x0) * 255.0;
    const Tensor rate = sign_ / kBytesPerKb * jpeg_rate(pixels, kQuality);  // [B]
    const Tensor size = score({pixels.detach().round().to(at::kCPU, at::kByte), {}, 0}).to(rate.options());
    return size + (rate - rate.detach());
  }
  io::Json describe() const override { return {{"name", name_}, {"quality", kQuality}, {"unit", "kB"}}; }

 private:
  std::string name_;
  double sign_;
};

}  // namespace

std::unique_ptr<Reward> make_jpeg_reward(const RewardSpec& spec, double sign) {
  need_images(spec);
  need_no_argument(spec);
  return std::make_unique<JpegReward>(spec.name, sign);
}

}  // namespace plumb::rewards
