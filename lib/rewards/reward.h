// What scores a finished sample. To add a reward start from brightness.cpp (pictures) or class_prob.cpp (a network); the usual
// checks are in image_reward.h.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/manifest.h"
#include "io/space.h"

namespace plumb::rewards {

using at::Tensor;

/// A batch of finished items as they are stored in artefacts (uint8 images, codes, float vectors), on the CPU.
struct RewardBatch {
  Tensor items;          // [B,*space.shape], stored type
  Tensor label;          // [B] int64 or undefined
  int64_t first = 0;     // global index of the first item
};

/// Higher is better, raw units, one value an item. Must not depend on how items are batched.
class Reward {
 public:
  virtual ~Reward() = default;
  virtual Tensor score(const RewardBatch& batch) = 0;   // [B] float64 on the CPU
  /// True if score_differentiable is implemented (direct backprop methods need it).
  virtual bool differentiable() const { return false; }
  /// Names of the parts without a gradient; empty if differentiable().
  virtual std::vector<std::string> without_gradient() const;
  /// [B] with a gradient to x0, items in model space on the reward's device. Default: Error(kUsage) naming the reward.
  virtual Tensor score_differentiable(const Tensor& x0, const Tensor& label);
  /// True if score() is a prediction less its own uncertainty (reward 'conservative').
  virtual bool is_conservative() const { return false; }
  /// What the result depended on (weights digests, settings), for the manifest.
  virtual io::Json describe() const = 0;
  /// How many items one call should hold if memory allows (a program that takes seconds to start); 0: no wish.
  virtual int64_t preferred_batch() const { return 0; }
};

/// What a factory gets: `argument` is the text after the first ':' of "name:argument" (a file, a class, a command).
struct RewardSpec {
  std::string name, argument;
  io::Space space;
  at::Device device = at::kCPU;
  double timeout_s = 300;       // programs
};

/// An expression over rewards: "jpeg-compressibility", "class-logp:clf.h5,3*2+brightness", "exec:python3 my.py",
/// "kB=jpeg-incompressibility", ... Grammar: expression.h and plumb-rewards(7). Its values are checked to be finite.
/// Throws Error(kUsage) with the nearest name for an unknown one.
std::unique_ptr<Reward> make_reward(const std::string& expression, const io::Space& space, at::Device device,
                                    double timeout_s = 300);

/// The name a reward is stored under (/reward/NAME): COLUMN of "COLUMN=EXPRESSION", else the expression with files by their
/// names alone (class-logp:models/clf.h5 -> class-logp:clf.h5), made safe for HDF5 paths ('/' -> '_').
std::string reward_dataset_name(const std::string& expression);

}  // namespace plumb::rewards
