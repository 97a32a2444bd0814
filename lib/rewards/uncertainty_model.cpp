// SPDX-License-Identifier: Apache-2.0
#include "rewards/uncertainty_model.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/data.h"
#include "rewards/bonus.h"
#include "rewards/ensemble.h"
#include "rewards/rbf_gp.h"

namespace plumb::rewards {
namespace {

const std::string kFactor = "uncertainty/factor", kItems = "uncertainty/items", kTarget = "uncertainty/target", kMembers = "members";

std::string member_group(size_t k) { return kMembers + "/" + std::to_string(k); }

nn::NamedTensors read_group(const io::H5Reader& file, const std::string& group) {
  nn::NamedTensors values;
  for (const std::string& name : file.list(group)) values.emplace_back(name, nn::read_all(file, group + "/" + name));
  return values;
}

std::unique_ptr<nn::Predictor> read_ensemble(const io::H5Reader& file, const io::Json& network, const UncertaintyOptions& settings) {
  if (network.value("type", "") == "torchscript") throw Error(Exit::kBadInput, file.path(), "an ensemble of TorchScript networks is not known to this version");
  std::vector<std::unique_ptr<nn::Predictor>> members;
  for (int64_t k = 0; k < settings.members; ++k) {
    try {
      members.push_back(make_member(network, file.path(), settings.prior_scale, 0, k));
    } catch (const Error& error) {   // a bad option in a file is bad input, not bad usage
      throw Error(Exit::kBadInput, "", error.what());
    }
    members.back()->load_state(read_group(file, member_group(static_cast<size_t>(k))), file.path());
  }
  return std::make_unique<EnsemblePredictor>(std::move(members));
}

std::unique_ptr<nn::Predictor> read_gp(const io::H5Reader& file, const UncertaintyOptions& settings, int64_t numel) {
  const io::DatasetInfo items = file.info(kItems), target = file.info(kTarget);
  if (items.shape.size() != 2 || items.shape[0] > kMostGpItems || items.shape[1] != numel || target.shape != std::vector<int64_t>{items.shape[0]}) {
    throw Error(Exit::kBadInput, file.path(), cat("its Gaussian process is of items ", shape_text(items.shape), " and targets ", shape_text(target.shape),
                                                  ", the items have ", numel, " numbers"));
  }
  const RbfGpSettings gp{settings.length, settings.noise * settings.noise, 1};
  return std::make_unique<RbfGpPredictor>(RbfGp(nn::read_all(file, kItems), nn::read_all(file, kTarget), gp), numel);
}

/// A number of at least `least`.
double number_of(const std::string& value, double least, const std::string& subject) {
  const double parsed = parse_double(value, subject);
  if (!(parsed >= least)) throw Error(Exit::kUsage, subject, value + " is out of range", cat("at least ", least));
  return parsed;
}

}  // namespace

Tensor bonus_features(const Tensor& features, const UncertaintyOptions& options) {
  return options.covariance == "gram" ? with_constant(features) : features.to(at::kDouble);
}

Estimate UncertaintyModel::estimate(nn::Predictor& predictor, const Tensor& x, const TargetScale& scale) const {
  const auto raw = [&](const Tensor& outputs) { return outputs.to(at::kDouble) * scale.std + scale.mean; };
  if (settings.type == "bonus") {
    const Tensor features = predictor.features(x);
    return {raw(predictor.head(features).squeeze(1)), bonus(bonus_features(features, settings), factor, settings.scale)};
  }
  if (settings.type == "gp") {
    const RbfGp::Posterior posterior = dynamic_cast<RbfGpPredictor&>(predictor).posterior(x);
    return {raw(posterior.mean), posterior.variance.sqrt() * (settings.scale * scale.std)};
  }
  if (settings.type == "bootstrap") {
    const Tensor members = raw(dynamic_cast<EnsemblePredictor&>(predictor).members(x));   // [M,B]
    const Tensor mean = members.mean(0);
    return {mean, (mean - penalised(members, {settings.penalty, settings.kappa, settings.tau})).clamp_min(0)};
  }
  throw Error(Exit::kUsage, "reward", "says nothing of its uncertainty", "train it with reward-train --uncertainty");
}

io::Json UncertaintyModel::to_json() const {
  const UncertaintyOptions& o = settings;
  io::Json json{{"type", o.type}};
  if (o.type == "bonus") json.update({{"lambda", o.lambda}, {"covariance", o.covariance}, {"scale", o.scale}});
  if (o.type == "gp") json.update({{"length", o.length}, {"noise", o.noise}, {"scale", o.scale}});
  if (o.type == "bootstrap") json.update({{"members", o.members}, {"prior_scale", o.prior_scale}, {"penalty", o.penalty}, {"kappa", o.kappa}, {"tau", o.tau}});
  json["cap"] = o.cap.value();
  return json;
}

UncertaintyModel UncertaintyModel::from_json(const io::Json& json) {
  UncertaintyModel model;
  UncertaintyOptions& o = model.settings;
  const auto read = [&json](const char* key, auto& value) { json.at(key).get_to(value); };
  read("type", o.type);
  o.cap = json.at("cap").get<double>();
  if (o.type == "bonus") {
    read("covariance", o.covariance);
    read("lambda", o.lambda);
  } else if (o.type == "gp") {
    read("length", o.length);
    read("noise", o.noise);
  } else if (o.type == "bootstrap") {
    read("members", o.members);
    read("prior_scale", o.prior_scale);
    read("penalty", o.penalty);
    read("kappa", o.kappa);
    read("tau", o.tau);
  } else {
    throw Error(Exit::kBadInput, "reward.uncertainty", "its type '" + o.type + "' is not known to this version");
  }
  if (o.type != "bootstrap") read("scale", o.scale);
  const bool positive = *o.cap >= 0 && o.scale >= 0 && o.kappa >= 0 && o.prior_scale >= 0 && o.tau > 0 && o.length >= 0 && o.noise > 0;
  if (!positive || o.members < 2 || o.members > 1000) throw Error(Exit::kBadInput, "reward.uncertainty", "holds values out of range: " + json.dump());
  return model;
}

void UncertaintyModel::override_settings(const std::vector<std::string>& texts, const std::string& subject, bool with_cap) {
  UncertaintyOptions& o = settings;
  std::vector<std::string> known = o.type == "bootstrap" ? std::vector<std::string>{"kappa", "penalty", "tau"} : std::vector<std::string>{"scale"};
  if (with_cap) known.push_back("cap");
  std::string needs;   // the penalty that a setting is for
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    const std::string key = trim(text.substr(0, equals)), value = equals == std::string::npos ? "" : trim(text.substr(equals + 1));
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error(Exit::kUsage, subject, "there is no setting '" + key + "' with uncertainty " + o.type, "known: " + join(known, ", ") + ", as KEY=VALUE");
    }
    const std::string where = subject + ", " + key;
    if (key == "cap") o.cap = number_of(value, 0, where);
    if (key == "scale") o.scale = number_of(value, 0, where);
    if (key == "kappa") o.kappa = number_of(value, 0, where);
    if (key == "tau") o.tau = number_of(value, 1e-9, where);
    if (key == "penalty") o.penalty = value;
    if (key == "kappa") needs = "mean-std";
    if (key == "tau") needs = "softmin";
  }
  if (o.penalty != "min" && o.penalty != "mean-std" && o.penalty != "softmin") {
    throw Error(Exit::kUsage, subject, "there is no penalty '" + o.penalty + "'", "min, mean-std or softmin");
  }
  if (!needs.empty() && needs != o.penalty) {
    throw Error(Exit::kUsage, subject, (needs == "softmin" ? "tau" : "kappa") + std::string(" has no meaning with penalty ") + o.penalty, "add penalty=" + needs);
  }
}

