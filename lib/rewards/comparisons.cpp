// SPDX-License-Identifier: Apache-2.0
#include "rewards/comparisons.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "io/artefact.h"
#include "io/exporter.h"
#include "nn/data.h"
#include "rewards/labelled_items.h"

namespace plumb::rewards {

LabelledItems read_comparisons(const io::Manifest& feedback) {
  LabelledItems labelled;
  labelled.items = io::items_of(feedback);
  labelled.target_name = "preference";
  const io::H5Reader file = io::open_artefact(feedback);
  const bool compared = file.has("pair");
  const std::string rows = compared ? "pair" : "item", answers = compared ? "pair_y" : "y";
  labelled.pairs = nn::read_all(file, rows).to(at::kLong);
  const Tensor y = nn::read_all(file, answers).to(at::kDouble);
  if (y.numel() == 0) throw Error(Exit::kBadInput, feedback.label(), "holds no answers: there is nothing to learn");
  if (!compared) labelled.pairs = at::stack({labelled.pairs, at::full_like(labelled.pairs, -1)}, 1);
  if (labelled.pairs.dim() != 2 || labelled.pairs.size(1) != 2 || labelled.pairs.size(0) != y.numel()) {
    throw Error(Exit::kBadInput, feedback.label(), "'" + rows + "' and '" + answers + "' do not fit each other");
  }
  const Tensor named = compared ? labelled.pairs : labelled.pairs.select(1, 0);
  if (named.min().item<int64_t>() < 0 || named.max().item<int64_t>() >= labelled.items.count()) {
    throw Error(Exit::kBadInput, feedback.label(), cat("judges items that are not among the ", labelled.items.count(), " of ", labelled.items.label()));
  }
  if (!(y.abs() <= 1).all().item<bool>()) throw Error(Exit::kBadInput, feedback.label(), "'" + answers + "' is not within -1 .. 1");
  labelled.target = (y + 1) / 2;
  return labelled;
}

std::vector<int64_t> compared_rows(const Tensor& pairs, const std::vector<int64_t>& which) {
  const Tensor chosen = pairs.index_select(0, at::tensor(which, at::kLong)), first = chosen.select(1, 0), second = chosen.select(1, 1);
  const Tensor rows = at::cat({first, at::where(second < 0, first, second)}).contiguous();
  return {rows.const_data_ptr<int64_t>(), rows.const_data_ptr<int64_t>() + rows.numel()};
}

Tensor margins(const Tensor& outputs, const Tensor& pairs, const std::vector<int64_t>& which) {
  const Tensor r = outputs.squeeze(1), second = pairs.index_select(0, at::tensor(which, at::kLong)).select(1, 1).to(outputs.device());
  const auto count = static_cast<int64_t>(which.size());
  return r.narrow(0, 0, count) - at::where(second < 0, at::zeros_like(r.narrow(0, count, count)), r.narrow(0, count, count));
}

Tensor preference_loss(const Tensor& margin, const Tensor& target) {
  return at::binary_cross_entropy_with_logits(margin, target.to(margin.device(), margin.scalar_type()));
}

io::Json preference_quality(const Tensor& margin, const Tensor& target) {
  const Tensor lean = (target - 0.5).sign(), decided = lean != 0;
  const auto count = decided.sum().item<int64_t>();
  const Tensor right = (1 + margin.sign() * lean) / 2;  // 1, 1/2 or 0
  return {{"count", target.size(0)},
          {"decided", count},
          {"accuracy", count > 0 ? io::Json(right.masked_select(decided).mean().item<double>()) : io::Json(nullptr)},
          {"nll", check_finite(preference_loss(margin, target).item<double>(), "nll")}};
}

}  // namespace plumb::rewards
