// Pictures in files: PNG and JPEG in, PNG out.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace plumb::io {

/// An 8-bit image, planar [C,H,W].
struct Image {
  int64_t channels = 0, height = 0, width = 0;
  std::vector<uint8_t> pixels;
};

/// Size and channels (1 grey, 2 grey+alpha, 3 RGB, 4 RGBA) without decoding. Error(kBadInput, path) if it is neither
/// PNG nor JPEG.
Image read_image_header(const std::string& path);
/// Decodes a PNG or JPEG to 1 or 3 channels; 0 = 1 if the file is grey, else 3. Alpha is dropped; 16 bits become 8.
Image read_image(const std::string& path, int channels = 0);
Image decode_image(const std::string& bytes, const std::string& name, int channels = 0);

/// The bytes of a PNG (8-bit grey or RGB, deflate level 6, each row by the filter of least absolute sum). Equal pixels
/// make equal bytes. pixels: planar [C,H,W], C = 1 or 3.
std::string encode_png(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width);
void write_png(const std::string& path, const uint8_t* pixels, int64_t channels, int64_t height, int64_t width);

/// Scales by area averaging (smaller) or bilinear interpolation (larger) so that the image covers height x width, then
/// crops the centre.
Image resize_and_crop(const Image& image, int64_t height, int64_t width);
/// The mean of each factor x factor block of pixels, halves rounded up. Rows and columns after the last whole block are dropped.
Image shrink(const Image& image, int64_t factor);

}  // namespace plumb::io
