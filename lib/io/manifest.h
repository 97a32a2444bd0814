// The JSON that says what an artefact is, where it came from, and how. One format for the HDF5 root attribute
// `manifest`, for stdout between commands and for metrics files. Contract: plumb-manifest(5).
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "io/space.h"

namespace plumb::io {

using Json = nlohmann::ordered_json;

/// A manifest. Unknown fields are kept and passed on. Read fields through the accessors.
///
/// On stdout `inputs` holds whole manifests, so a reader can walk back to any earlier artefact; in a file `inputs.*`
/// holds kind, sha256 and a path relative to the file's own folder (`stored`).
class Manifest {
 public:
  Manifest() = default;
  explicit Manifest(Json json) : json_(std::move(json)) {}

  /// Reads the manifest that `source` names: "-" (stdin), FILE.json, or an HDF5 artefact. Checks `format`.
  /// The result has absolute `path` (and `sha256` for files read here).
  /// Throws Error(kBadInput): absent, truncated, foreign, empty, or of a newer format.
  static Manifest read(const std::string& source);
  /// Parses manifest text (as on stdin or in a .json file); `name` is used in errors.
  static Manifest parse(const std::string& text, const std::string& name);

  std::string kind() const;
  int64_t count() const;                ///< 0 if absent
  Space space() const;                  ///< throws Error(kBadInput) if absent
  bool has_space() const { return json_.contains("space"); }
  std::string path() const;             ///< "" if the manifest has no file of its own (metrics on stdout)
  std::string sha256() const;
  std::string label() const;            ///< path, or "<stdin>": for messages
  uint64_t seed() const;

  /// The nearest manifest of this kind on the lineage, this one first, then breadth-first through `inputs`.
  std::optional<Manifest> find(const std::string& kind) const;
  /// As find, but throws Error(kBadInput) saying what was looked for and what is there.
  Manifest need(const std::string& kind) const;
  /// Every manifest of this kind on the lineage, nearest first, without repeats (by sha256, else by content).
  std::vector<Manifest> find_all(const std::string& kind) const;
  std::vector<std::pair<std::string, Manifest>> inputs() const;

  Json& json() { return json_; }
  const Json& json() const { return json_; }

  /// The form written inside a file that lives in `folder`: without path and sha256, inputs cut to kind, sha256,
  /// relative path.
  Json stored(const std::string& folder) const;

 private:
  Json json_;
};

/// Throws Error(kBadInput) if the file behind the manifest is gone or its sha256 is another than the manifest says.
void verify_digest(const Manifest& manifest);

}  // namespace plumb::io
