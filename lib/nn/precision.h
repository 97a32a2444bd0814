// Lower precision for the arithmetic of networks.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace plumb::nn {

enum class Precision { kFp32, kBf16, kFp16 };

/// Parses fp32 | bf16 | fp16. fp16 is for inference on CUDA: gradients underflow without loss scaling, and CPUs emulate it.
/// Throws Error(kUsage).
Precision parse_precision(const std::string& text, at::Device device, bool training);

/// While alive, matrix products and convolutions on `device` run in the given precision (torch's autocast: weights stay float32,
/// normalisation, softmax and sums run in float32). Nothing for kFp32. Weight casts are not cached, so optimiser steps may
/// happen inside. A Denoiser returns the type of its x_t all the same.
class PrecisionGuard {
 public:
  PrecisionGuard(Precision precision, at::Device device);
  ~PrecisionGuard();
  PrecisionGuard(const PrecisionGuard&) = delete;
  PrecisionGuard& operator=(const PrecisionGuard&) = delete;

 private:
  at::DeviceType device_;
  bool active_, was_enabled_ = false, was_cached_ = false;
  at::ScalarType was_type_ = at::ScalarType::Float;
};

}  // namespace plumb::nn