void write_reward(io::H5Writer& writer, nn::Predictor& predictor, const UncertaintyModel& model) {
  if (model.settings.type == "gp") {
    const RbfGp& gp = dynamic_cast<RbfGpPredictor&>(predictor).gp();
    nn::write_tensor(writer, kItems, gp.items());
    nn::write_tensor(writer, kTarget, gp.targets());
    return;
  }
  if (model.settings.type == "bootstrap") {
    auto& ensemble = dynamic_cast<EnsemblePredictor&>(predictor);
    for (size_t k = 0; k < ensemble.size(); ++k) {
      for (const auto& [name, tensor] : ensemble.member(k).state()) nn::write_tensor(writer, member_group(k) + "/" + name, tensor);
    }
    return;
  }
  nn::write_predictor(writer, predictor);
  if (model.factor.defined()) nn::write_tensor(writer, kFactor, model.factor);
}

std::unique_ptr<nn::Predictor> read_reward(const io::H5Reader& file, const io::Json& network, UncertaintyModel& model, int64_t numel) {
  std::unique_ptr<nn::Predictor> predictor;
  const UncertaintyOptions& settings = model.settings;
  if (settings.type == "gp") predictor = read_gp(file, settings, numel);
  else if (settings.type == "bootstrap") predictor = read_ensemble(file, network, settings);
  else predictor = nn::read_predictor(file, network);
  predictor->set_requires_grad(false);
  predictor->train(false);
  if (settings.type != "bonus") return predictor;
  model.factor = nn::read_all(file, kFactor).to(at::kDouble);
  const int64_t wanted = predictor->feature_dimension() + (settings.covariance == "gram" ? 1 : 0);
  if (model.factor.sizes() != at::IntArrayRef({wanted, wanted})) {
    throw Error(Exit::kBadInput, file.path(), cat("'", kFactor, "' is ", shape_text(model.factor.sizes().vec()), ", the network has ", wanted, " features"));
  }
  return predictor;
}

}  // namespace plumb::rewards
