// An artefact: one HDF5 file with its manifest.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "io/h5.h"
#include "io/manifest.h"

namespace plumb::io {

/// Opens the file behind a manifest for reading. verify: compare its digest with the manifest's first.
H5Reader open_artefact(const Manifest& manifest, bool verify = true);

/// Stores `manifest` (cut by Manifest::stored) as the root attribute, commits the file, and returns the manifest with
/// absolute path and sha256, ready for stdout.
Manifest commit_artefact(H5Writer& writer, Manifest manifest);

/// Reads the root attribute `manifest`. Throws Error(kBadInput) for a file that is not ours.
Manifest read_artefact_manifest(const std::string& path);

}  // namespace plumb::io
