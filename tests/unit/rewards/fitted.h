// Small regressors with uncertainty, trained on points of the plane.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "artefacts.h"
#include "offline_case.h"
#include "rewards/reward_fit.h"

namespace plumb::rewards::test {

inline io::Space plane() { return {"vector", {2}, ""}; }

/// n points around (-3,0), (0,0) and (3,0), sd 0.4, with target 1 + x1 + 0.05 noise: (0,4) is far from all, (0,0) is not.
struct Points {
  at::Tensor items, target;
  explicit Points(int64_t n, uint64_t seed = 1) : items(normal_values(n, 2, seed) * 0.4), target(normal_values(n, 1, seed + 100).squeeze(1) * 0.05 + 1) {
    for (int64_t i = 0; i < n; ++i) items[i][0] += static_cast<double>(3 * (i % 3) - 3);
    target += items.select(1, 0);
    items = items.to(at::kFloat);
  }
};

inline RewardTrainingOptions quick_fit(const std::string& type) {
  RewardTrainingOptions options;
  options.type = "regressor";
  options.steps = 120;
  options.batch_size = 32;
  options.lr = 5e-3;
  options.lr_warmup = 0;
  options.weight_decay = 0;
  options.held_out = 0.1;
  options.seed = 4;
  options.uncertainty.type = type;
  options.uncertainty.members = 3;
  options.uncertainty.scale = 1;
  return options;
}

/// The items as an artefact, and a fit on them.
struct Fit {
  Folder folder;
  io::Manifest manifest;
  std::unique_ptr<io::H5Reader> file;
  std::unique_ptr<ItemRows> rows;
  std::unique_ptr<nn::Codec> codec;
  at::Tensor target;
  RewardTrainingOptions options;
  ChosenItems chosen;
  std::unique_ptr<RewardFit> fit;

  Fit(const at::Tensor& items, const at::Tensor& targets, const io::Space& space, const io::Json& network, const RewardTrainingOptions& o)
      : target(targets), options(o) {
    io::H5Writer writer(folder / "items.h5");
    nn::write_tensor(writer, space.dataset(), items);
    manifest = io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "dataset"}, {"count", items.size(0)}, {"space", space.to_json()}}));
    file = std::make_unique<io::H5Reader>(manifest.path());
    rows = std::make_unique<ItemRows>(*file, space.dataset());
    codec = nn::make_codec(space, "test");
    chosen = choose_items(target, options);
    fit = std::make_unique<RewardFit>(network, "test", *rows, *codec, target, chosen.split, options, at::kCPU);
  }
  Fit(const Points& points, const RewardTrainingOptions& o)
      : Fit(points.items, points.target, plane(), {{"type", "mlp"}, {"config", {{"elements", 2}, {"hidden", {16, 16}}, {"activation", "relu"}}}}, o) {}

  FittedReward finish() {
    while (!fit->done()) fit->step();
    return fit->finish();
  }
  /// Finishes, and writes the artefact.
  std::string write(const io::Space& space) {
    FittedReward fitted = finish();
    io::Json reward = reward_json(*fit, fitted, options, chosen, target);
    reward["target"]["name"] = "x";
    io::H5Writer writer(folder / "r.h5");
    write_reward(writer, *fitted.predictor, fitted.uncertainty);
    io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "reward"}, {"space", space.to_json()}, {"reward", reward}}));
    return folder / "r.h5";
  }
};

inline Estimate estimate_at(const FittedReward& fitted, const at::Tensor& points) {
  const at::NoGradGuard no_grad;
  return fitted.uncertainty.estimate(*fitted.predictor, points.to(at::kFloat), fitted.scale);
}

}  // namespace plumb::rewards::test
