// SPDX-License-Identifier: Apache-2.0
#include "report/image_grid.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/text.h"
#include "io/class_names.h"

namespace plumb::report {
namespace {

constexpr int64_t kGap = 2, kSmallestTile = 56, kLargestPicture = int64_t{1} << 26;  // bytes
constexpr uint8_t kGapGrey = 128;  // seen against a white and against a dark page

}  // namespace

Tiles tiles_in_order(int64_t count, int64_t rows, int64_t columns) {
  Tiles tiles;
  for (int64_t i = 0; i < std::min(count, rows * columns); ++i) {
    if (i % columns == 0) tiles.emplace_back();
    tiles.back().push_back(i);
  }
  return tiles;
}

Tiles tiles_by_class(const std::vector<int64_t>& labels, int64_t rows, int64_t columns, std::vector<int64_t>& classes) {
  std::map<int64_t, std::vector<int64_t>> items;
  for (size_t i = 0; i < labels.size(); ++i) {
    std::vector<int64_t>& of_class = items[labels[i]];
    if (static_cast<int64_t>(of_class.size()) < columns) of_class.push_back(static_cast<int64_t>(i));
  }
  Tiles tiles;
  classes.clear();
  for (auto& [label, of_class] : items) {
    if (static_cast<int64_t>(tiles.size()) == rows) break;
    of_class.resize(static_cast<size_t>(columns), -1);
    tiles.push_back(of_class);
    classes.push_back(label);
  }
  return tiles;
}

Tiles tiles_by_value(const std::vector<float>& values, int64_t columns) {
  std::vector<int64_t> order;
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) order.push_back(static_cast<int64_t>(i));
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return values[static_cast<size_t>(a)] < values[static_cast<size_t>(b)];
  });
  const int64_t n = static_cast<int64_t>(order.size()), shown = std::min(n, columns);
  Tiles tiles;
  if (shown > 0) tiles.emplace_back();
  for (int64_t k = 0; k < shown; ++k)
    tiles[0].push_back(order[static_cast<size_t>(shown > 1 ? k * (n - 1) / (shown - 1) : 0)]);
  return tiles;
}

io::Image draw_tiles(const io::H5Reader& file, const io::Space& space, const Tiles& tiles) {
  const io::DatasetInfo info = file.info(space.dataset());
  std::vector<int64_t> row_shape(info.shape.begin() + (info.shape.empty() ? 0 : 1), info.shape.end());
  if (space.type != "image" || space.shape.size() != 3 || row_shape != space.shape || space.numel() <= 0) {
    throw Error(Exit::kBadInput, file.path(),
                cat("dataset '", space.dataset(), "' has items of shape ", shape_text(row_shape),
                    ", its manifest says ", space.text()));
  }
  const int64_t channels = space.shape[0], height = space.shape[1], width = space.shape[2];
  const int64_t drawn = channels >= 3 ? 3 : 1;
  const int64_t scale = std::max<int64_t>(1, (kSmallestTile + std::max(height, width) - 1) / std::max(height, width));
  int64_t columns = 0;
  for (const auto& row : tiles)
    columns = std::max(columns, static_cast<int64_t>(row.size()));
  const int64_t rows = static_cast<int64_t>(tiles.size());
  if (rows == 0 || columns == 0) throw Error(Exit::kBadInput, file.path(), "holds no item to draw");
  const int64_t step_y = height * scale + kGap, step_x = width * scale + kGap;
  if (step_y > kLargestPicture / (drawn * rows * columns) / std::max<int64_t>(1, step_x)) {
    throw Error(Exit::kUsage, "--rows, --columns",
                cat("a picture of ", rows, " x ", columns, " items of ", space.text(), " is too large"),
                "ask for fewer");
  }
  io::Image picture{drawn, rows * step_y - kGap, columns * step_x - kGap, {}};
  picture.pixels.assign(static_cast<size_t>(drawn * picture.height * picture.width), kGapGrey);
  std::vector<uint8_t> item(static_cast<size_t>(space.numel()));
  const int64_t count = info.shape[0];
  for (int64_t r = 0; r < rows; ++r) {
    const auto& row = tiles[static_cast<size_t>(r)];
    for (int64_t c = 0; c < static_cast<int64_t>(row.size()); ++c) {
      const int64_t index = row[static_cast<size_t>(c)];
      if (index < 0) continue;
      if (index >= count)
        throw Error(Exit::kBadInput, file.path(), cat("has ", count, " items, number ", index, " was asked for"));
      file.read(space.dataset(), io::Type::kU8, index, 1, item.data());
      for (int64_t ch = 0; ch < drawn; ++ch) {
        for (int64_t y = 0; y < height * scale; ++y) {
          uint8_t* out = picture.pixels.data() + (ch * picture.height + r * step_y + y) * picture.width + c * step_x;
          const uint8_t* in = item.data() + (ch * height + y / scale) * width;
          for (int64_t x = 0; x < width * scale; ++x)
            out[x] = in[x / scale];
        }
      }
    }
  }
  return picture;
}

std::vector<std::string> class_names(const io::Manifest& samples) {
  std::vector<std::string> names;
  for (const io::Manifest& from : {samples, samples.find("model").value_or(samples), samples.find("dataset").value_or(samples)}) {
    if (names.empty()) names = io::class_names(from);
  }
  return names;
}

ImageGrid samples_grid(const io::H5Reader& file, const io::Manifest& samples, const std::vector<std::string>& classes,
                       int64_t rows, int64_t class_rows, int64_t columns) {
  std::vector<int64_t> labels, shown;
  if (file.has("label")) labels = file.read_i64("label");
  Tiles tiles = tiles_by_class(labels, class_rows, columns, shown);
  if (tiles.size() < 2) tiles = tiles_in_order(samples.count(), rows, columns), shown.clear();
  ImageGrid grid;
  for (const int64_t label : shown) {
    const bool named = label >= 0 && static_cast<size_t>(label) < classes.size();
    grid.row_names.push_back(named ? classes[static_cast<size_t>(label)] : std::to_string(label));
  }
  if (!tiles.empty()) grid.image = draw_tiles(file, samples.space(), tiles);
  return grid;
}

}  // namespace plumb::report
