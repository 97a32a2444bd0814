// Pixels: uint8 [B,C,H,W] <-> float32 in [-1,1].   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "nn/codec.h"

namespace plumb::nn {
namespace {

class ImageCodec : public Codec {
 public:
  explicit ImageCodec(const io::Space& space) : shape_(space.shape) {}
  std::vector<int64_t> model_shape() const override { return shape_; }

  Tensor encode(const Tensor& stored) const override {
    check(stored);
    return stored.to(at::kFloat).div_(127.5).sub_(1);
  }

  Tensor decode(const Tensor& x0) const override {
    check(x0);
    return x0.detach().to(at::kCPU, at::kFloat).add(1).div_(2).clamp_(0, 1).mul_(255).round_().to(at::kByte).contiguous();
  }

  /// Mirrors each item left-right with probability 1/2, by its draw of (seed, kAugment, first_item + row, epoch).
  Tensor augment(const Tensor& x, uint64_t seed, int64_t first_item, uint32_t epoch, bool flip) const override {
    if (!flip) return x;
    Tensor mirrored = at::empty({x.size(0), 1, 1, 1}, at::kBool);
    bool* out = mirrored.mutable_data_ptr<bool>();
    for (int64_t i = 0; i < x.size(0); ++i) {
      Philox random(seed, Stream::kAugment, static_cast<uint64_t>(first_item + i), epoch);
      out[i] = (random.next() & 1U) != 0;
    }
    return at::where(mirrored.to(x.device()), x.flip(3), x);
  }

 private:
  void check(const Tensor& items) const {
    if (items.dim() == 4 && items.sizes().slice(1) == at::IntArrayRef(shape_)) return;
    throw Error(Exit::kBadInput, "images", cat("are ", shape_text(items.sizes().vec()), ", items of ", shape_text(shape_), " were expected"));
  }
  std::vector<int64_t> shape_;   // [C,H,W]
};

}  // namespace

std::unique_ptr<Codec> make_image_codec(const io::Space& space) { return std::make_unique<ImageCodec>(space); }

}  // namespace plumb::nn
