// SPDX-License-Identifier: Apache-2.0
#include "metrics/evaluation.h"

#include <algorithm>
#include <deque>
#include <filesystem>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "metrics/gram.h"
#include "nn/data.h"
#include "nn/denoiser.h"
#include "nn/subspace_denoiser.h"

namespace plumb::metrics {
namespace {

std::vector<double> values_of(const Tensor& x) {
  const Tensor flat = x.to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

Gaussian checked(Tensor mean, Tensor covariance, int64_t n, const std::string& where) {
  if (mean.dim() != 1 || covariance.dim() != 2 || covariance.size(0) != mean.size(0) || covariance.size(1) != mean.size(0)) {
    throw Error(Exit::kBadInput, where, cat("mu is ", shape_text(mean.sizes().vec()), " and sigma ", shape_text(covariance.sizes().vec()),
                                            ", expected [d] and [d,d]"));
  }
  if (!mean.isfinite().all().item<bool>() || !covariance.isfinite().all().item<bool>()) {
    throw Error(Exit::kBadNumbers, where, "mu or sigma holds NaN or infinite numbers");
  }
  if (!at::allclose(covariance, covariance.t(), 1e-5, 1e-8 * covariance.abs().max().item<double>())) {
    throw Error(Exit::kBadInput, where, "sigma is not symmetric, so it is no covariance");
  }
  if (std::get<1>(at::linalg_cholesky_ex(covariance, false, false)).item<int>() != 0) {  // singular at best
    const Tensor values = at::linalg_eigvalsh(covariance);
    if (values[0].item<double>() < -1e-6 * values[-1].item<double>()) {
      throw Error(Exit::kBadInput, where, cat("sigma has the negative eigenvalue ", values[0].item<double>(), ", so it is no covariance"));
    }
  }
  Gaussian out;
  out.mean = std::move(mean);
  out.covariance = std::move(covariance);
  out.n = n;
  return out;
}

/// An input of a manifest that was read from a file is cut to kind, digest and path: the manifest behind it. Throws
/// Error(kBadInput) if that file is gone or has changed.
io::Manifest whole(const io::Manifest& input) {
  if (input.json().contains("format")) return input;
  io::verify_digest(input);
  return io::Manifest::read(input.path());
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : text.substr(0, 12); }

}  // namespace

io::Manifest find_items(const io::Manifest& input) {
  const std::vector<std::string> kinds{"samples", "dataset", "features"};
  if (std::find(kinds.begin(), kinds.end(), input.kind()) != kinds.end()) return input;
  for (const auto& [name, next] : input.inputs()) {
    if (input.kind() == "metrics" && name == "samples") return whole(next);  // what it measured; a reference may be samples too
    if (input.kind() == "scores" && (next.kind() == "metrics" || next.kind() == "scores")) return find_items(whole(next));
  }
  for (const std::string& kind : kinds) {
    if (auto found = input.find(kind)) return whole(*found);
  }
  return input.need("samples");
}

namespace {

/// `inputs.features` of the metrics that lead to `input`, nearest first: the only artefacts on a lineage that are features of the
/// items measured (a reference may be features too).
std::vector<io::Manifest> kept_features(const io::Manifest& input) {
  std::vector<io::Manifest> out;
  std::deque<io::Manifest> queue{input};
  while (!queue.empty()) {
    const io::Manifest node = std::move(queue.front());
    queue.pop_front();
    for (const auto& [name, next] : node.inputs()) {
      if (name == "features" && next.kind() == "features") out.push_back(next);
      if (next.kind() == "metrics" || next.kind() == "scores") queue.push_back(next);
    }
  }
  return out;
}

}  // namespace

std::string Extractor::difference(const io::Manifest& kept, const io::Manifest& items, const NetworkIdentity& network) const {
  std::string made_of;
  for (const auto& [name, input] : kept.inputs()) {
    if (name == "items") made_of = input.sha256();
  }
  if (made_of.empty() || made_of != items.sha256()) return "they are of other items";
  const io::Json extractor = kept.json().value("extractor", io::Json::object());
  const auto is = [&](const char* key, const std::string& wanted) { return extractor.value(key, std::string()) == wanted; };
  if (!is("digest", network.digest) || (network.digest.empty() && !is("name", network.name))) return "they were made with another network";
  if (!is("resize_mode", network.resize_mode) || !is("input_mode", network.input_mode)) return "their images were prepared in another way";
  const int64_t needed = limit_ > 0 ? std::min(limit_, items.count()) : items.count();
  if (needed < 1 || kept.count() < needed) return "they are fewer";
  const io::H5Reader file(kept.path());
  if (!file.has("features")) return "they are a mean and covariance only";
  if (network.probabilities && !file.has("probabilities")) return "they have no class probabilities";
  return "";
}

std::optional<io::Manifest> Extractor::find_kept(const io::Manifest& input, const io::Manifest& items) {
  if (items.kind() == "features") return std::nullopt;
  const std::vector<io::Manifest> found = kept_features(input);
  if (found.empty()) return std::nullopt;
  const NetworkIdentity network = identify_feature_network(spec_, items.space());
  for (const io::Manifest& one : found) {
    try {
      io::verify_digest(one);
      const io::Manifest kept = whole(one);
      const std::string why = difference(kept, items, network);
      if (why.empty()) {
        log::verbose("features are taken from ", kept.label(), ": same items, network and resize mode");
        space_ = items.space();
        return kept;
      }
      log::verbose("features of ", kept.label(), " are not used: ", why);
    } catch (const Error& e) {
      log::warn(e.what(), "; the features are computed again");
    }
  }
  return std::nullopt;
}

void Extractor::refuse_other_network(const io::Manifest& items) const {
  if (items.kind() != "features") return;
  const io::Json extractor = items.json().value("extractor", io::Json::object());
  const std::string name = extractor.value("name", std::string("unknown"));
  bool same = name == spec_ || items.json().value("config", io::Json::object()).value("features", std::string()) == spec_;
  for (const auto& [role, made_of] : items.inputs()) {  // a network has many spellings; that of the items says which it is
    std::error_code none;
    if (same || role != "items" || !std::filesystem::exists(made_of.path(), none)) continue;
    const NetworkIdentity network = identify_feature_network(spec_, whole(made_of).space());
    same = network.digest.empty() ? network.name == name : network.digest == extractor.value("digest", std::string());
  }
  if (!same) throw Error(Exit::kUsage, "--features", cat(items.label(), " holds features already, made by ", name), "leave it out, or give the items");
}

Features Extractor::features(const io::Manifest& items) {
  if (items.kind() == "features") {
    const io::H5Reader file = io::open_artefact(items);
    if (!file.has("features")) {
      throw Error(Exit::kBadInput, items.label(), "holds a mean and covariance only, not the features of items", "make it with --save-features");
    }
    Features out;
    const int64_t count = file.info("features").shape.at(0);
    const int64_t n = limit_ > 0 ? std::min(limit_, count) : count;
    const auto rows = [&](const char* name) { return file.has(name) ? nn::read_rows(file, name, 0, n) : Tensor(); };
    out.features = rows("features");
    out.probabilities = rows("probabilities");
    out.label = rows("label");
    const io::Json extractor = items.json().value("extractor", io::Json::object());
    out.extractor = extractor.value("name", std::string("unknown"));
    out.digest = extractor.value("digest", std::string());
    out.resize_mode = extractor.value("resize_mode", std::string("none"));
    out.input_mode = extractor.value("input_mode", std::string());
    check_features(out.features, items.label());
    return out;
  }
  if (space_ && !(items.space() == *space_)) {
    throw Error(Exit::kBadInput, items.label(), "holds " + items.space().text() + ", the samples are " + space_->text(),
                "compare items of one space");
  }
  space_ = items.space();
  if (!network_) network_ = make_feature_network(spec_, *space_, device_);
  log::verbose("features of ", items.label(), " are computed by ", network_->name());
  return extract_features(items, *network_, batch_size_, limit_);
}

std::optional<Gaussian> Extractor::statistics(const io::Manifest& items) {
  if (items.kind() != "features") return std::nullopt;
  const io::H5Reader file = io::open_artefact(items);
  if (file.has("features") || !file.has("mu") || !file.has("sigma")) return std::nullopt;
  return checked(nn::read_all(file, "mu").to(at::kDouble), nn::read_all(file, "sigma").to(at::kDouble), items.count(), items.label());
}

namespace {

void check_same_network(const io::Json& ours, const io::Json& theirs, const std::string& where) {
  for (const char* key : {"name", "digest", "resize_mode", "input_mode"}) {
    const std::string a = ours.value(key, std::string()), b = theirs.value(key, std::string());
    if (std::string(key) == "input_mode" && (a.empty() || b.empty())) continue;  // artefacts of older versions do not say
    if (a == b || (std::string(key) == "name" && ours.value("digest", std::string()) == theirs.value("digest", std::string("-")))) continue;
    throw Error(Exit::kBadInput, where, cat("its features were made with another ", key, ", ", or_none(b), " and not ", or_none(a)),
                "use one feature network for both sides");
  }
}

void check_dimension(int64_t d, const Features& samples, const std::string& where) {
  if (d == samples.features.size(1)) return;
  throw Error(Exit::kBadInput, where, cat("has ", d, " dimensions, the samples' features ", samples.features.size(1)),
              "use one feature network for both sides");
}

}  // namespace

std::optional<Sequences> load_sequences(const io::Manifest& items, int64_t limit) {
  std::error_code none;
  if ((items.kind() != "samples" && items.kind() != "dataset") || !items.has_space() || !std::filesystem::exists(items.path(), none)) return std::nullopt;
  const io::Space space = items.space();
  if (space.type != "sequence") return std::nullopt;
  const io::H5Reader file = io::open_artefact(items);
  const int64_t count = file.info(space.dataset()).shape.at(0);
  return Sequences{nn::read_rows(file, space.dataset(), 0, limit > 0 ? std::min(limit, count) : count).contiguous(), space.alphabet};
}

Reference load_reference(const io::Manifest& manifest, Extractor& extractor, const Features& samples) {
  Reference out;
  out.manifest = find_items(manifest);
  const std::string where = out.manifest.label();
  if (auto fit = Extractor::statistics(out.manifest)) {
    check_same_network(extractor_json(samples), out.manifest.json().value("extractor", io::Json::object()), where);
    check_dimension(fit->dimension(), samples, where);
    out.statistics = std::move(fit);
    return out;
  }
  out.features = extractor.features(out.manifest);
  check_same_network(extractor_json(samples), extractor_json(*out.features), where);
  check_dimension(out.features->features.size(1), samples, where);
  return out;
}

std::optional<Tensor> load_basis(const io::Manifest& items) {
  const auto model = items.find("model");
  if (!model) return std::nullopt;
  const nn::Model loaded = nn::load_model(whole(*model), at::kCPU);
  const auto* subspace = dynamic_cast<const nn::SubspaceDenoiser*>(loaded.denoiser.get());
  if (!subspace) return std::nullopt;
  const at::NoGradGuard no_grad;
  return subspace->basis();
}

Reference load_statistics(const std::string& path, const Features& samples) {
  Reference out;
  const auto array = [&](const char* name) {
    const io::NpyArray a = io::read_npz(path, name);
    return at::tensor(a.as_f64(), at::kDouble).view(a.header.shape);
  };
  const std::vector<std::string> names = io::npz_names(path);
  int64_t n = 0;
  if (std::find(names.begin(), names.end(), "n") != names.end()) n = array("n").sum().to(at::kLong).item<int64_t>();
  out.statistics = checked(array("mu"), array("sigma"), n, path);
  check_dimension(out.statistics->dimension(), samples, path);
  log::warn(path, ": nothing in it says which network made it; is it ", samples.extractor, " with resize ", samples.resize_mode, "?");
  out.manifest = io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "features"}, {"count", n},
                                       {"path", io::absolute_path(path)}, {"sha256", sha256_of_file(path)}});
  return out;
}

