// Artefacts against share/layout.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "core/text.h"
#include "io/schema.h"

namespace plumb::io {
namespace {

constexpr int64_t kPieceElements = 1 << 20;

/// What a layout row says, against one dataset of a file.
class LayoutCheck {
 public:
  LayoutCheck(const H5Reader& file, const Manifest& manifest) : file_(file), manifest_(manifest), names_(file.list("/")) {
    symbols_["N"] = manifest.count();
    if (!manifest.has_space()) return;
    const Space space = manifest.space();
    space_ = space.type;
    item_ = space.shape;
    const char* letters = space.type == "image" ? "CHW" : space.type == "sequence" ? "L" : "";
    for (size_t i = 0; letters[i] && i < item_.size(); ++i) symbols_[std::string(1, letters[i])] = item_[i];
  }

  std::vector<std::string> run(const Json& layout) {
    for (const Json& row : layout.at("datasets")) {
      if (row.contains("space") && row["space"] != space_) continue;
      const std::string pattern = row.at("name").get<std::string>();
      size_t found = 0;
      for (const std::string& name : names_) {
        if (!matches(name, pattern)) continue;
        ++found;
        check(name, row);
      }
      if (found == 0 && row.value("required", false)) problems_.push_back("'" + pattern + "' is missing");
    }
    for (const Json& group : layout.value("one_of", Json::array())) {
      bool any = false;
      for (const Json& pattern : group) {
        for (const std::string& name : names_) any = any || matches(name, pattern.get<std::string>());
      }
      if (!any) problems_.push_back("has none of " + join(group.get<std::vector<std::string>>(), ", "));
    }
    return problems_;
  }

 private:
  /// "reward/*": anything below the group.
  static bool matches(const std::string& name, const std::string& pattern) {
    if (pattern.back() != '*') return name == pattern;
    return name.size() >= pattern.size() && name.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0;
  }

  void check(const std::string& name, const Json& row) {
    const std::string wanted = row.at("type").get<std::string>();
    DatasetInfo info;
    std::string type;
    try {
      info = file_.info(name);
      type = name_of(info.type);
    } catch (const Error&) {  // info() is for numbers
      info.shape = {static_cast<int64_t>(file_.read_strings(name).size())};
      type = "utf8";
    }
    const bool good = wanted == "number" ? type != "utf8" : type == wanted;
    if (!good) problems_.push_back("'" + name + "' is " + type + ", should be " + wanted);
    if (!row.contains("shape")) return;
    const auto shape = row["shape"].get<std::vector<std::string>>();
    if (!fits(info.shape, shape)) {
      std::string hint;
      for (const std::string& symbol : shape) {
        if (symbols_.count(symbol)) hint += (hint.empty() ? " with " : ", ") + cat(symbol, " = ", symbols_.at(symbol));
      }
      problems_.push_back(cat("'", name, "' is ", shape_text(info.shape), ", should be [", join(shape, ","), "]", hint));
    }
  }

  /// A symbol is bound by the manifest or where it is first seen; "item" is the space's shape; "*" is any number of any sizes.
  bool fits(const std::vector<int64_t>& actual, const std::vector<std::string>& wanted) {
    size_t i = 0;
    for (const std::string& symbol : wanted) {
      if (symbol == "*") return true;
      if (symbol == "item") {
        for (const int64_t size : item_) {
          if (i >= actual.size() || actual[i++] != size) return false;
        }
        continue;
      }
      if (i >= actual.size()) return false;
      const auto [bound, is_new] = symbols_.emplace(symbol, actual[i]);
      if (bound->second != actual[i++]) return false;
    }
    return i == actual.size();
  }

  const H5Reader& file_;
  const Manifest& manifest_;
  std::vector<std::string> names_;
  std::string space_;
  std::vector<int64_t> item_;
  std::map<std::string, int64_t> symbols_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> layout_problems(const H5Reader& file, const Manifest& manifest) {
  const Json& rules = layout(manifest.kind());
  if (rules.is_null()) return {"\"" + manifest.kind() + "\" is no kind that this version knows"};
  return LayoutCheck(file, manifest).run(rules);
}

std::vector<std::string> finiteness_problems(const H5Reader& file) {
  std::vector<std::string> problems;
  std::vector<double> piece;
  for (const std::string& name : file.list("/")) {
    DatasetInfo info;
    try {
      info = file.info(name);
    } catch (const Error&) {
      continue;  // text
    }
    if (info.type != Type::kF32 && info.type != Type::kF64) continue;
    const int64_t rows = info.shape.empty() ? 1 : info.shape[0];
    int64_t width = 1;
    for (size_t i = 1; i < info.shape.size(); ++i) width *= info.shape[i];
    const int64_t step = std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, width));
    for (int64_t first = 0; first < rows; first += step) {
      const int64_t count = std::min(step, rows - first);
      piece.resize(static_cast<size_t>(count * width));
      file.read(name, Type::kF64, first, count, piece.data());
      const auto bad = std::find_if(piece.begin(), piece.end(), [](double x) { return !std::isfinite(x); });
      if (bad == piece.end()) continue;
      const int64_t row = first + (bad - piece.begin()) / std::max<int64_t>(1, width);
      problems.push_back(cat("'", name, "' is not finite in row ", row));
      break;
    }
  }
  return problems;
}

}  // namespace plumb::io
