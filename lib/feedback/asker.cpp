// SPDX-License-Identifier: Apache-2.0
#include "feedback/asker.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace plumb::feedback {

#define PLUMB_ASKER(identifier, name, summary) std::unique_ptr<Asker> make_##identifier(const AskerInput&);
#include "feedback/askers.def"
#undef PLUMB_ASKER

const std::vector<AskerRow>& askers() {
  static const std::vector<AskerRow> rows{
#define PLUMB_ASKER(identifier, name, summary) {name, summary, &make_##identifier},
#include "feedback/askers.def"
#undef PLUMB_ASKER
  };
  return rows;
}

std::string asker_name(const std::string& who) {
  const size_t colon = who.find(':');
  const std::string name = who.substr(0, colon);
  std::vector<std::string> names;
  for (const AskerRow& row : askers()) names.emplace_back(row.name);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const std::string near = nearest(name, names);
    throw Error(Exit::kUsage, "--ask", "there is no '" + name + "'", near.empty() ? "one of " + join(names, ", ") : "did you mean '" + near + "'?");
  }
  const bool alone = name == "page" || name == "tty", has_argument = colon != std::string::npos && colon + 1 < who.size();
  if (alone && colon != std::string::npos) throw Error(Exit::kUsage, "--ask", "'" + name + "' takes nothing behind it, but there is '" + who.substr(colon) + "'");
  if (!alone && !has_argument) throw Error(Exit::kUsage, "--ask", "'" + name + "' needs something behind it", "see feedback(1), WHO");
  return name;
}

std::unique_ptr<Asker> make_asker(const std::string& who, AskerInput input) {
  const std::string name = asker_name(who);
  if (!input.items && name != "page" && name != "tty") throw Error(Exit::kUsage, "--ask", "only a person answers what comes through a folder", "page or tty");
  if (name.size() < who.size()) input.argument = who.substr(name.size() + 1);
  for (const AskerRow& row : askers()) {
    if (row.name == name) return row.make(input);
  }
  return nullptr;
}

}  // namespace plumb::feedback