Predictions load_predictions(const ClassCoverageOptions& options, const std::string& spec, const io::Manifest& items, const Features& samples,
                             at::Device device, int64_t batch_size, int64_t limit) {
  const bool has_items = items.kind() != "features";
  if (options.classifier.empty()) {
    return {samples.probabilities, has_items ? identify_feature_network(spec, items.space()).classes : std::vector<std::string>{}, "", ""};
  }
  const std::string option = "--class-coverage.classifier", own = "classifier:" + options.classifier;
  if (!has_items) throw Error(Exit::kUsage, option, "the input holds features only, the classifier needs the items", "leave it out, or give the samples");
  const NetworkIdentity network = identify_feature_network(own, items.space());
  const Features seen = spec == own ? samples : Extractor(own, device, batch_size, limit).features(items);
  if (!seen.probabilities.defined()) throw Error(Exit::kUsage, option, options.classifier + " is no classifier", "reward-train --type classifier");
  return {seen.probabilities, network.classes, network.name, network.digest};
}

io::Json extractor_json(const Features& features) {
  io::Json out{{"name", features.extractor}};
  if (!features.digest.empty()) out["digest"] = features.digest;
  out["resize_mode"] = features.resize_mode;
  if (!features.input_mode.empty()) out["input_mode"] = features.input_mode;
  out["dimension"] = features.features.size(1);
  return out;
}

