// Where everything in a report came from: artefacts, the commands that made them, and who was made from whom.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/manifest.h"
#include "report/table.h"

namespace plumb::report {

struct Provenance {
  struct Node {
    io::Manifest manifest;
    std::vector<size_t> parents;  ///< indices of nodes it was made from
  };
  std::vector<Node> nodes;  ///< each after its parents
};

/// All artefacts on the lineages of the inputs, once each.
Provenance trace(const std::vector<io::Manifest>& inputs);

/// Kind, file, digest, command line of each. Paths below `folder` are shown relative to it.
Table provenance_table(const Provenance& provenance, const std::string& folder);

/// Boxes from the oldest artefact down to the newest; arrows mean "was used to make".
std::string provenance_graph(const Provenance& provenance, bool standalone);

/// A path as seen from `folder` if it lies below it or close by (two levels up at most), else as it is.
std::string shown_path(const std::string& path, const std::string& folder);

/// argv as one would type it: words with special characters in quotes.
std::string command_line(const io::Manifest& manifest);

}  // namespace plumb::report
