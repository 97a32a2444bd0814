// SPDX-License-Identifier: Apache-2.0
#include "io/artefact.h"

#include "core/error.h"
#include "core/sha256.h"
#include "core/version.h"

namespace plumb::io {

H5Reader open_artefact(const Manifest& manifest, bool verify) {
  if (manifest.path().empty()) {
    throw Error(Exit::kBadInput, manifest.label(),
                "a manifest of kind '" + manifest.kind() + "' without a file to read");
  }
  if (verify) verify_digest(manifest);
  return H5Reader(manifest.path());
}

Manifest commit_artefact(H5Writer& writer, Manifest manifest) {
  Json& json = manifest.json();
  if (!json.contains("format")) {
    Json with_format{{"format", "plumb/" + std::to_string(kFormatVersion)}};
    with_format.update(json);
    json = std::move(with_format);
  }
  const std::string path = absolute_path(writer.path());
  std::string text;
  try {
    text = manifest.stored(folder_of(path)).dump();
  } catch (const Json::exception&) {
    throw Error(Exit::kFailed, path, "its manifest would hold a name that is not UTF-8", "rename the file or option");
  }
  writer.attribute("/", "manifest", text);
  writer.commit();
  json["path"] = path;
  json["sha256"] = sha256_of_file(path);
  return manifest;
}

Manifest read_artefact_manifest(const std::string& path) {
  const H5Reader reader(path);
  const std::string text = reader.attribute("/", "manifest");
  if (text.empty()) throw Error(Exit::kBadInput, path, "is HDF5 but not a plumb artefact", "make one with ingest");
  return Manifest::parse(text, path);
}

}  // namespace plumb::io
