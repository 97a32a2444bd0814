// SPDX-License-Identifier: Apache-2.0
#include "feedback/items.h"

#include "core/error.h"
#include "core/text.h"
#include "io/image_file.h"

namespace plumb::feedback {

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

}  // namespace plumb::feedback
