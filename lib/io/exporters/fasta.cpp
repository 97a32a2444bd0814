// Sequences as FASTA: >000000 class=cat value=0.5 reward/NAME=1.25, and the letters on one line.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/error.h"
#include "io/exporter.h"
#include "io/exporters/columns.h"

namespace plumb::io {
namespace {

/// A cell in the description: in quotes if it has blanks, and on one line whatever it holds.
std::string described(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  std::replace(text.begin(), text.end(), '"', '\'');
  return text.find(' ') == std::string::npos ? text : "\"" + text + "\"";
}

}  // namespace

void export_fasta(const Manifest& input, const ExportOptions& options) {
  refuse_options("fasta", options, {"limit"});
  refuse_existing(options, input);
  const Manifest items = items_of(input);
  if (items.space().type != "sequence") {
    throw Error(Exit::kBadInput, items.label(), "holds " + items.space().text() + "; FASTA needs sequences");
  }
  std::vector<Column> columns = item_columns(input, items);
  columns.push_back(letters_column(items));
  const int64_t count = export_count(items, options.limit);
  const size_t digits = std::max<size_t>(6, std::to_string(count - 1).size());
  if (options.dry_run) return;
  TextFile file(options.path);
  each_item(columns, count, [&](int64_t i, const std::vector<std::string>& cells) {
    const std::string index = std::to_string(i);
    std::string text = ">" + std::string(digits - index.size(), '0') + index;
    for (size_t k = 0; k + 1 < columns.size(); ++k) {
      if (!cells[k].empty()) text += " " + columns[k].name + "=" + described(cells[k]);
    }
    file.put(text + "\n" + cells.back() + "\n");
  });
  file.commit();
}

}  // namespace plumb::io
