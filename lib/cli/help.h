// Everything printed about an option table: --help, --dump-options.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "cli/tool.h"

namespace plumb::cli {

/// The --help text: usage, summary, grouped options with default, range and allowed values. Lines are at most
/// `width` columns where words allow it.
std::string help_text(const ToolInfo& info, const OptionTable& table, size_t width);

/// Columns to use: COLUMNS or the terminal's width, within 60 and 100; 80 if unknown.
size_t help_width();

/// The table as JSON: the source of man pages' OPTIONS, of completions and of tests/cli/options.txt.
io::Json options_json(const ToolInfo& info, const OptionTable& table);

/// "0.5,1,2", "ddim", "on": the value as it would be typed. "" for an unset one.
std::string default_value_text(const Option& row);

/// The line for --version, and its JSON form with the versions of what the tool stands on.
std::string version_text(const ToolInfo& info);
io::Json version_json(const ToolInfo& info);

}  // namespace plumb::cli
