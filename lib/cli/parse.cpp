// The one file that includes CLI11. It is used as a tokeniser only: checking values is Option::set's job, and its
// messages and exit codes never reach the user.   SPDX-License-Identifier: Apache-2.0
#include "cli/parse.h"

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "core/text.h"

namespace plumb::cli {
namespace {

[[noreturn]] void refuse(const std::string& subject, const std::string& what, const std::string& near,
                         const std::string& tool) {
  const std::string hint = near.empty() ? "" : "did you mean '" + near + "'? ";
  throw Error(Exit::kUsage, subject, what, hint + "try '" + tool + " --help'");
}

/// "--steps" or "-n,--count"; flags also get their negation.
std::string spelling(const Option& row) {
  std::string names = row.letter() ? std::string("-") + row.letter() + "," : "";
  names += "--" + row.name();
  if (row.is_flag()) names += ",!--no-" + row.name();
  return names;
}

/// What no option took: the positional arguments, unless one of them is a misspelt option.
std::vector<std::string> positionals(const std::vector<std::string>& rest, const OptionTable& table, const std::string& tool) {
  std::vector<std::string> words;
  bool only_words = false;  // after "--"
  for (const std::string& word : rest) {
    if (!only_words && word == "--") {
      only_words = true;
      continue;
    }
    if (!only_words && word.size() > 1 && word[0] == '-') {
      const std::string name = word.substr(0, word.find('='));
      std::vector<std::string> known{"--help", "--version"};
      for (const Option& row : table.rows()) known.push_back("--" + row.name());
      refuse(name, "unknown option", name.size() > 2 ? nearest(name, known) : "", tool);  // one letter is near to any other
    }
    words.push_back(word);
  }
  if (!words.empty() && !table.positional_target()) refuse(words.front(), "unexpected argument", "", tool);
  return words;
}

}  // namespace

std::vector<std::string> list_values(const Option& row, const std::vector<std::string>& given) {
  if (row.is_text() && row.allowed().empty()) return given;  // open texts may hold commas of their own
  std::vector<std::string> values;
  for (const std::string& one : given) {
    for (const std::string& part : split(one, ',')) values.push_back(trim(part));
  }
  return values;
}

Request parse_arguments(const std::vector<std::string>& args, OptionTable& table, const std::string& tool) {
  CLI::App app;
  app.set_help_flag("");
  app.allow_extras();
  Request request;
  app.add_flag("-h,--help", request.help);
  app.add_flag("--version", request.version);
  app.add_flag("--dump-options", request.dump_options);
  if (!table.find("json")) app.add_flag("--json", request.json);

  std::vector<CLI::Option*> parsed;
  for (const Option& row : table.rows()) {
    if (row.is_flag() || row.is_counter()) {
      parsed.push_back(app.add_flag(spelling(row)));
    } else {
      parsed.push_back(app.add_option(spelling(row))->expected(1, CLI::detail::expected_max_vector_size));
      parsed.back()->allow_extra_args(false);
    }
    parsed.back()->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  for (const std::string& arg : args) {
    if (arg == "--") break;
    if (arg.size() > 3 && arg.compare(0, 2, "--") == 0 && arg.back() == '=') {
      refuse(arg.substr(0, arg.size() - 1), "needs a value", "", tool);
    }
  }
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));  // CLI11 takes them last first
  } catch (const CLI::ArgumentMismatch& error) {
    refuse(split(error.what(), ':').front(), "needs a value", "", tool);
  } catch (const CLI::ParseError& error) {
    refuse("", error.what(), "", tool);
  }
  if (request.any()) return request;
  if (request.json) refuse("--json", "goes with --version only", "", tool);
  const std::vector<std::string> words = positionals(app.remaining(), table, tool);

  for (size_t i = 0; i < parsed.size(); ++i) {
    Option& row = table.rows()[i];
    if (parsed[i]->count() == 0) continue;
    const std::vector<std::string>& given = parsed[i]->results();
    if (!row.once_hint().empty() && given.size() > 1) throw Error(Exit::kUsage, "--" + row.name(), cat("is given ", given.size(), " times"), row.once_hint());
    if (row.is_counter()) {
      row.set({std::to_string(given.size())});
    } else {
      row.set(row.is_list() ? list_values(row, given) : std::vector<std::string>{given.back()});
    }
  }
  if (table.positional_target()) *table.positional_target() = words;
  return request;
}

}  // namespace plumb::cli
