// SPDX-License-Identifier: Apache-2.0
#include "metrics/evaluation.h"

#include <algorithm>
#include <cstring>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "metrics/gram.h"
#include "nn/data.h"

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
  Gaussian out;
  out.mean = std::move(mean);
  out.covariance = std::move(covariance);
  out.n = n;
  return out;
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : text.substr(0, 12); }

}  // namespace

io::Manifest find_items(const io::Manifest& input) {
  const std::vector<std::string> kinds{"samples", "dataset", "features"};
  if (std::find(kinds.begin(), kinds.end(), input.kind()) != kinds.end()) return input;
  if (input.kind() == "metrics") {  // its `samples` are what it measured; a reference may be samples too
    for (const auto& [name, manifest] : input.inputs()) {
      if (name == "samples") return manifest;
    }
  }
  for (const std::string& kind : kinds) {
    if (auto found = input.find(kind)) return *found;
  }
  return input.need("samples");
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
    check_features(out.features, items.label());
    return out;
  }
  if (!network_ || !(items.space() == *space_)) {
    if (network_) {
      throw Error(Exit::kBadInput, items.label(), "holds " + items.space().text() + ", the samples are " + space_->text(),
                  "compare items of one space");
    }
    space_ = items.space();
    network_ = make_feature_network(spec_, *space_, device_);
  }
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
  for (const char* key : {"name", "digest", "resize_mode"}) {
    const std::string a = ours.value(key, std::string()), b = theirs.value(key, std::string());
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

io::Json extractor_json(const Features& features) {
  io::Json out{{"name", features.extractor}};
  if (!features.digest.empty()) out["digest"] = features.digest;
  out["resize_mode"] = features.resize_mode;
  out["dimension"] = features.features.size(1);
  return out;
}

void write_features(io::H5Writer& writer, const Features& features) {
  nn::write_tensor(writer, "features", features.features);
  if (features.probabilities.defined()) nn::write_tensor(writer, "probabilities", features.probabilities);
  if (features.label.defined()) nn::write_tensor(writer, "label", features.label);
}

void write_statistics(io::H5Writer& writer, const Gaussian& fit) {
  nn::write_tensor(writer, "mu", fit.mean);
  nn::write_tensor(writer, "sigma", fit.full_covariance());
}

void write_statistics_npz(const std::string& path, const Gaussian& fit) {
  const int64_t d = fit.dimension(), n = fit.n;
  io::write_npz(path, {{"mu", io::npy_bytes({d}, values_of(fit.mean))},
                       {"sigma", io::npy_bytes({d, d}, values_of(fit.full_covariance()))},
                       {"n", io::npy_bytes("<i8", {1}, &n, sizeof n)}});
}

std::string summary_line(const std::string& name, const io::Json& metric) {
  std::string out = name;
  std::vector<std::string> notes;
  for (const auto& [key, value] : metric.items()) {
    if (key == "value") {
      out += cat(" ", value.get<double>());
    } else if (key == "stderr") {
      out += cat(" +- ", value.get<double>());
    } else if (value.is_string()) {
      notes.push_back(cat(key, " ", value.get<std::string>()));
    } else if (value.is_number()) {
      notes.push_back(cat(key, " ", value.is_number_integer() ? std::to_string(value.get<int64_t>()) : cat(value.get<double>())));
    }
  }
  return out + (notes.empty() ? "" : " (" + join(notes, ", ") + ")");
}

}  // namespace plumb::metrics
