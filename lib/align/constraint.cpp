// Constraints and their multipliers.   SPDX-License-Identifier: Apache-2.0
#include "align/constraint.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace plumb::align {
namespace {

constexpr const char* kOption = "--constraint";

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

}  // namespace

ConstraintSpec parse_constraint(const std::string& text) {
  const size_t sign = text.rfind(">=");
  if (sign == std::string::npos)
    throw Error(Exit::kUsage, kOption, "'" + text + "' names no floor", "EXPR>=FLOOR, as in 'brightness>=0.2'");
  const std::string expression = trimmed(text.substr(0, sign)), floor = trimmed(text.substr(sign + 2));
  if (expression.empty())
    throw Error(Exit::kUsage, kOption, "'" + text + "' names no reward", "EXPR>=FLOOR, as in 'brightness>=0.2'");
  return {expression, parse_double(floor, kOption)};
}

Multipliers::Multipliers(std::vector<double> floors, double lr, double maximum)
    : floors_(std::move(floors)), lambda_(floors_.size(), 0.0), lr_(lr), maximum_(maximum) {}

void Multipliers::update(const Tensor& values) {
  for (size_t j = 0; j < floors_.size(); ++j) {
    const Tensor row = values[static_cast<int64_t>(j)];
    if (spread_.size() == j) {
      const double spread = row.std(0, false).item<double>();
      spread_.push_back(spread > 0 ? spread : 1.0);
    }
    const double shortfall = (floors_[j] - row.mean().item<double>()) / spread_[j];
    lambda_[j] = std::clamp(lambda_[j] + lr_ * shortfall, 0.0, maximum_);
  }
}

Tensor Multipliers::combine(const Tensor& advantage, const Tensor& of_constraints) const {
  if (lambda_.empty())
    return advantage;
  const Tensor lambda = at::tensor(lambda_, at::kDouble);
  return (advantage + at::mv(of_constraints.t(), lambda)) / (1.0 + lambda.sum());
}

io::Json Multipliers::to_json() const { return {{"lambda", lambda_}, {"spread", spread_}}; }

void Multipliers::restore(const io::Json& state) {
  lambda_ = state.at("lambda").get<std::vector<double>>();
  spread_ = state.at("spread").get<std::vector<double>>();
}

std::vector<Constraint> make_constraints(const FinetuneOptions& o, const io::Space& space, at::Device device) {
  std::vector<Constraint> constraints;
  for (const std::string& text : o.constraints) {
    const ConstraintSpec spec = parse_constraint(text);
    constraints.push_back({spec, rewards::make_reward(spec.expression, space, device, o.reward_timeout_s)});
  }
  return constraints;
}

}  // namespace plumb::align
