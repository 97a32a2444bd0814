// off-support: a linear reward along a known subspace and a penalty off it, or how far off it an item lies.   SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <map>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/sha256.h"
#include "core/text.h"
#include "io/named_array.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

constexpr const char* kUsageText = "off-support:FILE[,penalty=C][,part=linear|norm|along|ratio]";
constexpr double kOrthonormal = 1e-4;   // largest |A^T A - I| of a basis that may be float32
constexpr double kLeast = 1e-24;        // of a squared norm, so that the gradient of the root is finite

enum class Part { kReward, kLinear, kNorm, kAlong, kRatio };
const std::map<std::string, Part> kParts = {{"along", Part::kAlong}, {"linear", Part::kLinear}, {"norm", Part::kNorm}, {"ratio", Part::kRatio}};

struct Options {
  std::string file, part;
  double penalty = 5;
  bool penalty_given = false;
};

Options read_options(const RewardSpec& spec) {
  const FileArgument argument = split_file_argument(spec, kUsageText);
  const std::string subject = "reward 'off-support:" + spec.argument + "'";
  Options out;
  out.file = argument.file;
  for (const std::string& text : argument.rest) {
    if (text.starts_with("penalty=")) {
      out.penalty = parse_double(text.substr(8), subject + ": penalty");
      out.penalty_given = true;
      if (out.penalty < 0) throw Error(Exit::kUsage, subject, "a penalty is not below 0", kUsageText);
    } else if (text.starts_with("part=") && kParts.contains(text.substr(5))) {
      out.part = text.substr(5);
    } else {
      throw Error(Exit::kUsage, subject, "'" + text + "' is not understood", kUsageText);
    }
  }
  if (out.penalty_given && !out.part.empty()) throw Error(Exit::kUsage, subject, "penalty has no meaning with part=" + out.part, kUsageText);
  return out;
}

Tensor read_array(const std::string& file, const std::string& name) {
  const io::NamedArray array = io::read_named_array(file, name);
  return at::tensor(array.values, at::kDouble).view(array.shape);
}

/// f(x) = theta^T x_par - c |x_perp|^2 with x_par = A A^T x and x_perp = x - x_par. Source: Yuan et al. 2023, "Reward-directed conditional
/// diffusion: provable distribution estimation and reward improvement", section 5.1.
class OffSupport : public Reward {
 public:
  OffSupport(const RewardSpec& spec, const Options& options)
      : options_(options), part_(options.part.empty() ? Part::kReward : kParts.at(options.part)), digest_(sha256_of_file(options.file)),
        basis_(read_array(options.file, "A")), theta_(read_array(options.file, "theta")) {
    const int64_t elements = spec.space.numel();
    if (basis_.dim() != 2 || basis_.size(0) != elements || basis_.size(1) < 1 || basis_.size(1) > elements) {
      throw Error(Exit::kBadInput, options.file, cat("array 'A' is ", shape_text(basis_.sizes().vec()), ", the items need [", elements, ",d], d from 1 to ", elements));
    }
    if (theta_.dim() != 1 || theta_.size(0) != elements) {
      throw Error(Exit::kBadInput, options.file, cat("array 'theta' is ", shape_text(theta_.sizes().vec()), ", the items need [", elements, "]"));
    }
    const Tensor gram = at::matmul(basis_.t(), basis_);
    const double off = (gram - at::eye(basis_.size(1), at::kDouble)).abs().max().item<double>();
    if (off > kOrthonormal) {
      throw Error(Exit::kBadInput, options.file, cat("the columns of 'A' are not orthonormal: |A^T A - I| is up to ", off), "take Q of its QR decomposition");
    }
    device_ = spec.device;
  }

  /// Row by row: a product of matrices rounds by its number of rows, and a value must not depend on the batch.
  Tensor score(const RewardBatch& batch) override {
    std::vector<Tensor> along;
    for (const Tensor& x : batch.items.flatten(1).to(at::kDouble).unbind()) along.push_back(at::mv(basis_, at::mv(basis_.t(), x)));
    return of_parts(batch.items.flatten(1).to(at::kDouble), at::stack(along));
  }
  bool differentiable() const override { return true; }
  Tensor score_differentiable(const Tensor& x0, const Tensor&) override {
    const Tensor x = x0.to(device_).flatten(1), basis = basis_.to(x.options());
    return of_parts(x, at::matmul(at::matmul(x, basis), basis.t()));
  }
  io::Json describe() const override {
    io::Json json{{"name", "off-support"}, {"sha256", digest_}, {"dimension", basis_.size(1)}};
    if (part_ == Part::kReward) json["penalty"] = options_.penalty;
    else json["part"] = options_.part;
    return json;
  }

 private:
  /// x, x_par [B,D] -> [B]
  Tensor of_parts(const Tensor& x, const Tensor& along) const {
    const Tensor off = (x - along).square().sum(1);
    const auto root = [](const Tensor& squared) { return squared.clamp_min(kLeast).sqrt(); };
    if (part_ == Part::kNorm) return root(off);
    if (part_ == Part::kAlong) return root(along.square().sum(1));
    if (part_ == Part::kRatio) return root(off) / root(along.square().sum(1));
    const Tensor linear = (along * theta_.to(x.options())).sum(1);
    return part_ == Part::kLinear ? linear : linear - options_.penalty * off;
  }

  Options options_;
  Part part_;
  std::string digest_;
  Tensor basis_, theta_;   // A [D,d], theta [D], float64 on the CPU
  at::Device device_ = at::kCPU;
};

}  // namespace

std::unique_ptr<Reward> make_off_support(const RewardSpec& spec) {
  if (spec.space.type != "vector" && spec.space.type != "latent") {
    throw Error(Exit::kBadInput, "reward 'off-support'", "needs vectors, the items are " + spec.space.text(), "choose another reward");
  }
  return std::make_unique<OffSupport>(spec, read_options(spec));
}

}  // namespace plumb::rewards
