// What is known of each item beside its content, as text, for the exporters that write a line an item. Private to them.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/artefact.h"

namespace plumb::io {

/// A column: its name, and the cells of items [first, first + count), unquoted.
struct Column {
  std::string name;
  std::function<std::vector<std::string>(int64_t first, int64_t count)> cells;
};

/// label, class, prompt and value of the items, where they have them, and reward/NAME for each reward on the lineage of `input`
/// that was given to these very items, the nearest first. Throws Error(kBadInput) for a column of fewer rows than items.
std::vector<Column> item_columns(const Manifest& input, const Manifest& items);

/// The letters of sequences. Throws Error(kBadInput) for a code that the alphabet does not have.
Column letters_column(const Manifest& items);

/// x1, x2, ... of vectors: a column an element.
std::vector<Column> element_columns(const Manifest& items);

/// Calls take(i, cells) for each of the first `count` items, cells[k] of columns[k]. Reads piece by piece.
void each_item(const std::vector<Column>& columns, int64_t count,
               const std::function<void(int64_t, const std::vector<std::string>&)>& take);

/// A text file that appears whole or not at all. Throws Error(kFailed).
class TextFile {
 public:
  explicit TextFile(const std::string& path);
  void put(const std::string& text);
  void commit();

 private:
  AtomicFile target_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace plumb::io
