// Command-line arguments -> the option table.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "core/options.h"

namespace plumb::cli {

/// What the arguments ask for besides setting options.
struct Request {
  bool help = false;          ///< -h, --help
  bool version = false;       ///< --version
  bool json = false;          ///< --json, with --version
  bool dump_options = false;  ///< --dump-options: the table as JSON, for man pages and completions
  bool any() const { return help || version || dump_options; }
};

/// Parses args (without the program name) and sets the rows of the table they name; with --help, --version or
/// --dump-options nothing is set. A scalar option given twice takes its last value. A list option takes one value per
/// occurrence; lists of numbers and of closed choices also take them comma-separated.
/// Throws Error(kUsage): unknown option (with the nearest name), missing or bad value, unexpected argument.
Request parse_arguments(const std::vector<std::string>& args, OptionTable& table, const std::string& tool);

/// The values of one occurrence or more of a list option: split at commas where that cannot be ambiguous.
std::vector<std::string> list_values(const Option& row, const std::vector<std::string>& given);

}  // namespace plumb::cli