void check_save_target(const std::string& option, const std::string& path, bool force, const std::vector<io::Manifest>& inputs) {
  namespace fs = std::filesystem;
  std::error_code none;
  if (path.empty() || !fs::exists(path, none)) return;
  for (const io::Manifest& input : inputs) {
    if (!input.path().empty() && fs::equivalent(path, input.path(), none)) {
      throw Error(Exit::kUsage, option, path + " is an input of this command and would be replaced", "name another file");
    }
  }
  if (force) return;
  bool ours = false;
  try {
    ours = path.ends_with(".npz") ? !io::read_npz(path, "mu").bytes.empty() : io::Manifest::read(path).kind() == "features";
  } catch (const Error&) {
  }
  if (!ours) throw Error(Exit::kUsage, option, path + " is there and holds something else", "name another file, or replace it with --force");
}

io::Manifest save_features(const std::string& path, io::Manifest manifest, const Features& features) {
  manifest.json().update({{"count", features.features.size(0)}, {"extractor", extractor_json(features)}});
  io::H5Writer writer(path);
  nn::write_tensor(writer, "features", features.features);
  if (features.probabilities.defined()) nn::write_tensor(writer, "probabilities", features.probabilities);
  if (features.label.defined()) nn::write_tensor(writer, "label", features.label);
  return io::commit_artefact(writer, manifest);
}

