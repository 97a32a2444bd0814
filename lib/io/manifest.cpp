// SPDX-License-Identifier: Apache-2.0
#include "io/manifest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "core/error.h"
#include "core/sha256.h"
#include "core/text.h"
#include "core/version.h"
#include "io/artefact.h"
#include "io/atomic_file.h"

namespace plumb::io {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxDepth = 200;                     // of nested JSON; a lineage of 60 steps needs about 120
constexpr uintmax_t kMaxJsonBytes = uintmax_t{64} << 20;
const std::string kStdin = "<stdin>";

/// SHA-256 of a file, remembered by (path, size, mtime) so that a long lineage is hashed once a process.
std::string digest_of(const std::string& path) {
  using Key = std::tuple<std::string, int64_t, int64_t, int64_t>;
  static std::mutex mutex;
  static std::map<Key, std::string> known;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw Error(Exit::kBadInput, path, std::strerror(errno));
  const Key key{path, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (const auto found = known.find(key); found != known.end()) return found->second;
  }
  const std::string digest = sha256_of_file(path);
  const std::lock_guard<std::mutex> lock(mutex);
  return known[key] = digest;
}

/// Deepest nesting of brackets outside strings: measured before parsing, because later steps recurse.
size_t json_depth(const std::string& text) {
  size_t depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      else if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

std::string text_field(const Json& json, const char* key) {
  if (!json.is_object()) return "";
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Calls visit(name, manifest JSON) for each input; an input may also be an array of manifests.
template <typename J, typename Visit>
void for_each_input(J& json, const Visit& visit) {
  if (!json.is_object() || !json.contains("inputs")) return;
  auto& inputs = json["inputs"];
  if (!inputs.is_object()) return;
  for (auto& [name, value] : inputs.items()) {
    if (value.is_object()) visit(name, value);
    if (!value.is_array()) continue;
    for (size_t i = 0; i < value.size(); ++i) {
      if (value[i].is_object()) visit(name + "." + std::to_string(i), value[i]);
    }
  }
}

/// Makes each relative path in `json` and its inputs absolute, taking them as relative to `folder`.
void resolve_paths(Json& json, const std::string& folder) {
  const std::string path = text_field(json, "path");
  if (!path.empty() && fs::path(path).is_relative()) json["path"] = absolute_path((fs::path(folder) / path).string());
  for_each_input(json, [&](const std::string&, Json& input) { resolve_paths(input, folder); });
}

/// Whether this is the short form of an input in a file: kind, sha256 and path only.
bool is_reference(const Json& json) { return !json.contains("format"); }

/// The whole manifest behind a reference. Nothing if its file is gone; throws if the file is another one by now.
std::optional<Manifest> opened(const Manifest& reference) {
  const std::string path = reference.path();
  std::error_code ignored;
  if (path.empty() || !fs::is_regular_file(path, ignored)) return std::nullopt;
  verify_digest(reference);
  if (path.ends_with(".npz")) return std::nullopt;  // statistics of another program, which do not say what they are
  return Manifest::read(path);
}

/// Walks the lineage breadth first, opening references as it goes; stops when visit() returns false.
template <typename Visit>
void walk(const Manifest& start, const Visit& visit) {
  std::deque<Manifest> queue{start};
  std::set<std::string> seen;
  while (!queue.empty()) {
    Manifest node = std::move(queue.front());
    queue.pop_front();
    const std::string identity =
        node.sha256().empty() ? node.json().dump(-1, ' ', false, Json::error_handler_t::replace) : node.sha256();
    if (!seen.insert(identity).second) continue;
    if (is_reference(node.json())) {
      if (std::optional<Manifest> whole = opened(node)) node = std::move(*whole);
    }
    if (!visit(node)) return;
    for (auto& [name, input] : node.inputs()) queue.push_back(std::move(input));
  }
}

std::string read_stdin() {
  if (::isatty(STDIN_FILENO)) {
    throw Error(Exit::kBadInput, kStdin, "is a terminal; a manifest was expected",
                "name a file, or pipe from the command before");
  }
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  if (trim(text).empty()) throw Error(Exit::kBadInput, kStdin, "is empty", "did the command before it fail?");
  return text;
}

}  // namespace

Manifest Manifest::parse(const std::string& text, const std::string& name) {
  if (trim(text).empty()) throw Error(Exit::kBadInput, name, "is empty");
  if (json_depth(text) > kMaxDepth) throw Error(Exit::kBadInput, name, "is nested too deeply for a manifest");
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    const bool cut = text[text.find_last_not_of(" \t\r\n")] != '}';
    throw Error(Exit::kBadInput, name, cut ? "is not a JSON manifest, or is cut short" : "is not valid JSON");
  }
  if (!json.is_object()) throw Error(Exit::kBadInput, name, "is JSON but not a manifest object");
  const std::string format = text_field(json, "format");
  int version = 0;
  const std::string prefix = "plumb/";
  const bool ours = format.rfind(prefix, 0) == 0;
  if (ours) {
    const char* end = format.data() + format.size();
    const auto parsed = std::from_chars(format.data() + prefix.size(), end, version);
    if (parsed.ec != std::errc() || parsed.ptr != end) version = 0;
  }
  if (version < 1)
    throw Error(Exit::kBadInput, name, "is not a plumb manifest", "its \"format\" should be \"plumb/1\"");
  if (version > kFormatVersion) {
    throw Error(Exit::kBadInput, name, cat("has format ", format, ", this plumb reads up to plumb/", kFormatVersion),
                "upgrade plumb");
  }
  if (text_field(json, "kind").empty()) throw Error(Exit::kBadInput, name, "is a manifest without a kind");
  return Manifest(std::move(json));
}

Manifest Manifest::read(const std::string& source) {
  if (source == "-") {
    Manifest manifest = parse(read_stdin(), kStdin);
    resolve_paths(manifest.json_, absolute_path("."));
    return manifest;
  }
  std::error_code problem;
  const fs::file_status status = fs::status(source, problem);
  if (!fs::exists(status))
    throw Error(Exit::kBadInput, source, problem ? problem.message() : "No such file or directory");
  if (fs::is_directory(status)) throw Error(Exit::kBadInput, source, "is a folder", "name an .h5 or .json file");
  const std::string path = absolute_path(source);
  const std::string suffix = fs::path(source).extension().string();
  bool is_json = suffix == ".json" || !fs::is_regular_file(status);
  if (!is_json && suffix != ".h5" && suffix != ".hdf5") {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(source.c_str(), "rb"), std::fclose);
    if (!file) throw Error(Exit::kBadInput, source, std::strerror(errno));
    int c = 0;
    while ((c = std::fgetc(file.get())) == ' ' || c == '\n' || c == '\t' || c == '\r') {}
    is_json = c == '{';
  }
  if (!is_json) {
    Manifest manifest = read_artefact_manifest(source);
    resolve_paths(manifest.json_, folder_of(path));
    manifest.json_["path"] = path;
    manifest.json_["sha256"] = digest_of(path);
    return manifest;
  }
  if (fs::is_regular_file(status) && fs::file_size(source, problem) > kMaxJsonBytes) {
    throw Error(Exit::kBadInput, source, "is too large for a JSON manifest");
  }
  const std::string text = read_file(source);
  Manifest manifest = parse(text, source);
  resolve_paths(manifest.json_, folder_of(path));
  if (manifest.path().empty() && fs::is_regular_file(status)) {  // metrics: the JSON file is the artefact
    manifest.json_["path"] = path;
    manifest.json_["sha256"] = sha256_of(text);
  }
  return manifest;
}

