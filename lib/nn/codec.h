// Factories of the codecs, one file a space.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "nn/data.h"

namespace plumb::nn {

std::unique_ptr<Codec> make_image_codec(const io::Space& space);    // image_codec.cpp
std::unique_ptr<Codec> make_vector_codec(const io::Space& space);   // vector_codec.cpp

}  // namespace plumb::nn
