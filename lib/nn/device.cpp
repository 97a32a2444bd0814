// Devices and LibTorch's global settings.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <cstdlib>

#include "core/error.h"
#include "core/text.h"
#include "nn/data.h"

namespace plumb::nn {

at::Device parse_device(const std::string& text) {
  if (text == "cpu") return at::kCPU;
  const bool cuda = text == "cuda" || text.starts_with("cuda:");
  if (!cuda) throw Error(Exit::kUsage, "--device", "'" + text + "' is not a device", "cpu, cuda or cuda:INDEX");
  const int64_t index = text == "cuda" ? 0 : parse_int(text.substr(5), "--device");
  if (!at::hasCUDA()) throw Error(Exit::kBadInput, "--device", "no CUDA device is here, or this LibTorch is without CUDA", "use --device cpu");
  const int64_t count = at::detail::getCUDAHooks().deviceCount();
  if (index < 0 || index >= count) throw Error(Exit::kBadInput, "--device", cat("there is no cuda:", index, ", ", count, " are here"));
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

void setup_torch(int threads) {
#ifdef M_MMAP_THRESHOLD
  // Otherwise glibc gives each large freed tensor back to the system and the next one is paged in anew: a seventh of the time.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*replace=*/0);   // cuBLAS repeats its sums only with a fixed workspace
  at::set_num_threads(threads);
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
  context.setDeterministicMkldnn(true);
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
  context.setDeterministicFillUninitializedMemory(false);
}

}  // namespace plumb::nn
