// Whether a text is well-formed XML, as far as our pictures and pages use it.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

namespace test {

/// "" if well-formed: one root, tags closed in order, attributes quoted and unique, no stray < or & (a > in text is allowed). html: allows a
/// doctype, the void elements of HTML and the raw text of <style>.
inline std::string xml_problem(const std::string& text, bool html = false) {
  static const std::set<std::string> empty_elements{"meta", "img", "br"};
  std::vector<std::string> open;
  size_t roots = 0;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '&') {
      const size_t end = text.find(';', i);
      const std::string name = end == std::string::npos ? "" : text.substr(i + 1, end - i - 1);
      if (!std::set<std::string>{"amp", "lt", "gt", "quot", "#39"}.count(name))
        return "stray & at " + text.substr(i, 20);
      i = end + 1;
    } else if (text[i] != '<') {
      if (open.empty() && text[i] != '\n') return "text outside the root";
      ++i;
    } else if (html && text.compare(i, 9, "<!DOCTYPE") == 0) {
      i = text.find('>', i) + 1;
    } else if (text.compare(i, 2, "</") == 0) {
      const size_t end = text.find('>', i);
      const std::string name = text.substr(i + 2, end - i - 2);
      if (open.empty() || open.back() != name) return "</" + name + "> closes nothing";
      open.pop_back();
      i = end + 1;
    } else {
      size_t k = i + 1;
      while (k < text.size() && (isalnum(static_cast<unsigned char>(text[k])) != 0)) ++k;
      const std::string name = text.substr(i + 1, k - i - 1);
      if (name.empty()) return "bad tag at " + text.substr(i, 20);
      std::set<std::string> attributes;
      while (k < text.size() && text[k] == ' ') {
        const size_t equal = text.find('=', k);
        if (equal == std::string::npos || text[equal + 1] != '"') return "unquoted attribute in <" + name;
        if (!attributes.insert(text.substr(k + 1, equal - k - 1)).second) return "attribute twice in <" + name;
        const size_t end = text.find('"', equal + 2);
        if (text.substr(equal + 2, end - equal - 2).find('<') != std::string::npos)
          return "< in an attribute of " + name;
        k = end + 1;
      }
      const bool closed = text.compare(k, 2, "/>") == 0;
      if (!closed && text[k] != '>') return "bad end of <" + name;
      if (open.empty()) ++roots;
      if (!closed && !(html && empty_elements.count(name))) open.push_back(name);
      i = k + (closed ? 2 : 1);
      if (html && name == "style") i = text.find("</style>", i);
    }
  }
  if (!open.empty()) return "<" + open.back() + "> is not closed";
  return roots == 1 ? "" : "not one root";
}

inline size_t count_of(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

/// A folder of its own, removed at the end.
struct Folder {
  std::string path;
  explicit Folder(const std::string& name)
      : path((std::filesystem::temp_directory_path() / ("plumb-" + name + "-" + std::to_string(getpid()))).string()) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

/// Text that breaks what is not escaped.
inline const std::string kHostile = "</svg><script>alert(\"1\")</script>&'\x01\xff<b onload='x'>";

}  // namespace test
