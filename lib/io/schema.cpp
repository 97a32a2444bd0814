// SPDX-License-Identifier: Apache-2.0
#include "io/schema.h"

#include <algorithm>
#include <map>
#include <regex>

#include "core/text.h"

namespace plumb::io {
namespace {

struct Embedded {
  const char *name, *text;
};
constexpr Embedded kSchemas[] = {
#include "share_schema.inc"
};
constexpr Embedded kLayouts[] = {
#include "share_layout.inc"
};

template <size_t N>
std::map<std::string, Json> parse_all(const Embedded (&files)[N]) {
  std::map<std::string, Json> parsed;
  for (const Embedded& file : files) parsed[file.name] = Json::parse(file.text);
  return parsed;
}

const Json& look_up(const std::map<std::string, Json>& files, const std::string& name) {
  static const Json nothing;
  const auto found = files.find(name);
  return found == files.end() ? nothing : found->second;
}

/// One walk over a value. `file` is the schema file that a rule stands in, for its "#/..." references.
class Validator {
 public:
  std::vector<std::string> problems;

  void check(const Json& value, const Json& rule, const std::string& file, const std::string& at) {
    if (rule.contains("$ref")) return follow(value, rule["$ref"].get<std::string>(), file, at);
    for (const Json& part : rule.value("allOf", Json::array())) check(value, part, file, at);
    if (rule.contains("anyOf")) check_any(value, rule["anyOf"], file, at);
    if (rule.contains("type") && !has_type(value, rule["type"])) {
      return note(at, cat("is ", type_name(value), ", should be ", spell(rule["type"])));
    }
    if (rule.contains("const") && value != rule["const"]) note(at, "should be " + rule["const"].dump());
    if (rule.contains("enum") && std::find(rule["enum"].begin(), rule["enum"].end(), value) == rule["enum"].end()) {
      note(at, value.dump() + " is none of " + rule["enum"].dump());
    }
    if (value.is_number()) check_number(value, rule, at);
    if (value.is_string()) check_string(value, rule, at);
    if (value.is_array()) check_array(value, rule, file, at);
    if (value.is_object()) check_object(value, rule, file, at);
  }

 private:
  void note(const std::string& at, const std::string& what) { problems.push_back(at.empty() ? what : at + ": " + what); }

  static std::string spell(const Json& types) {
    return types.is_string() ? types.get<std::string>() : join(types.get<std::vector<std::string>>(), " or ");
  }
  static std::string type_name(const Json& value) {
    if (value.is_number_integer()) return "integer";
    if (value.is_boolean()) return "boolean";
    return value.type_name();
  }
  static bool has_type(const Json& value, const Json& types) {
    if (types.is_array()) {
      return std::any_of(types.begin(), types.end(), [&](const Json& type) { return has_type(value, type); });
    }
    const std::string name = type_name(value), wanted = types.get<std::string>();
    return name == wanted || (wanted == "number" && value.is_number()) ||
           (wanted == "integer" && value.is_number_float() && value.get<double>() == static_cast<double>(static_cast<int64_t>(value.get<double>())));
  }

  void follow(const Json& value, const std::string& reference, const std::string& file, const std::string& at) {
    const size_t hash = reference.find('#');
    std::string name = reference.substr(0, hash);
    name = name.empty() ? file : name.substr(0, name.find(".json"));
    const std::string pointer = hash == std::string::npos ? "" : reference.substr(hash + 1);
    check(value, schema(name).at(Json::json_pointer(pointer)), name, at);
  }

  void check_any(const Json& value, const Json& choices, const std::string& file, const std::string& at) {
    Validator best;
    for (size_t i = 0; i < choices.size(); ++i) {
      Validator attempt;
      attempt.check(value, choices[i], file, at);
      if (attempt.problems.empty()) return;
      if (i == 0 || attempt.problems.size() < best.problems.size()) best = std::move(attempt);
    }
    problems.insert(problems.end(), best.problems.begin(), best.problems.end());
  }

  void check_number(const Json& value, const Json& rule, const std::string& at) {
    const double x = value.get<double>();
    if (rule.contains("minimum") && !(x >= rule["minimum"].get<double>())) note(at, cat(x, " is below ", rule["minimum"].dump()));
    if (rule.contains("maximum") && !(x <= rule["maximum"].get<double>())) note(at, cat(x, " is above ", rule["maximum"].dump()));
  }

  void check_string(const Json& value, const Json& rule, const std::string& at) {
    const auto& text = value.get_ref<const std::string&>();
    if (rule.contains("minLength") && text.size() < rule["minLength"].get<size_t>()) note(at, "is too short");
    if (rule.contains("pattern") && !std::regex_search(text, std::regex(rule["pattern"].get<std::string>()))) {
      note(at, "'" + text.substr(0, 80) + "' does not match " + rule["pattern"].get<std::string>());
    }
  }

  void check_array(const Json& value, const Json& rule, const std::string& file, const std::string& at) {
    if (rule.contains("minItems") && value.size() < rule["minItems"].get<size_t>()) note(at, "has too few items");
    if (!rule.contains("items")) return;
    for (size_t i = 0; i < value.size(); ++i) check(value[i], rule["items"], file, cat(at, "[", i, "]"));
  }

  void check_object(const Json& value, const Json& rule, const std::string& file, const std::string& at) {
    for (const Json& key : rule.value("required", Json::array())) {
      if (!value.contains(key.get<std::string>())) note(at, "lacks \"" + key.get<std::string>() + "\"");
    }
    const Json none = Json::object();
    const Json& properties = rule.contains("properties") ? rule["properties"] : none;
    for (const auto& [key, item] : value.items()) {
      const std::string inner = at.empty() ? key : at + "." + key;
      if (properties.contains(key)) {
        check(item, properties[key], file, inner);
      } else if (rule.contains("additionalProperties")) {
        const Json& other = rule["additionalProperties"];
        if (other.is_object()) check(item, other, file, inner);
        else if (other == false) note(inner, "is not expected here");
      }
    }
  }
};

}  // namespace

const Json& schema(const std::string& name) {
  static const std::map<std::string, Json> all = parse_all(kSchemas);
  return look_up(all, name);
}

const Json& layout(const std::string& kind) {
  static const std::map<std::string, Json> all = parse_all(kLayouts);
  return look_up(all, kind);
}

std::vector<std::string> schema_problems(const Json& value, const std::string& name) {
  const Json& rule = schema(name);
  if (rule.is_null()) return {"\"" + name + "\" is no kind that this version knows"};
  Validator validator;
  validator.check(value, rule, name, "");
  return validator.problems;
}

}  // namespace plumb::io
