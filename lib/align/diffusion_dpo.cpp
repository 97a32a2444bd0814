// Diffusion-DPO: of two samples, the better one is to be denoised better than the base model does, by more than the worse one.
// Source: Wallace et al. 2024, "Diffusion model alignment using direct preference optimization", eq. 14; both share noise and timestep.
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "align/online.h"
#include "align/pair_loss.h"
#include "align/papa_loss.h"
#include "align/registry.h"
#include "core/philox.h"
#include "core/progress.h"
#include "core/signals.h"
#include "core/text.h"

namespace plumb::align {
namespace {

class DiffusionDpo final : public OnlineMethod {
 public:
  explicit DiffusionDpo(const TuningContext& context) : OnlineMethod(context, "diffusion-dpo", true) {}

  int64_t updates_per_epoch() const override {
    const int64_t pairs = static_cast<int64_t>(pairs_.size()), batch = options().dpo.batch;
    return options().dpo.passes * ((pairs + batch - 1) / batch);
  }

  UpdateLog accumulate_gradients(TuningContext& context, int64_t epoch, int64_t index) override {
    const int64_t last = context.policy.schedule().num_train_timesteps() - 1, batch = options().dpo.batch;
    const int64_t in_pass = updates_per_epoch() / options().dpo.passes, pass = index / in_pass, first = index % in_pass * batch;
    Philox random(options().seed, Stream::kRolloutOrder, static_cast<uint64_t>(epoch), static_cast<uint32_t>(pass));
    const std::vector<int64_t> order = permutation(static_cast<int64_t>(pairs_.size()), random);
    const NoisedSamples noised(context, stored_, label_, without_class());
    const int64_t count = std::min(batch, static_cast<int64_t>(pairs_.size()) - first);
    UpdateLog log;
    start(log);
    Progress bar(cat("round ", epoch + 1, ": update ", index + 1, " of ", updates_per_epoch()), count);
    for (int64_t k = 0; k < count; ++k) {
      if (stop_requested()) {
        log.abandon();
        return log;
      }
      const JudgedPair& pair = pairs_[static_cast<size_t>(order[static_cast<size_t>(first + k)])];
      const int64_t better = pair.y > 0 ? pair.first : pair.second, worse = pair.y > 0 ? pair.second : pair.first;
      const int64_t draw = draw_number(epoch, index * batch + k);
      const std::vector<int64_t> t = draw_timesteps(0, last, options().dpo.timesteps, options().seed, draw);
      const int64_t levels = static_cast<int64_t>(t.size()), at_once = std::max<int64_t>(1, options().batch_size / 2);
      for (int64_t begin = 0; begin < levels; begin += at_once) {
        const int64_t n = std::min(levels, begin + at_once) - begin;
        std::vector<int64_t> rows(static_cast<size_t>(n), better), times(t.begin() + begin, t.begin() + begin + n), draws;
        rows.insert(rows.end(), static_cast<size_t>(n), worse);
        times.insert(times.end(), t.begin() + begin, t.begin() + begin + n);
        for (int64_t row = 0; row < 2 * n; ++row)
          draws.push_back((draw << 12) + begin + row % n);  // each level has its own noise, the two samples share it
        const NoisedRows chunk = noised.at_levels(rows, times, draws);
        const auto split = [n](const Tensor& error) { return std::pair(error.slice(0, 0, n), error.slice(0, n)); };
        const auto [e_w, e_l] = split(mean_square_gap(noised.noise(chunk), chunk.eps).to(at::kDouble));
        const auto [b_w, b_l] = split(mean_square_gap(noised.base_noise(chunk), chunk.eps).to(at::kDouble));
        const Tensor loss = diffusion_dpo_loss(e_w, e_l, b_w, b_l, options().dpo.beta);
        const double share = static_cast<double>(n) / static_cast<double>(levels * count);
        (loss.mean() * share).backward();
        log.add_mean("loss", loss.mean().item<double>(), share);
        log.add_mean("margin", ((e_l - b_l) - (e_w - b_w)).detach().mean().item<double>(), share);
      }
      bar.update(k + 1);
    }
    return log;
  }

  void save(nn::Checkpoint& checkpoint, bool collected) const override {
    save_round(checkpoint);
    if (!collected || !stored_.defined())
      return;
    io::Json pairs = io::Json::array();
    for (const JudgedPair& pair : pairs_)
      pairs.push_back({pair.first, pair.second, pair.y});
    checkpoint.state["dpo"] = pairs;
    checkpoint.tensors.emplace_back("dpo/stored", stored_);
    if (label_.defined())
      checkpoint.tensors.emplace_back("dpo/label", label_);
  }
  void restore(const nn::Checkpoint& checkpoint, bool collected) override {
    restore_round(checkpoint);
    if (!collected)
      return;
    pairs_.clear();
    for (const io::Json& pair : checkpoint.state.at("dpo"))
      pairs_.push_back({pair.at(0).get<int64_t>(), pair.at(1).get<int64_t>(), pair.at(2).get<double>()});
    for (const auto& [name, tensor] : checkpoint.with_prefix("dpo/"))
      (name == "stored" ? stored_ : label_) = tensor;
  }

  io::Json plan() const override {
    io::Json plan = OnlineMethod::plan();
    plan.update({{"pairs_per_update", options().dpo.batch}, {"passes", options().dpo.passes}, {"beta", options().dpo.beta},
                 {"timesteps_per_pair", options().dpo.timesteps}});
    return plan;
  }

 protected:
  bool learn_from(TuningContext&, const Judged& judged, int64_t) override {
    stored_ = judged.stored;
    label_ = judged.label;
    pairs_ = judged.pairs;
    return true;
  }

 private:
  Tensor stored_, label_;          // [N,*space.shape], [N] int64 or undefined
  std::vector<JudgedPair> pairs_;  // of rows
};

}  // namespace

std::unique_ptr<Method> make_diffusion_dpo(const TuningContext& context) { return std::make_unique<DiffusionDpo>(context); }

}  // namespace plumb::align