std::string Manifest::kind() const { return text_field(json_, "kind"); }
std::string Manifest::path() const { return text_field(json_, "path"); }
std::string Manifest::sha256() const { return text_field(json_, "sha256"); }
std::string Manifest::label() const { return path().empty() ? kStdin : path(); }

int64_t Manifest::count() const {
  const auto found = json_.find("count");
  if (found == json_.end()) return 0;
  const bool fits =
      found->is_number_integer() && !(found->is_number_unsigned() && found->get<uint64_t>() > uint64_t{INT64_MAX});
  if (!fits || found->get<int64_t>() < 0) throw Error(Exit::kBadInput, label(), "count is not a whole number from 0");
  return found->get<int64_t>();
}

uint64_t Manifest::seed() const {
  const auto found = json_.find("seed");
  if (found == json_.end()) return 0;
  if (!found->is_number_integer() || (!found->is_number_unsigned() && found->get<int64_t>() < 0))
    throw Error(Exit::kBadInput, label(), "seed is not a whole number from 0");
  return found->get<uint64_t>();
}

Space Manifest::space() const {
  if (!has_space()) throw Error(Exit::kBadInput, label(), "its manifest (kind '" + kind() + "') says no space");
  return Space::from_json(json_.at("space"), label());
}

std::vector<std::pair<std::string, Manifest>> Manifest::inputs() const {
  std::vector<std::pair<std::string, Manifest>> all;
  for_each_input(json_, [&](const std::string& name, const Json& input) { all.emplace_back(name, Manifest(input)); });
  return all;
}

std::optional<Manifest> Manifest::find(const std::string& wanted) const {
  std::optional<Manifest> found;
  walk(*this, [&](const Manifest& node) {
    if (node.kind() == wanted) found = node;
    return !found;
  });
  return found;
}

std::vector<Manifest> Manifest::find_all(const std::string& wanted) const {
  std::vector<Manifest> found;
  walk(*this, [&](const Manifest& node) {
    if (node.kind() == wanted) found.push_back(node);
    return true;
  });
  return found;
}

Manifest Manifest::need(const std::string& wanted) const {
  std::vector<std::string> there;
  std::optional<Manifest> found;
  walk(*this, [&](const Manifest& node) {
    if (node.kind() == wanted) found = node;
    else if (std::find(there.begin(), there.end(), node.kind()) == there.end()) there.push_back(node.kind());
    return !found;
  });
  if (!found)
    throw Error(Exit::kBadInput, label(), "no '" + wanted + "' here or in what it was made from",
                "found: " + join(there, ", "));
  return *found;
}

Json Manifest::stored(const std::string& folder) const {
  Json json = json_;
  json.erase("path");
  json.erase("sha256");
  for_each_input(json, [&](const std::string&, Json& input) {
    const std::string file = text_field(input, "path");
    if (file.empty()) {
      input = Manifest(input).stored(folder);  // metrics from a pipe: no file to point to, kept whole
      return;
    }
    const fs::path relative = fs::path(absolute_path(file)).lexically_relative(absolute_path(folder));
    input =
        Json{{"kind", text_field(input, "kind")}, {"sha256", text_field(input, "sha256")}, {"path", relative.string()}};
  });
  return json;
}

void verify_digest(const Manifest& manifest) {
  const std::string path = manifest.path();
  if (path.empty()) return;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    throw Error(Exit::kBadInput, path, "is gone; its manifest (kind '" + manifest.kind() + "') is still here",
                "make it again");
  }
  if (manifest.sha256().empty() || digest_of(path) == manifest.sha256()) return;
  throw Error(Exit::kBadInput, path, "has changed since its manifest (kind '" + manifest.kind() + "') was made",
              "make it again");
}

}  // namespace plumb::io
