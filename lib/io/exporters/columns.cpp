// SPDX-License-Identifier: Apache-2.0
#include "io/exporters/columns.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>

#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "io/exporter.h"

namespace plumb::io {
namespace {

constexpr int64_t kPiece = 4096;          // items read at a time, if they are not long
constexpr int64_t kPieceBytes = 8 << 20;

/// The shortest text that reads back as the same float.
std::string number(float value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// A dataset of one element an item, each spelt.
template <typename T, typename Spell>
Column column(const std::shared_ptr<H5Reader>& file, const Manifest& items, const std::string& dataset, Type type, const std::string& name,
              const Spell& spell) {
  const std::vector<int64_t> shape = file->info(dataset).shape;
  if (shape.size() != 1 || shape[0] < items.count()) {
    throw Error(Exit::kBadInput, items.label(), "has fewer values of '" + name + "' than items");
  }
  return {name, [=](int64_t first, int64_t count) {
            std::vector<T> values(static_cast<size_t>(count));
            file->read(dataset, type, first, count, values.data());
            std::vector<std::string> cells;
            for (const T& value : values) cells.push_back(spell(value));
            return cells;
          }};
}

Column prompt_column(const H5Reader& file, const Manifest& items) {
  const auto texts = std::make_shared<std::vector<std::string>>(file.read_strings("prompt"));
  if (static_cast<int64_t>(texts->size()) < items.count()) throw Error(Exit::kBadInput, items.label(), "has fewer values of 'prompt' than items");
  return {"prompt", [texts](int64_t first, int64_t count) {
            return std::vector<std::string>(texts->begin() + first, texts->begin() + first + count);
          }};
}

}  // namespace

std::vector<Column> item_columns(const Manifest& input, const Manifest& items) {
  std::vector<Column> columns;
  const auto file = std::make_shared<H5Reader>(open_artefact(items));
  if (file->has("label")) {
    columns.push_back(column<int64_t>(file, items, "label", Type::kI64, "label", [](int64_t label) { return std::to_string(label); }));
    const Json classes = items.json().value("classes", Json::array());
    if (classes.is_array() && !classes.empty()) {
      columns.push_back(column<int64_t>(file, items, "label", Type::kI64, "class", [classes](int64_t label) -> std::string {
        const bool known = label >= 0 && static_cast<size_t>(label) < classes.size() && classes[static_cast<size_t>(label)].is_string();
        return known ? classes[static_cast<size_t>(label)].get<std::string>() : "";
      }));
    }
  }
  if (file->has("prompt")) columns.push_back(prompt_column(*file, items));
  if (file->has("target")) columns.push_back(column<float>(file, items, "target", Type::kF32, "target", number));
  if (file->has("value")) columns.push_back(column<float>(file, items, "value", Type::kF32, "value", number));
  std::set<std::string> seen;
  for (const Manifest& scores : input.find_all("scores")) {
    if (items_of(scores).sha256() != items.sha256()) continue;  // of other items, further back
    const auto rewards = std::make_shared<H5Reader>(open_artefact(scores));
    for (const std::string& name : rewards->list("reward")) {
      if (!seen.insert(name).second) continue;  // the nearest one counts
      columns.push_back(column<float>(rewards, items, "reward/" + name, Type::kF32, "reward/" + name, number));
    }
  }
  return columns;
}

Column letters_column(const Manifest& items) {
  const Space space = items.space();
  const auto file = std::make_shared<H5Reader>(open_artefact(items));
  return {"sequence", [=](int64_t first, int64_t count) {
            const size_t length = static_cast<size_t>(space.numel());
            std::vector<uint8_t> codes(static_cast<size_t>(count) * length);
            file->read(space.dataset(), Type::kU8, first, count, codes.data());
            std::vector<std::string> cells(static_cast<size_t>(count), std::string(length, ' '));
            for (size_t i = 0; i < codes.size(); ++i) {
              if (codes[i] >= space.alphabet.size()) {
                throw Error(Exit::kBadInput, file->path(), cat("item ", first + static_cast<int64_t>(i / length), " holds code ", int{codes[i]},
                                                               ", its alphabet is ", space.alphabet));
              }
              cells[i / length][i % length] = space.alphabet[codes[i]];
            }
            return cells;
          }};
}

std::vector<Column> element_columns(const Manifest& items) {
  const Space space = items.space();
  const auto file = std::make_shared<H5Reader>(open_artefact(items));
  const auto width = static_cast<size_t>(space.numel());
  struct Piece {   // the columns of a piece share one reading of it
    int64_t first = -1, count = 0;
    std::vector<float> values;
  };
  const auto piece = std::make_shared<Piece>();
  std::vector<Column> columns;
  for (size_t element = 0; element < width; ++element) {
    columns.push_back({cat("x", element + 1), [=](int64_t first, int64_t count) {
                         if (piece->first != first || piece->count != count) {
                           *piece = {first, count, std::vector<float>(static_cast<size_t>(count) * width)};
                           file->read(space.dataset(), Type::kF32, first, count, piece->values.data());
                         }
                         std::vector<std::string> cells;
                         for (size_t i = element; i < piece->values.size(); i += width) cells.push_back(number(piece->values[i]));
                         return cells;
                       }});
  }
  return columns;
}

void each_item(const std::vector<Column>& columns, int64_t count,
               const std::function<void(int64_t, const std::vector<std::string>&)>& take) {
  Progress progress("items", count);
  int64_t rows = 1, longest = 1;   // the first item shows how many make a piece
  for (int64_t first = 0; first < count; first += rows) {
    if (first > 0) rows = std::min({kPiece, std::max<int64_t>(1, kPieceBytes / longest), count - first});
    std::vector<std::vector<std::string>> cells;
    for (const Column& c : columns) {
      cells.push_back(c.cells(first, rows));
      longest = std::max(longest, static_cast<int64_t>(cells.back().front().size()));
    }
    std::vector<std::string> row(columns.size());
    for (int64_t i = 0; i < rows; ++i) {
      for (size_t k = 0; k < columns.size(); ++k) row[k] = std::move(cells[k][static_cast<size_t>(i)]);
      take(first + i, row);
    }
    progress.update(first + rows);
  }
}

TextFile::TextFile(const std::string& path) : target_(path), file_(std::fopen(target_.temporary().c_str(), "wb"), std::fclose) {
  if (!file_) throw Error(Exit::kFailed, path, std::strerror(errno));
}

void TextFile::put(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) throw Error(Exit::kFailed, target_.path(), std::strerror(errno));
}

void TextFile::commit() {
  if (std::fclose(file_.release()) != 0) throw Error(Exit::kFailed, target_.path(), std::strerror(errno));
  target_.commit();
}

}  // namespace plumb::io
