// Reading a network's JSON configuration.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "io/manifest.h"

namespace plumb::nn {

/// Takes values out of a config object by key; done() refuses what nobody asked for. Keys that are absent or null leave the value
/// as it is. All errors are Error(kUsage, where, ...) and name the key.
class ConfigKeys {
 public:
  ConfigKeys(const io::Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) throw Error(Exit::kUsage, where_, "the network's config is not a JSON object");
  }

  template <typename T>
  void read(const std::string& key, T& value) {
    known_.push_back(key);
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return;
    if (std::is_same_v<T, int64_t> && !found->is_number_integer()) refuse(key, "is not a whole number: " + found->dump());
    try {
      value = found->get<T>();
    } catch (const io::Json::exception&) {
      refuse(key, "has a value of the wrong type: " + found->dump());
    }
  }
  template <typename T>
  void read(const std::string& key, std::optional<T>& value) {
    T inner{};
    read(key, inner);
    const auto found = json_.find(key);
    if (found == json_.end()) return;
    if (found->is_null()) value.reset();
    else value = inner;
  }
  bool is_null(const std::string& key) const { return json_.contains(key) && json_.at(key).is_null(); }
  void one_of(const std::string& key, const std::string& value, const std::vector<std::string>& allowed) const {
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
      refuse(key, "'" + value + "' is not supported: use " + join(allowed, ", "));
    }
  }
  void at_least(const std::string& key, double value, double low) const {
    if (!(value >= low)) refuse(key, cat(value, " is below ", low));
  }
  /// A size that memory is asked for: from 1 to 65536.
  void size(const std::string& key, int64_t value) const {
    if (value < 1 || value > 65536) refuse(key, cat(value, " is not from 1 to 65536"));
  }
  void sizes(const std::string& key, const std::vector<int64_t>& values) const {
    if (values.empty()) refuse(key, "is empty");
    for (const int64_t value : values) size(key, value);
  }
  void done() const {
    for (const auto& [key, value] : json_.items()) {
      if (key.rfind('_', 0) == 0) continue;   // _class_name, _diffusers_version: notes of the writer
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      const std::string near = nearest(key, known_);
      throw Error(Exit::kUsage, where_, "unknown network option '" + key + "'", near.empty() ? "" : "did you mean '" + near + "'?");
    }
  }
  [[noreturn]] void refuse(const std::string& key, const std::string& what) const {
    throw Error(Exit::kUsage, where_, "network option " + key + ": " + what);
  }

 private:
  const io::Json& json_;
  std::string where_;
  std::vector<std::string> known_;
};

}  // namespace plumb::nn
