// SPDX-License-Identifier: Apache-2.0
#include "feedback/items.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "io/image_file.h"

namespace plumb::feedback {
namespace {

/// Whether a manifest on the lineage says that it is about these samples.
bool is_about(const io::Manifest& scores, const io::Manifest& samples) {
  for (const auto& [name, input] : scores.inputs()) {
    if (input.kind() == samples.kind() && input.sha256() == samples.sha256()) return true;
    if (input.kind() == "scores" && is_about(input, samples)) return true;
  }
  return false;
}

}  // namespace

ItemsDigest::ItemsDigest(const io::Space& space, int64_t count) {
  const std::string head = cat(space.type, " ", space.alphabet, " ", shape_text(space.shape), " ", count, "\n");
  add(head.data(), head.size());
}

void ItemsDigest::add(const std::vector<std::string>& prompts) {
  for (const std::string& prompt : prompts) add(prompt.c_str(), prompt.size() + 1);
}

Items::Items(const io::Manifest& samples) : samples_(samples), file_(io::open_artefact(samples)), space_(samples.space()) {
  const io::DatasetInfo info = file_.info(space_.dataset());
  const std::vector<int64_t> row(info.shape.begin() + (info.shape.empty() ? 0 : 1), info.shape.end());
  if (info.shape.empty() || row != space_.shape) {
    throw Error(Exit::kBadInput, file_.path(), cat("dataset '", space_.dataset(), "' is ", shape_text(info.shape), ", its manifest says ", space_.text()));
  }
  count_ = info.shape[0];
  if (count_ == 0) throw Error(Exit::kBadInput, file_.path(), "holds no item to ask about");
  if (file_.has("prompt")) prompts_ = file_.read_strings("prompt");
  if (!prompts_.empty() && static_cast<int64_t>(prompts_.size()) != count_) {
    throw Error(Exit::kBadInput, file_.path(), cat("has ", prompts_.size(), " prompts for ", count_, " items"));
  }
}

const std::string& Items::digest() const {
  constexpr int64_t kAtATime = 1024;
  if (!digest_.empty()) return digest_;
  ItemsDigest digest(space_, count_);
  const io::Type type = space_.stored_as_bytes() ? io::Type::kU8 : io::Type::kF32;
  const size_t row = static_cast<size_t>(space_.numel()) * (space_.stored_as_bytes() ? 1 : sizeof(float));
  std::vector<char> rows(row * static_cast<size_t>(std::min(count_, kAtATime)));
  for (int64_t first = 0; first < count_; first += kAtATime) {
    const int64_t n = std::min(kAtATime, count_ - first);
    file_.read(space_.dataset(), type, first, n, rows.data());
    digest.add(rows.data(), row * static_cast<size_t>(n));
  }
  digest.add(prompts_);
  return digest_ = digest.hex();
}

Tile Items::tile(int64_t item) const {
  Tile tile;
  tile.item = item;
  if (!prompts_.empty()) tile.prompt = prompts_[static_cast<size_t>(item)];
  if (!space_.stored_as_bytes()) {
    tile.numbers.resize(static_cast<size_t>(space_.numel()));
    file_.read(space_.dataset(), io::Type::kF32, item, 1, tile.numbers.data());
    return tile;
  }
  std::vector<uint8_t> row(static_cast<size_t>(space_.numel()));
  file_.read(space_.dataset(), io::Type::kU8, item, 1, row.data());
  if (space_.type == "image") {
    tile.png = io::encode_png(row.data(), space_.shape[0] >= 3 ? 3 : 1, space_.shape[1], space_.shape[2]);
    return tile;
  }
  for (const uint8_t code : row) {
    if (code >= space_.alphabet.size()) throw Error(Exit::kBadInput, file_.path(), cat("item ", item, " holds code ", int{code}, ", its alphabet is ", space_.alphabet));
    tile.letters += space_.alphabet[code];
  }
  return tile;
}

std::vector<int64_t> Items::labels() const { return file_.has("label") ? file_.read_i64("label") : std::vector<int64_t>(); }

std::vector<float> Items::points() const { return file_.read_f32(space_.dataset()); }

std::vector<double> score_column(const io::Manifest& input, const Items& items, const std::string& name) {
  std::vector<std::string> there;
  for (const io::Manifest& scores : input.find_all("scores")) {
    if (!is_about(scores, items.manifest())) continue;
    const io::H5Reader file = io::open_artefact(scores);
    if (!file.has("reward/" + name)) {
      for (const std::string& column : file.list("reward")) there.push_back(column);
      continue;
    }
    std::vector<double> values = file.read_f64("reward/" + name);
    if (static_cast<int64_t>(values.size()) == items.count()) return values;
    throw Error(Exit::kBadInput, scores.label(), cat("has ", values.size(), " rewards for ", items.count(), " items"));
  }
  throw Error(Exit::kBadInput, input.label(), "has no scores '" + name + "' of these items" + (there.empty() ? "" : ", but " + join(there, ", ")),
              "pipe them through: score --reward ... samples.h5 | feedback ...");
}

}  // namespace plumb::feedback
