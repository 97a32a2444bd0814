// SPDX-License-Identifier: Apache-2.0
#include "nn/codec.h"

#include "core/error.h"
#include "nn/data.h"

namespace plumb::nn {

Tensor Codec::augment(const Tensor& x, uint64_t, int64_t, uint32_t, bool) const { return x; }

std::unique_ptr<Codec> make_codec(const io::Space& space, const std::string& where) {
  if (space.type == "image") return make_image_codec(space);
  if (space.type == "sequence") return make_sequence_codec(space);
  if (space.type == "vector" || space.type == "latent") return make_vector_codec(space);
  throw Error(Exit::kBadInput, where, "no diffusion model here knows " + space.text(), "image, sequence, vector and latent are known");
}

}  // namespace plumb::nn
