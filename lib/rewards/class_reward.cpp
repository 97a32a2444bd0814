// SPDX-License-Identifier: Apache-2.0
#include "rewards/class_reward.h"

#include <algorithm>
#include <charconv>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "io/class_names.h"
#include "rewards/network_reward.h"

namespace plumb::rewards {
namespace {

class ClassReward : public Reward {
 public:
  ClassReward(const RewardSpec& spec, ClassScore score) : name_(spec.name), score_(score) {
    std::string file = spec.argument;
    std::vector<std::string> wanted;
    if (const size_t comma = first_comma(file); score != ClassScore::kMinusEntropy && comma != std::string::npos) {
      wanted = split(file.substr(comma + 1), ',');
      file = file.substr(0, comma);
    }
    network_ = load_reward_network(file, spec, "classifier");
    for (std::string& name : wanted) {
      name = trim(name);
      if (name.empty()) throw Error(Exit::kUsage, subject(), "the class after ',' is missing");
      const int64_t found = find_class(name);
      if (std::find(classes_.begin(), classes_.end(), found) != classes_.end()) {
        throw Error(Exit::kUsage, subject(), "names class '" + network_.classes[static_cast<size_t>(found)] + "' twice");
      }
      classes_.push_back(found);
    }
  }

  Tensor score(const RewardBatch& batch) override {
    return of_logits(network_.outputs(batch.items), batch.label, batch.first);
  }
  bool differentiable() const override { return score_ != ClassScore::kMember; }
  Tensor score_differentiable(const Tensor& x0, const Tensor& label) override {
    if (!differentiable()) return Reward::score_differentiable(x0, label);  // refuses
    return of_logits(network_.outputs_differentiable(x0), label, 0);
  }
  io::Json describe() const override {
    io::Json json{{"name", name_}, {"sha256", network_.sha256}, {"temperature", network_.temperature}};
    if (score_ != ClassScore::kMinusEntropy) {
      json["class"] = "label";
      if (classes_.empty()) json["classes"] = network_.classes;
      if (classes_.size() == 1) json["class"] = name_of(classes_[0]);
      if (classes_.size() > 1) json["class"] = io::Json::array();
      for (size_t k = 0; classes_.size() > 1 && k < classes_.size(); ++k) json["class"].push_back(name_of(classes_[k]));
    }
    return json;
  }

 private:
  std::string subject() const { return "reward '" + name_ + "'"; }
  const std::string& name_of(int64_t index) const { return network_.classes[static_cast<size_t>(index)]; }

  /// The comma behind the file, whose own name may hold some if it ends in .h5.
  static size_t first_comma(const std::string& argument) {
    const size_t end = argument.rfind(".h5");
    return argument.find(',', end == std::string::npos ? 0 : end);
  }

  int64_t find_class(const std::string& wanted) const {
    const auto named = std::find(network_.classes.begin(), network_.classes.end(), wanted);
    if (named != network_.classes.end()) return named - network_.classes.begin();
    const auto count = static_cast<int64_t>(network_.classes.size());
    int64_t index = -1;
    const auto [end, status] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), index);
    if (status == std::errc() && end == wanted.data() + wanted.size() && index >= 0 && index < count) return index;
    const std::string near = nearest(wanted, network_.classes);
    throw Error(Exit::kUsage, subject(), "the classifier has no class '" + wanted + "'",
                near.empty() ? cat("0..", count - 1, ", or: ", join(network_.classes, ", ")) : "did you mean '" + near + "'?");
  }

  /// The class of each item: [B] int64 on the device of the logits.
  Tensor own_class(const Tensor& logits, const Tensor& label, int64_t first) const {
    if (!label.defined()) {
      throw Error(Exit::kBadInput, subject(), "the items have no label", "name a class: " + name_ + ":FILE.h5,CLASS");
    }
    const Tensor own = label.to(at::kCPU, at::kLong).contiguous();
    const int64_t* value = own.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < own.numel(); ++i) {
      if (value[i] < 0 || value[i] >= logits.size(1)) {
        throw Error(Exit::kBadInput, subject(), cat("item ", first + i, " has label ", value[i], ", the classifier has ", logits.size(1), " classes"));
      }
    }
    return own.to(logits.device());
  }

  Tensor member(const Tensor& logits, const Tensor& label, int64_t first) const {
    const Tensor predicted = logits.argmax(1);
    if (classes_.empty()) return (predicted == own_class(logits, label, first)).to(logits.scalar_type());
    return (predicted.unsqueeze(1) == at::tensor(classes_, at::kLong).to(logits.device())).any(1).to(logits.scalar_type());
  }

  Tensor of_logits(const Tensor& logits, const Tensor& label, int64_t first) const {
    if (score_ == ClassScore::kMember) return member(logits, label, first);
    const Tensor log_p = logits.log_softmax(1);                                               // [B,K]
    if (score_ == ClassScore::kMinusEntropy) return (log_p.exp() * log_p).sum(1);
    const Tensor chosen = classes_.empty() ? log_p.gather(1, own_class(logits, label, first).unsqueeze(1)).squeeze(1)
                                           : log_p.index_select(1, at::tensor(classes_, at::kLong).to(logits.device())).logsumexp(1);
    return score_ == ClassScore::kProb ? chosen.exp() : chosen;
  }

  std::string name_;
  ClassScore score_;
  RewardNetwork network_;
  std::vector<int64_t> classes_;  // empty: each item's own label
};

}  // namespace

std::unique_ptr<Reward> make_class_reward(const RewardSpec& spec, ClassScore score) {
  return std::make_unique<ClassReward>(spec, score);
}

void check_own_classes(const io::Json& described, const std::vector<std::string>& names, const std::string& whose) {
  if (described.is_object() && described.contains("classes") && described.value("class", io::Json()) == "label") {
    io::check_same_classes(described.at("classes").get<std::vector<std::string>>(), "reward '" + described.value("name", "") + "'", names, whose);
  }
  for (const io::Json& part : described) {
    if (part.is_structured()) check_own_classes(part, names, whose);
  }
}

}  // namespace plumb::rewards
