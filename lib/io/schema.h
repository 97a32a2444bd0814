// JSON Schema (draft-07, the part our own schemas use) and the layouts of artefacts, both compiled in from share/schema and
// share/layout so that `check` needs no files beside itself.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "io/artefact.h"

namespace plumb::io {

/// A file of share/schema or share/layout by its name without ".json"; null JSON if there is none.
const Json& schema(const std::string& name);
const Json& layout(const std::string& kind);

/// What is wrong with `value` under the schema, one line each, starting with where: "space.shape[0]: ...". Empty: nothing.
/// Understood: $ref (within the file and to other files of share/schema), allOf, anyOf, type, const, enum, pattern, minimum,
/// maximum, minLength, minItems, items, required, properties, additionalProperties. Others are ignored, as draft-07 asks.
std::vector<std::string> schema_problems(const Json& value, const std::string& name);

/// How an artefact's datasets differ from share/layout/KIND.json: absent, of another type or shape, or of another length than
/// the manifest's count. Datasets that no row describes are allowed.
std::vector<std::string> layout_problems(const H5Reader& file, const Manifest& manifest);

/// Names the float datasets that hold NaN or infinity, with the first place. Reads in pieces of a few MiB.
std::vector<std::string> finiteness_problems(const H5Reader& file);

}  // namespace plumb::io
