// Shared by the importers; private to them.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/importer.h"

namespace plumb::io {

/// Throws Error(kUsage) for an option that was given but is not among `used`.
void refuse_unused(const ImportOptions& options, const std::string& name, const std::vector<std::string>& used);

/// The one path of an importer that takes one. Throws Error(kUsage) otherwise.
std::string only_path(const ImportOptions& options, const std::string& name);

}  // namespace plumb::io
