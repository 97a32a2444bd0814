// One line an item (RFC 4180): index, label, class, prompt, and each reward that was given to the items.
// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <set>

#include "core/error.h"
#include "io/exporter.h"

namespace plumb::io {
namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

/// The shortest text that reads back as the same float.
std::string number(float value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

struct Column {
  std::string name;
  std::vector<std::string> cells;
};

template <typename T, typename Spell>
Column column(const std::string& name, const std::vector<T>& values, const Spell& spell) {
  Column made{name, {}};
  for (const T& value : values) made.cells.push_back(spell(value));
  return made;
}

/// label, class and prompt of the items, where they have them.
void add_item_columns(const Manifest& items, std::vector<Column>& columns) {
  const H5Reader file = open_artefact(items);
  if (file.has("label")) {
    const std::vector<int64_t> labels = file.read_i64("label");
    columns.push_back(column("label", labels, [](int64_t label) { return std::to_string(label); }));
    const Json classes = items.json().value("classes", Json::array());
    if (classes.is_array() && !classes.empty()) {
      columns.push_back(column("class", labels, [&](int64_t label) {
        const bool known = label >= 0 && static_cast<size_t>(label) < classes.size() && classes[static_cast<size_t>(label)].is_string();
        return known ? quoted(classes[static_cast<size_t>(label)].get<std::string>()) : "";
      }));
    }
  }
  if (file.has("prompt")) columns.push_back(column("prompt", file.read_strings("prompt"), quoted));
}

}  // namespace

void export_csv(const Manifest& input, const ExportOptions& options) {
  refuse_options("csv", options, {"limit"});
  refuse_existing(options);
  const Manifest items = items_of(input);
  std::vector<Column> columns;
  add_item_columns(items, columns);
  std::set<std::string> seen;
  for (const Manifest& scores : input.find_all("scores")) {
    if (items_of(scores).sha256() != items.sha256()) continue;  // of other items, further back
    const H5Reader file = open_artefact(scores);
    for (const std::string& name : file.list("reward")) {
      if (!seen.insert(name).second) continue;  // the nearest one counts
      columns.push_back(column("reward/" + quoted(name), file.read_f32("reward/" + name), number));
    }
  }
  const int64_t count = export_count(items, options.limit);
  std::string text = "index";
  for (const Column& c : columns) {
    if (static_cast<int64_t>(c.cells.size()) < count) throw Error(Exit::kBadInput, items.label(), "has fewer values of '" + c.name + "' than items");
    text += "," + c.name;
  }
  text += "\n";
  for (int64_t i = 0; i < count; ++i) {
    text += std::to_string(i);
    for (const Column& c : columns) text += "," + c.cells[static_cast<size_t>(i)];
    text += "\n";
  }
  write_file(options.path, text);
}

}  // namespace plumb::io
