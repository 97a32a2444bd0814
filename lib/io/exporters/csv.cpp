// One line an item (RFC 4180): index, the letters of a sequence or the elements of a vector, label, class, prompt, target, value, and each
// reward that was given to the items.   SPDX-License-Identifier: Apache-2.0
#include "io/exporter.h"
#include "io/exporters/columns.h"

namespace plumb::io {
namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

void export_csv(const Manifest& input, const ExportOptions& options) {
  refuse_options("csv", options, {"limit"});
  refuse_existing(options, input);
  const Manifest items = items_of(input);
  std::vector<Column> columns = item_columns(input, items);
  if (items.has_space() && items.space().type == "sequence") columns.insert(columns.begin(), letters_column(items));
  if (items.has_space() && items.space().type == "vector") {
    const std::vector<Column> elements = element_columns(items);
    columns.insert(columns.begin(), elements.begin(), elements.end());
  }
  if (options.dry_run) return;
  std::string line = "index";
  for (const Column& column : columns) line += "," + quoted(column.name);
  TextFile file(options.path);
  file.put(line + "\n");
  each_item(columns, export_count(items, options.limit), [&](int64_t i, const std::vector<std::string>& cells) {
    line = std::to_string(i);
    for (const std::string& cell : cells) line += "," + quoted(cell);
    file.put(line + "\n");
  });
  file.commit();
}

}  // namespace plumb::io
