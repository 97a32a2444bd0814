// AlignProp: the reward's gradient through a random number of the chain's last calls.
// Source: Prabhudesai et al. 2023, "Aligning text-to-image diffusion models with reward backpropagation", and its code.
// SPDX-License-Identifier: Apache-2.0
#include "align/alignprop.h"

#include "align/registry.h"
#include "core/error.h"
#include "core/text.h"

namespace plumb::align {
namespace {

class AlignProp final : public DirectBackprop {
 public:
  explicit AlignProp(const TuningContext& context)
      : DirectBackprop(context, "alignprop"),
        settings_(context.options.alignprop),
        truncation_(parse_truncation(settings_.truncation, steps())) {}

 protected:
  KeptSteps draw_steps(Philox& random) const override { return truncation_.draw(random); }
  Tensor loss(const Tensor& reward) const override { return alignprop_loss(reward, settings_.target, settings_.scale); }

 private:
  AlignPropOptions settings_;
  Truncation truncation_;
};

}  // namespace

KeptSteps Truncation::draw(Philox& random) const {
  const auto from = [this](int64_t first) { return keep_last(steps, steps - first); };
  switch (kind) {
    case Kind::kFixed: return keep_last(steps, k);
    case Kind::kUniform: return from(static_cast<int64_t>(random.below(static_cast<uint64_t>(steps))));
    case Kind::kGaussian: {
      if (steps == 1)
        return from(0);
      for (;;)
        if (const double first = mean + sd * random.normal(); first >= 1 && first < static_cast<double>(steps))
          return from(static_cast<int64_t>(first));
    }
    case Kind::kPerStep: break;
  }
  KeptSteps kept = keep_last(steps, steps);
  do
    for (int64_t i = 0; i < steps; ++i)
      kept.keep[static_cast<size_t>(i)] = i >= static_cast<int64_t>(random.below(static_cast<uint64_t>(steps) + 1));
  while (kept.count() == 0);
  return kept;
}

Truncation parse_truncation(const std::string& text, int64_t steps, const std::string& option) {
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    throw Error(Exit::kUsage, option, "'" + text + "': " + what, hint);
  };
  Truncation t;
  t.steps = steps;
  const std::vector<std::string> parts = split(text, ':');
  const double length = static_cast<double>(steps);
  if (text == "auto") {
    t.mean = 42.0 / 50.0 * length;
    t.sd = 5.0 / 50.0 * length;
  } else if (text == "uniform") {
    t.kind = Truncation::Kind::kUniform;
  } else if (text == "per-step") {
    t.kind = Truncation::Kind::kPerStep;
  } else if (parts[0] == "fixed" && parts.size() == 2) {
    t.kind = Truncation::Kind::kFixed;
    t.k = parse_int(parts[1], option);
    if (t.k < 1 || t.k > steps)
      refuse(cat(t.k, " of the chain's ", steps, " steps cannot be kept"), cat("fixed:1 to fixed:", steps));
  } else if (parts[0] == "gaussian" && parts.size() == 3) {
    t.mean = parse_double(parts[1], option);
    t.sd = parse_double(parts[2], option);
    if (!(t.mean >= 1 && t.mean < length))
      refuse(cat("the mean ", t.mean, " is not between the chain's first and last step"),
             steps > 1 ? cat("from 1 to below ", steps) : "a chain of one step has only fixed:1");
    if (!(t.sd >= 0 && t.sd <= length))
      refuse(cat("the deviation ", t.sd, " is not between 0 and the chain's ", steps, " steps"), "");
  } else {
    refuse("is no way to cut", "all (strl, braid), auto, gaussian:MEAN:SD, uniform, fixed:K or per-step");
  }
  return t;
}

std::unique_ptr<Method> make_alignprop(const TuningContext& context) { return std::make_unique<AlignProp>(context); }

}  // namespace plumb::align
