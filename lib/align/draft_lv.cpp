// DRaFT-LV: DRaFT through the last call alone, averaged over several noises of that call for a lower variance.
// Source: Clark et al. 2024, "Directly fine-tuning diffusion models on differentiable rewards", sec. 4 and alg. 2.
// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "align/direct.h"
#include "align/registry.h"

namespace plumb::align {
namespace {

class DraftLv final : public DirectBackprop {
 public:
  explicit DraftLv(const TuningContext& context)
      : DirectBackprop(context, "draft-lv"),
        n_(context.options.draft.lv_n),
        base_(context.options.draft.lv_include_base == "on"),
        alpha_(context.policy.alpha_cumprod(steps() - 1)) {}

 protected:
  KeptSteps draw_steps(Philox&) const override {
    KeptSteps kept = keep_last(steps(), 1);
    kept.keep.back() = base_;
    return kept;
  }
  Tensor loss(const Tensor& reward) const override { return draft_loss(reward); }

  std::vector<Tensor> scored(const DirectBatch& batch, const Tensor& x) const override {
    std::vector<Tensor> all;
    if (base_)
      all.push_back(x);
    for (int64_t k = 0; k < n_; ++k) {
      const Tensor z = nn::normal_noise(options().seed, static_cast<int>(Stream::kRenoise), batch.items, static_cast<uint32_t>(k),
                                        x.sizes().slice(1).vec(), batch.device);
      all.push_back(renoised(batch.chain, x, z, alpha_, batch.observe));
    }
    return all;
  }
  int64_t queries_per_sample() const override { return n_ + 1; }

 private:
  int64_t n_;
  bool base_;
  double alpha_;
};

}  // namespace

std::unique_ptr<Method> make_draft_lv(const TuningContext& context) { return std::make_unique<DraftLv>(context); }

}  // namespace plumb::align
