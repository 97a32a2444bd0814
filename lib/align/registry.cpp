// Methods by name, and what is common to their figures.   SPDX-License-Identifier: Apache-2.0
#include "align/registry.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace plumb::align {

std::unique_ptr<Method> make_method(const TuningContext& context) {
#define PLUMB_METHOD(identifier, text, summary) \
  if (context.options.method == text)           \
    return make_##identifier(context);
#include "align/methods.def"
#undef PLUMB_METHOD
  throw Error(Exit::kUsage, "--method", "unknown method '" + context.options.method + "'",
              "one of " + join(method_names(), ", "));
}

void UpdateLog::add_mean(const std::string& name, double value, double weight) { values_[name] += value * weight; }

void UpdateLog::add_max(const std::string& name, double value) {
  const auto [place, added] = values_.try_emplace(name, value);
  if (!added)
    place->second = std::max(place->second, value);
}

}  // namespace plumb::align
