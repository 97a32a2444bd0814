// The factories behind methods.def.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "align/method.h"

namespace plumb::align {

#define PLUMB_METHOD(identifier, name, summary) \
  std::unique_ptr<Method> make_##identifier(const TuningContext& context);
#include "align/methods.def"
#undef PLUMB_METHOD

}  // namespace plumb::align
