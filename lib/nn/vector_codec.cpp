// Vectors and latents: stored as the model sees them.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "nn/codec.h"

namespace plumb::nn {
namespace {

class VectorCodec : public Codec {
 public:
  explicit VectorCodec(const io::Space& space) : shape_(space.shape) {}
  std::vector<int64_t> model_shape() const override { return shape_; }
  Tensor encode(const Tensor& stored) const override { return stored.to(at::kFloat); }
  Tensor decode(const Tensor& x0) const override { return x0.detach().to(at::kCPU, at::kFloat).contiguous(); }

 private:
  std::vector<int64_t> shape_;
};

}  // namespace

std::unique_ptr<Codec> make_vector_codec(const io::Space& space) { return std::make_unique<VectorCodec>(space); }

}  // namespace plumb::nn
