// From manifests to metrics: what evaluate-fid and diversity share.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "metrics/features.h"
#include "metrics/moments.h"
#include "metrics/registry.h"

namespace plumb::metrics {

/// The items that a command's input is about: the input itself if it is samples, a dataset or features; what an earlier
/// metrics manifest measured; else the nearest samples on the lineage, then dataset, then features. Error(kBadInput) if none.
io::Manifest find_items(const io::Manifest& input);

/// Features of artefacts, through one network that is made when first needed.
class Extractor {
 public:
  Extractor(std::string spec, at::Device device, int64_t batch_size, int64_t limit)
      : spec_(std::move(spec)), device_(device), batch_size_(batch_size), limit_(limit) {}
  /// Of a samples or dataset artefact; a features artefact is read (the first `limit` rows), and must then hold rows.
  Features features(const io::Manifest& items);
  /// Of a features artefact that holds only `mu` and `sigma`; std::nullopt if it is no such thing.
  static std::optional<Gaussian> statistics(const io::Manifest& items);

 private:
  std::string spec_;
  at::Device device_;
  int64_t batch_size_, limit_;
  std::unique_ptr<FeatureNetwork> network_;
  std::optional<io::Space> space_;
};

/// What --reference names: items (or their features), or statistics alone.
struct Reference {
  io::Manifest manifest;                ///< for `inputs.reference`
  std::optional<Features> features;
  std::optional<Gaussian> statistics;
};
/// `manifest` from a FILE.h5. Throws Error(kBadInput) if its features were made by another network, resize or dimension than
/// the samples'.
Reference load_reference(const io::Manifest& manifest, Extractor& extractor, const Features& samples);
/// A .npz of `mu` [d] and `sigma` [d,d] (and `n`, if it is ours). Nothing in it says which network made it: a warning.
Reference load_statistics(const std::string& path, const Features& samples);

/// {"name","digest","resize_mode","dimension"}; the digest is left out where there is none.
io::Json extractor_json(const Features& features);

/// A features artefact: /features, and /probabilities and /label where they are defined.
void write_features(io::H5Writer& writer, const Features& features);
/// A features artefact of the fit alone: /mu, /sigma.
void write_statistics(io::H5Writer& writer, const Gaussian& fit);
/// pytorch-fid's file: arrays `mu`, `sigma`, float64; and `n`, which pytorch-fid passes over.
void write_statistics_npz(const std::string& path, const Gaussian& fit);

/// One line a metric for a person: "fid 12.3 (n 512, n_reference 10000, rank 64 of 64, cholesky)".
std::string summary_line(const std::string& name, const io::Json& metric);

}  // namespace plumb::metrics