io::Manifest save_statistics(const std::string& path, io::Manifest manifest, const Features& features) {
  const Gaussian fit = fit_gaussian(features.features);
  manifest.json().update({{"count", fit.n}, {"extractor", extractor_json(features)}});
  if (!path.ends_with(".npz")) {
    io::H5Writer writer(path);
    nn::write_tensor(writer, "mu", fit.mean);
    nn::write_tensor(writer, "sigma", fit.full_covariance());
    return io::commit_artefact(writer, manifest);
  }
  const int64_t d = fit.dimension(), n = fit.n;
  io::write_npz(path, {{"mu", io::npy_bytes({d}, values_of(fit.mean))},
                       {"sigma", io::npy_bytes({d, d}, values_of(fit.full_covariance()))},
                       {"n", io::npy_bytes("<i8", {1}, &n, sizeof n)}});
  manifest.json().update({{"path", io::absolute_path(path)}, {"sha256", sha256_of_file(path)}});
  return manifest;
}

std::string summary_line(const std::string& name, const io::Json& metric) {
  std::string out = name;
  std::vector<std::string> notes;
  const auto number = [](const io::Json& value) { return value.is_number_integer() ? std::to_string(value.get<int64_t>()) : cat(value.get<double>()); };
  for (const auto& [key, value] : metric.items()) {
    if (key == "value") {
      out += cat(" ", value.get<double>());
    } else if (key == "stderr") {
      out += cat(" +- ", value.get<double>());
    } else if (key == "low" && metric.contains("high")) {
      notes.push_back(cat("95 % ", number(value), " to ", number(metric["high"])));
    } else if (key == "high") {
      continue;
    } else if (value.is_string()) {
      notes.push_back(cat(key, " ", value.get<std::string>()));
    } else if (value.is_number()) {
      notes.push_back(cat(key, " ", number(value)));
    }
  }
  return out + (notes.empty() ? "" : " (" + join(notes, ", ") + ")");
}

}  // namespace plumb::metrics
