// The one table a tool has of its options. CLI parsing, --config JSON, --print-config, --help, the man page's OPTIONS and
// the shell completions are all made from it.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

namespace plumb {

/// Where an option's value lives. The pointee's value at registration is the default.
using OptionTarget = std::variant<bool*, int64_t*, uint64_t*, double*, std::string*, std::optional<double>*,
                                  std::optional<int64_t>*, std::vector<std::string>*, std::vector<int64_t>*,
                                  std::vector<double>*>;

/// One row of the table. The setters return the row so that calls chain.
class Option {
 public:
  Option(std::string name, OptionTarget target, std::string help);

  Option& short_name(char letter);                      ///< -n
  Option& metavar(std::string text);                    ///< FILE, NAME; default from the type
  Option& range(double low, double high);               ///< inclusive; checked when set
  Option& one_of(std::vector<std::string> values);      ///< closed list; checked when set, offered by completions
  Option& suggest(std::vector<std::string> values);     ///< open list: offered by completions, not checked
  Option& file();                                       ///< completions offer files
  Option& required();
  Option& runtime();                                    ///< changes speed or messages only: kept out of the artefact's config
  Option& once(std::string hint);                       ///< given twice it is an error, with what to do instead; others: the last counts
  Option& counter();                                    ///< int64_t that counts its occurrences, without a value: -vv
  Option& group(std::string title);                     ///< heading in --help and man

  const std::string& name() const { return name_; }     ///< kebab-case; may hold one dot: ddpo.clip-range
  std::string json_key() const;                         ///< "batch-size" -> "batch_size"; dots stay
  char letter() const { return letter_; }
  const std::string& help() const { return help_; }
  const std::string& group_title() const { return group_; }
  std::string metavar_text() const;
  std::string default_text() const { return default_text_; }  ///< "" if none worth showing
  std::string range_text() const;
  const std::vector<std::string>& allowed() const { return allowed_; }
  const std::vector<std::string>& suggestions() const { return suggestions_; }
  bool is_flag() const { return std::holds_alternative<bool*>(target_); }
  bool is_counter() const { return counter_; }
  bool is_list() const;
  bool is_text() const;                                 ///< its value, or each item of its list, is a string
  bool is_file() const { return file_; }
  bool is_required() const { return required_; }
  bool is_runtime() const { return runtime_; }
  const std::string& once_hint() const { return once_hint_; }   ///< "" if it may be given twice
  bool was_set() const { return set_; }

  /// Parses and checks text (lists: replaces with all of `values`). Throws Error(kUsage, "--name", ...).
  void set(const std::vector<std::string>& values);
  void set_json(const nlohmann::ordered_json& value);   ///< same checks, from a config file
  nlohmann::ordered_json to_json() const;               ///< the current value

 private:
  void check_number(double value) const;
  void check_choice(const std::string& value) const;
  std::string name_, help_, metavar_, once_hint_, group_ = "Options";
  OptionTarget target_;
  std::string default_text_;
  std::optional<std::pair<double, double>> range_;
  std::vector<std::string> allowed_, suggestions_;
  char letter_ = 0;
  bool file_ = false, required_ = false, runtime_ = false, counter_ = false, set_ = false;
};

/// The table. Rows keep their order. Names are unique (checked).
class OptionTable {
 public:
  template <typename T>
  Option& add(const std::string& name, T* target, const std::string& help) {
    return add_row(name, OptionTarget(target), help);
  }
  /// A positional argument list (files); at most one per table.
  void positional(std::vector<std::string>* target, const std::string& metavar, const std::string& help);
  /// Starts a group: rows added after it carry this heading.
  void group(const std::string& title) { group_ = title; }

  std::vector<Option>& rows() { return rows_; }
  const std::vector<Option>& rows() const { return rows_; }
  Option* find(const std::string& name);
  std::vector<std::string> names() const;
  std::vector<std::string>* positional_target() const { return positional_; }
  const std::string& positional_metavar() const { return positional_metavar_; }
  const std::string& positional_help() const { return positional_help_; }

  /// Values by JSON key. with_runtime: also those that change speed or messages only.
  nlohmann::ordered_json to_json(bool with_runtime) const;
  /// Sets from a config object each option that the command line did not set. Unknown key: Error(kUsage) with the nearest.
  void apply_config(const nlohmann::ordered_json& config, const std::string& path);

 private:
  Option& add_row(const std::string& name, OptionTarget target, const std::string& help);
  std::vector<Option> rows_;
  std::string group_ = "Options";
  std::vector<std::string>* positional_ = nullptr;
  std::string positional_metavar_, positional_help_;
};

}  // namespace plumb
