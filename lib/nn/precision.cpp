// SPDX-License-Identifier: Apache-2.0
#include "nn/precision.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::nn {

Precision parse_precision(const std::string& text, at::Device device, bool training) {
  if (text == "fp32") return Precision::kFp32;
  if (text == "bf16") return Precision::kBf16;
  if (text != "fp16") throw Error(Exit::kUsage, "--precision", "'" + text + "' is not known", "fp32, bf16 or fp16");
  if (training) throw Error(Exit::kUsage, "--precision", "fp16 gradients underflow", "train with bf16 or fp32");
  if (device.is_cpu()) throw Error(Exit::kUsage, "--precision", "fp16 needs a CUDA device", "use bf16 or fp32 on a CPU");
  return Precision::kFp16;
}

PrecisionGuard::PrecisionGuard(Precision precision, at::Device device) : device_(device.type()), active_(precision != Precision::kFp32) {
  if (!active_) return;
  was_enabled_ = at::autocast::is_autocast_enabled(device_);
  was_type_ = at::autocast::get_autocast_dtype(device_);
  was_cached_ = at::autocast::is_autocast_cache_enabled();
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, precision == Precision::kBf16 ? at::kBFloat16 : at::kHalf);
  at::autocast::set_autocast_cache_enabled(false);
}

PrecisionGuard::~PrecisionGuard() {
  if (!active_) return;
  at::autocast::set_autocast_enabled(device_, was_enabled_);
  at::autocast::set_autocast_dtype(device_, was_type_);
  at::autocast::set_autocast_cache_enabled(was_cached_);
}

}  // namespace plumb::nn
