// SPDX-License-Identifier: Apache-2.0
#include "core/options.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "core/error.h"
#include "core/text.h"

namespace plumb {
namespace {

using Json = nlohmann::ordered_json;
template <class... F> struct Overload : F... { using F::operator()...; };
template <class... F> Overload(F...) -> Overload<F...>;

std::string value_text(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::vector<std::string> parts;
    for (const Json& item : value) parts.push_back(value_text(item));
    return join(parts, " ");
  }
  return value.dump();
}

}  // namespace

Option::Option(std::string name, OptionTarget target, std::string help)
    : name_(std::move(name)), help_(std::move(help)), target_(target) {
  default_text_ = is_flag() ? "" : value_text(to_json());
}

Option& Option::short_name(char letter) { letter_ = letter; return *this; }
Option& Option::metavar(std::string text) { metavar_ = std::move(text); return *this; }
Option& Option::range(double low, double high) { range_ = {low, high}; return *this; }
Option& Option::one_of(std::vector<std::string> values) { allowed_ = std::move(values); return *this; }
Option& Option::suggest(std::vector<std::string> values) { suggestions_ = std::move(values); return *this; }
Option& Option::file() { file_ = true; return *this; }
Option& Option::required() { required_ = true; return *this; }
Option& Option::runtime() { runtime_ = true; return *this; }
Option& Option::once(std::string hint) { once_hint_ = std::move(hint); return *this; }
Option& Option::counter() { counter_ = true; return *this; }
Option& Option::group(std::string title) { group_ = std::move(title); return *this; }

std::string Option::json_key() const {
  std::string key = name_;
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

bool Option::is_list() const {
  return std::holds_alternative<std::vector<std::string>*>(target_) ||
         std::holds_alternative<std::vector<int64_t>*>(target_) || std::holds_alternative<std::vector<double>*>(target_);
}

bool Option::is_text() const {
  return std::holds_alternative<std::string*>(target_) || std::holds_alternative<std::vector<std::string>*>(target_);
}

std::string Option::metavar_text() const {
  if (is_flag() || counter_) return "";
  if (!metavar_.empty()) return metavar_;
  if (!allowed_.empty() && join(allowed_, "|").size() <= 40) return join(allowed_, "|");
  return std::visit(Overload{[](bool*) { return "BOOL"; }, [](int64_t*) { return "N"; }, [](uint64_t*) { return "N"; },
                             [](double*) { return "X"; }, [this](std::string*) { return file_ ? "FILE" : "NAME"; },
                             [](std::optional<double>*) { return "X"; }, [](std::optional<int64_t>*) { return "N"; },
                             [this](std::vector<std::string>*) { return file_ ? "FILE" : "NAME"; },
                             [](std::vector<int64_t>*) { return "N"; }, [](std::vector<double>*) { return "X"; }},
                    target_);
}

std::string Option::range_text() const {
  if (!range_) return "";
  const auto edge = [](double x) { return cat(x); };
  const bool no_top = range_->second >= 1e15;
  if (no_top) return "at least " + edge(range_->first);
  return edge(range_->first) + " to " + edge(range_->second);
}

void Option::check_number(double value) const {
  if (range_ && !(value >= range_->first && value <= range_->second)) {
    throw Error(Exit::kUsage, "--" + name_, cat(value, " is out of range"), "must be " + range_text());
  }
}

void Option::check_choice(const std::string& value) const {
  if (allowed_.empty() || std::find(allowed_.begin(), allowed_.end(), value) != allowed_.end()) return;
  const std::string near = nearest(value, allowed_);
  throw Error(Exit::kUsage, "--" + name_, "unknown value '" + value + "'",
              near.empty() ? "one of " + join(allowed_, ", ") : "did you mean '" + near + "'?");
}

void Option::set(const std::vector<std::string>& values) {
  const std::string subject = "--" + name_;
  if (values.empty() && !is_flag()) throw Error(Exit::kUsage, subject, "needs a value");
  const auto as_int = [&](const std::string& text) {
    const int64_t value = parse_int(text, subject);
    check_number(static_cast<double>(value));
    return value;
  };
  const auto as_double = [&](const std::string& text) {
    const double value = parse_double(text, subject);
    check_number(value);
    return value;
  };
  std::visit(
      Overload{[&](bool* target) {
                 const std::string text = values.empty() ? "true" : values.back();
                 if (text != "true" && text != "false") throw Error(Exit::kUsage, subject, "'" + text + "' is not true or false");
                 *target = text == "true";
               },
               [&](int64_t* target) { *target = as_int(values.back()); },
               [&](uint64_t* target) {
                 const std::string& text = values.back();
                 uint64_t value = 0;  // up to 2^64 - 1, which int64_t does not hold
                 const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
                 if (parsed.ec == std::errc::result_out_of_range) throw Error(Exit::kUsage, subject, "is larger than 2^64 - 1");
                 if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
                   if (as_int(text) < 0) throw Error(Exit::kUsage, subject, "must not be negative");
                 }
                 check_number(static_cast<double>(value));
                 *target = value;
               },
               [&](double* target) { *target = as_double(values.back()); },
               [&](std::string* target) { check_choice(values.back()); *target = values.back(); },
               [&](std::optional<double>* target) { *target = as_double(values.back()); },
               [&](std::optional<int64_t>* target) { *target = as_int(values.back()); },
               [&](std::vector<std::string>* target) {
                 for (const std::string& value : values) check_choice(value);
                 *target = values;
               },
               [&](std::vector<int64_t>* target) {
                 target->clear();
                 for (const std::string& value : values) target->push_back(as_int(value));
               },
               [&](std::vector<double>* target) {
                 target->clear();
                 for (const std::string& value : values) target->push_back(as_double(value));
               }},
      target_);
  set_ = true;
}

