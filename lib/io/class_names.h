// What the classes of an artefact's labels are called.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/manifest.h"

namespace plumb::io {

/// The manifest's `classes`, in the order of the labels 0, 1, ...; empty if it names none.
std::vector<std::string> class_names(const Manifest& manifest);

/// Throws Error(kBadInput) naming `subject` and the first class that `names` calls otherwise than `expected`, the names that `whose` has.
/// A class that is called by its own number has no name and fits any; so does one that only one of the lists has.
void check_same_classes(const std::vector<std::string>& names, const std::string& subject, const std::vector<std::string>& expected,
                        const std::string& whose);

}  // namespace plumb::io
