// Samples as one picture of tiles.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/artefact.h"
#include "io/image_file.h"
#include "io/manifest.h"

namespace plumb::report {

struct ImageGrid {
  std::string id;  ///< file name without suffix
  std::string title, caption, description;
  std::vector<std::string> row_names;     ///< empty, or one a row
  std::vector<std::string> column_names;  ///< empty, or one a column
  io::Image image;
};

/// Which items stand in a grid: rows of indices, -1 for an empty tile.
using Tiles = std::vector<std::vector<int64_t>>;

/// The first rows x columns items in order; a last row may be short.
Tiles tiles_in_order(int64_t count, int64_t rows, int64_t columns);
/// A row a class that occurs, ascending, with its first items; at most `rows` classes. `classes` receives their labels.
Tiles tiles_by_class(const std::vector<int64_t>& labels, int64_t rows, int64_t columns, std::vector<int64_t>& classes);
/// One row: items from the lowest to the highest value, at equal steps of rank. Values that are not finite are left
/// out.
Tiles tiles_by_value(const std::vector<float>& values, int64_t columns);

/// Draws the items with a gap of 2 px. Grey stays grey; of other channel counts the first three (or the first) are
/// taken. Small items are enlarged by a whole factor to 56 px or more. The space must be `image`. Throws
/// Error(kBadInput).
io::Image draw_tiles(const io::H5Reader& file, const io::Space& space, const Tiles& tiles);

/// Names of labels 0, 1, ...: the samples' own, else those of the nearest model or dataset on their lineage.
std::vector<std::string> class_names(const io::Manifest& samples);

/// Samples of an image space: a row a class, at most `class_rows`, where they have labels of several; else `rows` rows in
/// order. Image and row names only; without an item the image is empty. `file` is the samples' own.
ImageGrid samples_grid(const io::H5Reader& file, const io::Manifest& samples, const std::vector<std::string>& classes,
                       int64_t rows, int64_t class_rows, int64_t columns);

}  // namespace plumb::report
