// SPDX-License-Identifier: Apache-2.0
#include "rewards/labelled_items.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "io/class_names.h"
#include "rewards/comparisons.h"
#include "io/exporter.h"
#include "nn/data.h"

namespace plumb::rewards {
namespace {

Tensor read_column(const io::H5Reader& file, const std::string& dataset, at::ScalarType type, int64_t count) {
  const Tensor values = nn::read_all(file, dataset).to(type);
  if (values.dim() != 1 || values.size(0) != count) {
    throw Error(Exit::kBadInput, file.path(), cat("dataset '", dataset, "' is ", shape_text(values.sizes().vec()), " for ", count, " items"));
  }
  if (type == at::kDouble && !at::isfinite(values).all().item<bool>()) {
    throw Error(Exit::kBadInput, file.path(), "dataset '" + dataset + "' holds values that are not finite");
  }
  return values;
}

LabelledItems read_classes(const io::Manifest& dataset) {
  LabelledItems labelled;
  labelled.items = dataset;
  const io::H5Reader file = io::open_artefact(dataset);
  if (!file.has("label")) throw Error(Exit::kBadInput, dataset.label(), "has no labels", "ingest it with its classes");
  labelled.target = read_column(file, "label", at::kLong, dataset.count());
  if (dataset.count() < 1) throw Error(Exit::kBadInput, dataset.label(), "holds no items");
  const int64_t low = labelled.target.min().item<int64_t>(), high = labelled.target.max().item<int64_t>();
  labelled.classes = io::class_names(dataset);
  if (!dataset.json().contains("classes")) {
    for (int64_t k = 0; k <= std::min<int64_t>(high, 65535); ++k) labelled.classes.push_back(std::to_string(k));
  }
  const auto count = static_cast<int64_t>(labelled.classes.size());
  if (low < 0 || high >= count) {
    throw Error(Exit::kBadInput, dataset.label(), cat("has labels from ", low, " to ", high, ", and ", count, " classes"));
  }
  if (count < 2) throw Error(Exit::kBadInput, dataset.label(), "has one class only: there is nothing to tell apart");
  return labelled;
}

LabelledItems read_values(const io::Manifest& source, const std::string& target) {
  LabelledItems labelled;
  if (source.kind() == "dataset") {
    const io::H5Reader file = io::open_artefact(source);
    if (!file.has("value")) {
      throw Error(Exit::kBadInput, source.label(), "is a dataset without measured values", "score it first, and name the scores");
    }
    if (!target.empty() && target != "value") throw Error(Exit::kUsage, "--target", "a dataset has the column 'value' only");
    labelled.items = source;
    labelled.target = read_column(file, "value", at::kDouble, source.count());
    labelled.target_name = "value";
    return labelled;
  }
  const io::Manifest scores = source.need("scores");
  const io::H5Reader file = io::open_artefact(scores);
  const std::vector<std::string> columns = file.list("reward");
  if (columns.empty()) throw Error(Exit::kBadInput, scores.label(), "holds no rewards");
  if (target.empty() && columns.size() > 1) {
    throw Error(Exit::kUsage, "--target", "is needed, there are several columns", join(columns, ", "));
  }
  labelled.target_name = target.empty() ? columns.front() : target;
  if (std::find(columns.begin(), columns.end(), labelled.target_name) == columns.end()) {
    throw Error(Exit::kUsage, "--target", "there is no column '" + labelled.target_name + "'", "there are: " + join(columns, ", "));
  }
  labelled.items = io::items_of(scores);
  labelled.target = read_column(file, "reward/" + labelled.target_name, at::kDouble, labelled.items.count());
  return labelled;
}

}  // namespace

LabelledItems read_labelled(const io::Manifest& source, const std::string& type, const std::string& target) {
  LabelledItems labelled = type == "classifier" ? read_classes(source.need("dataset")) : type == "preference" ? read_comparisons(source.need("feedback")) : read_values(source, target);
  const io::Space space = labelled.items.space();
  const io::DatasetInfo info = io::open_artefact(labelled.items, /*verify=*/false).info(space.dataset());
  std::vector<int64_t> expected = space.shape;
  expected.insert(expected.begin(), labelled.items.count());
  if (info.shape != expected) {
    throw Error(Exit::kBadInput, labelled.items.label(), cat("dataset '", space.dataset(), "' is ", shape_text(info.shape),
                                                             ", its manifest says ", shape_text(expected)));
  }
  return labelled;
}

void check_same_labels(const LabelledItems& train, const LabelledItems& test) {
  const io::Space a = train.items.space(), b = test.items.space();
  if (!(a == b)) throw Error(Exit::kBadInput, test.items.label(), "holds " + b.text() + ", the training items are " + a.text());
  io::check_same_classes(test.classes, test.items.label(), train.classes, train.items.label());
  const auto classes = static_cast<int64_t>(train.classes.size());
  if (classes > 0 && test.target.max().item<int64_t>() >= classes) {
    throw Error(Exit::kBadInput, test.items.label(), cat("has class ", test.target.max().item<int64_t>(), ", the training items have ", classes, " classes"));
  }
}

}  // namespace plumb::rewards
