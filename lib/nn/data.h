// Rows of artefacts as tensors, and the codec between stored items and model space.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/artefact.h"

namespace plumb::nn {

using at::Tensor;

/// Rows [first, first+count) of a dataset as a CPU tensor of the stored type.
Tensor read_rows(const io::H5Reader& file, const std::string& dataset, int64_t first, int64_t count);
Tensor read_all(const io::H5Reader& file, const std::string& dataset);
void append_rows(io::H5Writer& file, const std::string& dataset, const Tensor& rows);
void write_tensor(io::H5Writer& file, const std::string& dataset, const Tensor& tensor);

/// Between stored items (what files and rewards see) and model space (what the denoiser sees). The only place that knows
/// what a space means. image: uint8 [B,C,H,W] <-> float32 in [-1,1], x = u/127.5 - 1, u = round(clamp((x+1)/2) * 255).
/// sequence: uint8 codes [B,L] <-> [B,K,L] for K letters, 1 at the letter and -1 elsewhere; back by argmax. vector, latent: as they are.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual std::vector<int64_t> model_shape() const = 0;         // of one item
  virtual Tensor encode(const Tensor& stored) const = 0;        // [B,*] stored type -> [B,*model_shape] float32
  virtual Tensor decode(const Tensor& x0) const = 0;            // inverse, stored type, on the CPU
  virtual Tensor augment(const Tensor& x, uint64_t seed, int64_t first_item, uint32_t epoch, bool flip) const;  // default: x
};
std::unique_ptr<Codec> make_codec(const io::Space& space, const std::string& where);

/// Standard normal noise, one item a row: item i of the batch gets the draws of (seed, stream, items[i], step).
Tensor normal_noise(uint64_t seed, int stream, const std::vector<int64_t>& items, uint32_t step,
                    const std::vector<int64_t>& item_shape, at::Device device);

/// Parses "cpu", "cuda", "cuda:1" and checks that it is there: Error(kBadInput) otherwise, never a fallback.
at::Device parse_device(const std::string& text);
/// Threads, deterministic algorithms, no TF32; called once by tools after parsing.
void setup_torch(int threads);

}  // namespace plumb::nn
