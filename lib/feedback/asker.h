// Who is asked: the registry. To add one: lib/feedback/askers/IDENTIFIER.cpp and a row in askers.def.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "feedback/answer.h"
#include "feedback/items.h"

namespace plumb::feedback {

/// What an asker is made of.
struct AskerInput {
  std::string argument = {};             ///< what stands behind "NAME:", "" if nothing
  Mode mode = Mode::kSingle;
  const Items* items = nullptr;          ///< null where questions come through a folder: only a person can answer those
  const io::Manifest* input = nullptr;   ///< the command's input, whose lineage may hold scores
  std::string session = {};              ///< digest of the samples and the plan
  int64_t port = 0;                      ///< page: 0 = any free one
  ScoreItems score = {};                 ///< oracle: computes rewards, in place of looking for scores
};

struct AskerRow {
  const char* name;
  const char* summary;
  std::unique_ptr<Asker> (*make)(const AskerInput&);
};

/// A row of askers.def.
const std::vector<AskerRow>& askers();

/// "NAME" or "NAME:ARGUMENT": the part before the colon. Throws Error(kUsage) if there is no such name, or an argument too many or
/// too few.
std::string asker_name(const std::string& who);
/// What can be said of WHO before there are items to ask about. Throws as make_asker.
void check_asker(const std::string& who, Mode mode);
/// Throws Error(kUsage) for a bad argument, Error(kBadInput) if what it names cannot be read.
std::unique_ptr<Asker> make_asker(const std::string& who, AskerInput input);

}  // namespace plumb::feedback
