// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/text.h"
#include "core/version.h"

namespace plumb::cli {
namespace {

/// Words of `text` on lines of at most `width` columns; each line after the first starts with `indent` blanks.
std::string wrap(const std::string& text, size_t indent, size_t width) {
  std::string out;
  size_t column = indent;
  for (const std::string& word : split(text, ' ')) {
    if (column > indent && column + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += " ";
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string heading(const Option& row) {
  std::string text = row.letter() ? std::string("-") + row.letter() + ", " : "    ";
  text += row.is_flag() && row.to_json() == true ? "--[no-]" + row.name() : "--" + row.name();
  const std::string metavar = row.metavar_text();
  if (!metavar.empty()) text += " " + metavar;
  if (row.is_list()) text += "...";
  return text;
}

/// The help sentence and, in brackets, what a value must be and is by default.
std::string explanation(const Option& row) {
  std::vector<std::string> notes;
  if (row.is_required()) notes.push_back("required");
  if (!row.allowed().empty() && row.metavar_text() != join(row.allowed(), "|")) {
    notes.push_back("one of " + join(row.allowed(), ", "));
  }
  if (!row.suggestions().empty()) notes.push_back("such as " + join(row.suggestions(), ", "));
  if (!row.range_text().empty()) notes.push_back(row.range_text());
  const std::string value = default_value_text(row);
  if (!value.empty()) notes.push_back("default " + value);
  if (row.is_counter()) notes.push_back("may be repeated");
  return row.help() + (notes.empty() ? "" : " [" + join(notes, "; ") + "]");
}

}  // namespace

std::string default_value_text(const Option& row) {
  if (row.is_counter()) return "";
  if (row.is_flag()) return row.to_json() == true ? "on" : "";
  const io::Json value = row.to_json();
  if (value.is_number_float()) return cat(value.get<double>());
  if (!value.is_array()) return row.default_text();
  std::vector<std::string> parts;
  for (const io::Json& item : value) {
    parts.push_back(item.is_string() ? item.get<std::string>() : cat(item.get<double>()));
  }
  return join(parts, ",");
}

size_t help_width() {
  size_t width = 0;
  if (const char* text = std::getenv("COLUMNS")) width = static_cast<size_t>(std::max(0, std::atoi(text)));
  winsize window{};
  if (width == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0) width = window.ws_col;
  return width == 0 ? 80 : std::clamp<size_t>(width, 60, 100);
}

std::string help_text(const ToolInfo& info, const OptionTable& table, size_t width) {
  std::string out = "Usage: " + info.name + " [OPTION]...";
  if (table.positional_target()) out += " [" + table.positional_metavar() + "]";
  out += "\n" + wrap(info.summary + " (" + info.reads_writes + ")", 0, width) + "\n";
  const size_t indent = 26;
  const auto entry = [&](const std::string& head, const std::string& text) {
    out += "  " + head;
    const size_t used = 2 + head.size();
    out += used + 2 > indent ? "\n" + std::string(indent, ' ') : std::string(indent - used, ' ');
    out += wrap(text, indent, width) + "\n";
  };
  if (table.positional_target()) {
    out += "\nInput:\n";
    entry(table.positional_metavar(), table.positional_help());
  }
  std::vector<std::string> groups;
  for (const Option& row : table.rows()) {
    if (std::find(groups.begin(), groups.end(), row.group_title()) == groups.end()) groups.push_back(row.group_title());
  }
  for (const std::string& group : groups) {
    out += "\n" + group + ":\n";
    for (const Option& row : table.rows()) {
      if (row.group_title() == group) entry(heading(row), explanation(row));
    }
  }
  entry("-h, --help", "print this and exit");
  entry("    --version", "print the version and exit; with --json, also those of what it stands on");
  out += "\n" + wrap("Exit status: 0 done, 1 failed or \"no\", 2 usage, 3 bad input, 4 bad numbers, 75 stopped after a "
                     "checkpoint (run it again). Manual: plumb help " + info.name + ".", 0, width) + "\n";
  return out;
}

io::Json options_json(const ToolInfo& info, const OptionTable& table) {
  io::Json json{{"tool", info.name}, {"version", kVersion}, {"summary", info.summary},
                {"reads_writes", info.reads_writes}};
  if (table.positional_target()) {
    json["positional"] = {{"metavar", table.positional_metavar()}, {"help", table.positional_help()}};
  }
  json["options"] = io::Json::array();
  for (const Option& row : table.rows()) {
    io::Json entry{{"name", row.name()}, {"group", row.group_title()}, {"help", row.help()}};
    if (row.letter()) entry["letter"] = std::string(1, row.letter());
    entry["takes"] = row.is_flag() ? "nothing" : row.is_counter() ? "count" : row.is_list() ? "list" : "value";
    if (!row.metavar_text().empty()) entry["metavar"] = row.metavar_text();
    if (const std::string value = default_value_text(row); !value.empty()) entry["default"] = value;
    if (!row.range_text().empty()) entry["range"] = row.range_text();
    if (!row.allowed().empty()) entry["allowed"] = row.allowed();
    if (!row.suggestions().empty()) entry["suggestions"] = row.suggestions();
    if (row.is_file()) entry["file"] = true;
    if (row.is_required()) entry["required"] = true;
    if (row.is_runtime()) entry["runtime"] = true;
    json["options"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace plumb::cli
