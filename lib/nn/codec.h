// Factories of the codecs, one file a space, and what goes with them.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "nn/data.h"

namespace plumb::nn {

std::unique_ptr<Codec> make_image_codec(const io::Space& space);      // image_codec.cpp
std::unique_ptr<Codec> make_sequence_codec(const io::Space& space);   // sequence_codec.cpp
std::unique_ptr<Codec> make_vector_codec(const io::Space& space);     // vector_codec.cpp

/// Whether Codec::augment can do what --flip asks: images are mirrored left-right, DNA and RNA become their reverse complement.
/// Throws Error(kUsage, "--flip") for other items.
void check_flip(const io::Space& space);

}  // namespace plumb::nn
