// The size of an image as a JPEG: the quantity behind the (in)compressibility rewards.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace plumb::io {

/// Encodes in memory, reusing one compressor and one buffer. Byte counts equal Pillow's `image.save(f, "JPEG",
/// quality=quality)`: libjpeg-turbo, baseline, 4:2:0 for RGB, standard Huffman tables. Not for use by two threads at
/// once.
class JpegSizer {
 public:
  JpegSizer();
  ~JpegSizer();
  JpegSizer(JpegSizer&&) noexcept;
  /// Bytes of the JPEG of one planar [C,H,W] uint8 image, C = 1 or 3, quality 1 to 100.
  /// Throws Error(kBadInput) for other channel counts or sides beyond JPEG's 65500.
  int64_t size(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width, int quality = 95);
  /// The same, with the encoded bytes.
  std::string encode(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width, int quality = 95);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace plumb::io
