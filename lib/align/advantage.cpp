// Advantages.   SPDX-License-Identifier: Apache-2.0
#include "align/advantage.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace plumb::align {
namespace {

struct Moments {
  double mean = 0, std = 0;
};

template <typename Values>
Moments moments(const Values& values) {
  Moments m;
  const double n = static_cast<double>(values.size());
  for (const double v : values)
    m.mean += v;
  m.mean /= n;
  for (const double v : values)
    m.std += (v - m.mean) * (v - m.mean);
  m.std = std::sqrt(m.std / n);
  return m;
}

std::vector<double> to_vector(const Tensor& rewards) {
  const Tensor flat = rewards.to(at::kCPU, at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

}  // namespace

Tensor global_advantage(const Tensor& rewards) {
  const Moments m = moments(to_vector(rewards));
  return (rewards.to(at::kDouble) - m.mean) / (m.std + 1e-8);
}

GroupSpread parse_group_spread(const std::string& text) {
  if (text == "global")
    return GroupSpread::kGlobal;
  if (text == "group")
    return GroupSpread::kGroup;
  throw Error(Exit::kUsage, "--grpo.std", "unknown value '" + text + "'", "global or group");
}

Tensor group_advantage(const std::vector<std::string>& prompts, const Tensor& rewards, GroupSpread spread) {
  const std::vector<double> values = to_vector(rewards);
  std::map<std::string, std::vector<double>> groups;
  for (size_t i = 0; i < values.size(); ++i)
    groups[prompts.at(i)].push_back(values[i]);
  std::map<std::string, Moments> by_prompt;
  for (const auto& [prompt, group] : groups)
    by_prompt[prompt] = moments(group);
  const double all = moments(values).std;
  Tensor advantage = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  double* out = advantage.mutable_data_ptr<double>();
  for (size_t i = 0; i < values.size(); ++i) {
    const Moments& m = by_prompt.at(prompts[i]);
    const std::vector<double>& group = groups.at(prompts[i]);
    const bool equal = std::all_of(group.begin(), group.end(), [&](double v) { return v == group.front(); });  // whose mean may be rounded
    out[i] = equal ? 0.0 : (values[i] - m.mean) / ((spread == GroupSpread::kGlobal ? all : m.std) + 1e-4);
  }
  return advantage;
}

RewardTracker::RewardTracker(int64_t size, int64_t min_count)
    : size_(static_cast<size_t>(size)), min_count_(static_cast<size_t>(min_count)) {
  if (min_count > size)
    throw Error(Exit::kUsage, "--tracker-min",
                "is larger than --tracker-size, so no prompt would ever be normalised by itself");
}

Tensor RewardTracker::advantage(const std::vector<std::string>& prompts, const Tensor& rewards) {
  const std::vector<double> values = to_vector(rewards);
  for (size_t i = 0; i < values.size(); ++i) {
    std::deque<double>& history = histories_[prompts.at(i)];
    history.push_back(values[i]);
    if (history.size() > size_)
      history.pop_front();
  }
  const Moments batch = moments(values);
  std::map<std::string, Moments> by_prompt;
  for (const std::string& prompt : prompts) {
    const std::deque<double>& history = histories_.at(prompt);
    if (history.size() >= min_count_)
      by_prompt.try_emplace(prompt, moments(history));
  }
  Tensor advantage = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  double* out = advantage.mutable_data_ptr<double>();
  size_t by_history = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto own = by_prompt.find(prompts[i]);
    by_history += own != by_prompt.end();
    const Moments& m = own == by_prompt.end() ? batch : own->second;
    out[i] = (values[i] - m.mean) / (m.std + 1e-6);
  }
  history_share_ = static_cast<double>(by_history) / static_cast<double>(values.size());
  return advantage;
}

io::Json RewardTracker::to_json() const {
  io::Json state = io::Json::object();
  for (const auto& [prompt, history] : histories_)
    state[prompt] = std::vector<double>(history.begin(), history.end());
  return state;
}

void RewardTracker::restore(const io::Json& state) {
  histories_.clear();
  for (const auto& [prompt, history] : state.items()) {
    const auto values = history.get<std::vector<double>>();
    histories_[prompt].assign(values.begin(), values.end());
  }
}

Tensor RunningMoments::advantage(const Tensor& rewards) {
  const std::vector<double> values = to_vector(rewards);
  const Moments batch = moments(values);
  const double n = static_cast<double>(values.size()), all = count_ + n, apart = batch.mean - mean_;
  squares_ += n * batch.std * batch.std + apart * apart * count_ * n / all;
  mean_ += apart * n / all;
  count_ = all;
  const double std = count_ > 1 ? std::sqrt(squares_ / (count_ - 1)) : 0.0;
  return (rewards.to(at::kCPU, at::kDouble) - mean_) / (std + 1e-8);
}

void RunningMoments::restore(const io::Json& state) {
  count_ = state.at(0).get<double>();
  mean_ = state.at(1).get<double>();
  squares_ = state.at(2).get<double>();
}

Tensor discounted_returns(const Tensor& final, const Tensor& terms, int64_t steps, double gamma) {
  std::vector<Tensor> columns(static_cast<size_t>(steps));
  Tensor following = final.to(at::kDouble);
  for (int64_t i = steps - 1; i >= 0; --i) {
    if (i < steps - 1)
      following = gamma * following;
    if (terms.defined())
      following = following + terms.select(1, i);
    columns[static_cast<size_t>(i)] = following;
  }
  return at::stack(columns, 1);
}

}  // namespace plumb::align
