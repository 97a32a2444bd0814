// What the tests of networks share.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include "core/error.h"
#include "core/philox.h"
#include "io/manifest.h"
#include "nn/denoiser.h"

namespace plumb::nn::test {

/// Runs f, which must throw plumb::Error; its message and exit code.
struct Thrown {
  Exit exit;
  std::string message;
  bool says(const std::string& text) const { return message.find(text) != std::string::npos; }
};
template <typename F>
Thrown thrown_by(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return {error.exit(), error.what()};
  }
  FAIL("no error was thrown");
  return {Exit::kDone, ""};
}

inline std::string numeric_file(const std::string& name) {
  const char* folder = std::getenv("PLUMB_SOURCE_DIR");
  return std::string(folder ? folder : ".") + "/tests/numeric/" + name;
}

/// A folder that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "plumb-nn-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Standard normal values that depend on the seed alone.
inline Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  Tensor values = at::empty(shape, at::kFloat);
  Philox(seed, Stream::kSubset).fill_normal(values.mutable_data_ptr<float>(), values.numel());
  return values;
}

/// Every weight ~ N(0, sigma^2), norm weights and zero biases included, so that nothing hides behind a 0 or 1.
inline void randomise(Module& module, uint64_t seed, double sigma = 0.3) {
  const at::NoGradGuard no_grad;
  module.each_parameter([&](const std::string&, Tensor& tensor) { tensor.copy_(normal(tensor.sizes().vec(), seed++) * sigma); });
}

/// A small conditional UNet of 1-channel 8x8 pictures; with_class: 2 classes and the null class.
inline io::Json small_unet(bool with_class = true, int64_t patch = 2) {
  io::Json network{{"sample_size", 8 / patch},
                   {"in_channels", patch * patch},
                   {"out_channels", patch * patch},
                   {"block_out_channels", {4, 8}},
                   {"layers_per_block", 1},
                   {"down_block_types", {"DownBlock2D", "AttnDownBlock2D"}},
                   {"up_block_types", {"AttnUpBlock2D", "UpBlock2D"}},
                   {"attention_head_dim", 4},
                   {"norm_num_groups", 2}};
  if (with_class) network["num_class_embeds"] = 3;
  return io::Json{{"type", "unet2d"}, {"patch", patch}, {"config", network}};
}

inline double max_difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace plumb::nn::test
