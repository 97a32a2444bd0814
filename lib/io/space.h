// What one item of data is: an image, a sequence, a vector.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace plumb::io {

/// The space items live in. type: "image" ([C,H,W], stored uint8), "sequence" ([L], stored uint8 codes, with an
/// alphabet), "vector" and "latent" (any shape, stored float32).
struct Space {
  std::string type = "image";
  std::vector<int64_t> shape;
  std::string alphabet;  // sequences only, e.g. "ACGT"

  int64_t numel() const;              ///< stored elements of one item
  std::string dataset() const;        ///< HDF5 dataset that holds the items: images, sequences, vectors, latents
  bool stored_as_bytes() const;       ///< uint8 (true) or float32 (false)
  bool operator==(const Space& other) const = default;
  std::string text() const;           ///< "image [1,28,28]"

  nlohmann::ordered_json to_json() const;
  /// Throws Error(kBadInput, path, ...) on an unknown type or a bad shape.
  static Space from_json(const nlohmann::ordered_json& json, const std::string& path);
};

}  // namespace plumb::io