void Option::set_json(const Json& value) {
  if (value.is_null()) throw Error(Exit::kUsage, "--" + name_, "null is no value", "leave the key out");
  std::vector<std::string> values;
  if (value.is_array()) {
    if (!is_list()) throw Error(Exit::kUsage, "--" + name_, "takes one value, not a list");
    for (const Json& item : value) values.push_back(value_text(item));
    if (values.empty()) return;
  } else {
    values.push_back(value_text(value));
  }
  set(values);
}

Json Option::to_json() const {
  return std::visit(Overload{[](const auto* target) -> Json { return *target; },
                             [](const std::optional<double>* t) -> Json { return *t ? Json(**t) : Json(nullptr); },
                             [](const std::optional<int64_t>* t) -> Json { return *t ? Json(**t) : Json(nullptr); }},
                    target_);
}

Option& OptionTable::add_row(const std::string& name, OptionTarget target, const std::string& help) {
  if (find(name)) throw std::logic_error("option --" + name + " is described twice");
  rows_.reserve(256);  // references returned earlier must stay valid
  rows_.emplace_back(name, target, help);
  rows_.back().group(group_);
  return rows_.back();
}

void OptionTable::positional(std::vector<std::string>* target, const std::string& metavar, const std::string& help) {
  positional_ = target;
  positional_metavar_ = metavar;
  positional_help_ = help;
}

Option* OptionTable::find(const std::string& name) {
  for (Option& row : rows_) {
    if (row.name() == name) return &row;
  }
  return nullptr;
}

std::vector<std::string> OptionTable::names() const {
  std::vector<std::string> all;
  for (const Option& row : rows_) all.push_back(row.name());
  return all;
}

Json OptionTable::to_json(bool with_runtime) const {
  Json config = Json::object();
  for (const Option& row : rows_) {
    if (with_runtime || !row.is_runtime()) config[row.json_key()] = row.to_json();
  }
  return config;
}

void OptionTable::apply_config(const Json& config, const std::string& path) {
  if (!config.is_object()) throw Error(Exit::kUsage, path, "is not a JSON object of option names and values");
  std::vector<std::string> keys;
  for (const Option& row : rows_) keys.push_back(row.json_key());
  for (const auto& [key, value] : config.items()) {
    const auto at = std::find(keys.begin(), keys.end(), key);
    if (at == keys.end()) {
      const std::string near = nearest(key, keys);
      throw Error(Exit::kUsage, path, "unknown key '" + key + "'", near.empty() ? "" : "did you mean '" + near + "'?");
    }
    Option& row = rows_[static_cast<size_t>(at - keys.begin())];
    if (!row.was_set() && row.to_json() != value) row.set_json(value);  // a default in a file is no choice
  }
}

}  // namespace plumb
