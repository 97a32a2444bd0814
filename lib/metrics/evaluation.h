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
/// metrics manifest measured, before scores too; else the nearest samples on the lineage, then dataset, then features. Error(kBadInput) if
/// there are none, or their file is gone.
io::Manifest find_items(const io::Manifest& input);

/// Features of artefacts, through one network that is made when first needed.
class Extractor {
 public:
  Extractor(std::string spec, at::Device device, int64_t batch_size, int64_t limit)
      : spec_(std::move(spec)), device_(device), batch_size_(batch_size), limit_(limit) {}
  /// The features artefact of `items` that a command before kept (`inputs.features` of the metrics that lead to `input`), if it
  /// holds what features(items) would compute: made of the same items, by digest, with the network that `spec` names as it is now,
  /// its resize and input modes, and of enough items for the limit. One whose file is gone or has changed is passed over with a
  /// warning. The items themselves are not opened, nor is the network loaded.
  std::optional<io::Manifest> find_kept(const io::Manifest& input, const io::Manifest& items);
  /// Throws Error(kUsage) if `items` are features that another network made than the one that the user named.
  void refuse_other_network(const io::Manifest& items) const;
  /// Of a samples or dataset artefact; a features artefact is read (the first `limit` rows), and must then hold rows.
  Features features(const io::Manifest& items);
  /// Of a features artefact that holds only `mu` and `sigma`; std::nullopt if it is no such thing.
  static std::optional<Gaussian> statistics(const io::Manifest& items);
  /// Whether a network was made.
  bool loaded() const { return network_ != nullptr; }

 private:
  /// Why the kept features are not those of items; "" if they are.
  std::string difference(const io::Manifest& kept, const io::Manifest& items, const NetworkIdentity& network) const;
  std::string spec_;
  at::Device device_;
  int64_t batch_size_, limit_;
  std::unique_ptr<FeatureNetwork> network_;
  std::optional<io::Space> space_;
};

/// The codes of a samples or dataset artefact of sequences (the first `limit` items unless 0); none of other artefacts and items, or if
/// the file is gone.
std::optional<Sequences> load_sequences(const io::Manifest& items, int64_t limit);

/// The basis V [D,d] of the model that samples were made by, if its network is a subspace denoiser; none otherwise. Throws
/// Error(kBadInput) if the model is on the lineage and cannot be read.
std::optional<Tensor> load_basis(const io::Manifest& items);

/// What class-coverage judges by: the classifier of `options` if it names one, which sees the items (Error(kUsage) if it is no classifier or
/// there are features only), else the probabilities and class names of the feature network `spec`.
Predictions load_predictions(const ClassCoverageOptions& options, const std::string& spec, const io::Manifest& items, const Features& samples,
                             at::Device device, int64_t batch_size, int64_t limit);

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

/// {"name","digest","resize_mode","input_mode","dimension"}; digest and input mode are left out where there is none.
io::Json extractor_json(const Features& features);

/// Refuses (Error(kUsage, option)) to write `path` over an input, or over what is no earlier result of such an option, unless
/// forced. "" is fine.
void check_save_target(const std::string& option, const std::string& path, bool force, const std::vector<io::Manifest>& inputs);
/// Write artefact `manifest` (kind features; count and extractor are filled in) to `path` and return it as printed.
/// save_features: /features, and /probabilities and /label where they are defined. save_statistics: the fit alone, /mu and /sigma;
/// for a path in .npz pytorch-fid's file: arrays `mu`, `sigma`, float64; and `n`, which pytorch-fid passes over.
io::Manifest save_features(const std::string& path, io::Manifest manifest, const Features& features);
io::Manifest save_statistics(const std::string& path, io::Manifest manifest, const Features& features);

/// One line a metric for a person: "fid 12.3 (n 512, n_reference 10000, rank 64 of 64, cholesky)".
std::string summary_line(const std::string& name, const io::Json& metric);

}  // namespace plumb::metrics
