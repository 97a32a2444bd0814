// SPDX-License-Identifier: Apache-2.0
#include "nn/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::nn {
namespace {
thread_local DropoutScope* current_scope = nullptr;
}

DropoutScope::DropoutScope(uint64_t seed, const std::vector<int64_t>& items, uint32_t step) : outer_(current_scope) {
  random_.reserve(items.size());
  for (const int64_t item : items) random_.emplace_back(seed, Stream::kDropout, static_cast<uint64_t>(item), step);
  if (!items.empty()) {
    Philox own(seed, Stream::kDropout, static_cast<uint64_t>(items.front()), step);
    at::manual_seed(uint64_t{own.next()} << 32 | own.next());
  }
  current_scope = this;
}

DropoutScope::~DropoutScope() { current_scope = outer_; }

Tensor dropout(const Tensor& x, double p) {
  DropoutScope* scope = current_scope;
  if (!scope) throw Error(Exit::kFailed, "dropout", "training without a dropout key");
  if (scope->random_.size() != static_cast<size_t>(x.size(0))) {
    throw Error(Exit::kFailed, "dropout", cat("a key for ", scope->random_.size(), " items, but a batch of ", x.size(0)));
  }
  Tensor mask = at::empty(x.sizes(), at::kFloat);
  const int64_t row = x.size(0) > 0 ? x.numel() / x.size(0) : 0;
  const float kept = static_cast<float>(1.0 / (1.0 - p));
  float* out = mask.mutable_data_ptr<float>();
  at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Philox& random = scope->random_[static_cast<size_t>(i)];
      for (int64_t j = i * row; j < (i + 1) * row; ++j) out[j] = random.uniform() < p ? 0.0F : kept;
    }
  });
  return x * mask.to(x.device(), x.scalar_type());
}

}  // namespace plumb::nn
