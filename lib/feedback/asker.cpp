// SPDX-License-Identifier: Apache-2.0
#include "feedback/asker.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "feedback/terminal.h"

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

void check_oracle(const std::string& argument, Mode mode);   // askers/oracle.cpp

void check_asker(const std::string& who, Mode mode) {
  const std::string name = asker_name(who), argument = name.size() < who.size() ? who.substr(name.size() + 1) : "";
  if (name == "oracle") check_oracle(argument, mode);
  if (name == "file" && ::access(argument.c_str(), R_OK) != 0) throw Error(Exit::kBadInput, argument, std::strerror(errno));
  if (name == "tty") check_terminal();
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
