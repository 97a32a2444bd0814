// SPDX-License-Identifier: Apache-2.0
#include "io/image_file.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#include <stb_image.h>

#include "core/error.h"
#include "core/text.h"
#include "io/atomic_file.h"

namespace plumb::io {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 27;
const std::string kPngSignature("\x89PNG\r\n\x1a\n", 8);

uint32_t big_endian(const std::string& bytes, size_t at, size_t width) {
  uint32_t value = 0;
  for (size_t i = 0; i < width; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

uint32_t crc_of(const char* data, size_t size) {
  return static_cast<uint32_t>(
      crc32(crc32(0, nullptr, 0), reinterpret_cast<const Bytef*>(data), static_cast<uInt>(size)));
}

[[noreturn]] void truncated(const std::string& name, const std::string& what) {
  throw Error(Exit::kBadInput, name, "is truncated: " + what, "copy or make it again");
}

/// Every chunk whole, with a right checksum, down to IEND. stb_image looks at neither.
void check_png(const std::string& bytes, const std::string& name) {
  for (size_t at = 8;;) {
    if (bytes.size() - at < 12) truncated(name, "the PNG has no IEND chunk");
    const size_t size = big_endian(bytes, at, 4);
    if (size > bytes.size() - at - 12) truncated(name, "a PNG chunk ends early");
    if (crc_of(&bytes[at + 4], size + 4) != big_endian(bytes, at + 8 + size, 4)) {
      throw Error(Exit::kBadInput, name, "is damaged: a PNG chunk has a wrong checksum", "copy or make it again");
    }
    if (bytes.compare(at + 4, 4, "IEND") == 0) return;
    at += size + 12;
  }
}

/// Huffman tables of a DHT segment [at, end): at most 256 codes each. stb_image writes past its table if there are more.
void check_huffman(const std::string& bytes, size_t at, size_t end, const std::string& name) {
  while (at < end) {
    uint32_t codes = 0;
    const bool whole = end - at >= 17;
    for (size_t i = 1; whole && i <= 16; ++i) codes += big_endian(bytes, at + i, 1);
    if (!whole || codes > 256 || codes > end - at - 17) {
      throw Error(Exit::kBadInput, name, "is damaged: a JPEG Huffman table is out of range", "copy or make it again");
    }
    at += 17 + codes;
  }
}

/// Segments whole, down to the end-of-image marker. stb_image fills what is missing with grey.
void check_jpeg(const std::string& bytes, const std::string& name) {
  size_t at = 2;
  while (at + 1 < bytes.size()) {
    const int marker = static_cast<uint8_t>(bytes[at + 1]);
    if (static_cast<uint8_t>(bytes[at]) != 0xff || marker == 0 || (marker >= 0xd0 && marker <= 0xd7)) {
      ++at;  // entropy-coded data, or fill
      continue;
    }
    if (marker == 0xff) {
      ++at;
      continue;
    }
    if (marker == 0xd9) return;
    if (at + 3 >= bytes.size()) break;
    const size_t size = marker == 0xdc ? 4 : std::max<size_t>(2, big_endian(bytes, at + 2, 2));  // DNL: as stb_image
    const size_t next = at + 2 + size;
    if (next > bytes.size()) break;
    if (marker == 0xc4) check_huffman(bytes, at + 4, next, name);
    at = next;
  }
  truncated(name, "the JPEG has no end-of-image marker");
}

bool is_png(const std::string& bytes) { return bytes.compare(0, 8, kPngSignature) == 0; }
bool is_jpeg(const std::string& bytes) { return bytes.size() > 3 && bytes.compare(0, 3, "\xff\xd8\xff") == 0; }

Image header_of(const std::string& bytes, const std::string& name) {
  if (bytes.empty()) throw Error(Exit::kBadInput, name, "is empty");
  if (!is_png(bytes) && !is_jpeg(bytes)) {
    if (kPngSignature.compare(0, bytes.size(), bytes) == 0 || bytes.size() < 4)
      truncated(name, "it ends inside the signature");
    throw Error(Exit::kBadInput, name, "is neither PNG nor JPEG");
  }
  if (is_png(bytes)) check_png(bytes, name);  // before stb_image sees a byte of it
  else check_jpeg(bytes, name);
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()),
                             static_cast<int>(std::min<size_t>(bytes.size(), INT32_MAX)), &width, &height, &channels)) {
    throw Error(Exit::kBadInput, name, cat("is damaged: ", stbi_failure_reason()), "copy or make it again");
  }
  Image image;
  image.channels = channels;
  image.height = height;
  image.width = width;
  if (image.height < 1 || image.width < 1 || image.height > kMaxPixels / image.width) {
    throw Error(Exit::kBadInput, name, cat(width, "x", height, " pixels is more than is read here"));
  }
  return image;
}

/// Weights of source pixels for output pixel `i` of an axis whose window begins at `begin`, `scale` source pixels an
/// output.
struct Taps {
  int64_t first = 0;
  std::vector<double> weights;
};

Taps taps_of(int64_t i, double begin, double scale, int64_t size) {
  Taps taps;
  if (scale >= 1) {  // area: overlap of [low, high) with each source pixel
    const double low = std::max(0.0, begin + static_cast<double>(i) * scale);
    const double high = std::min(static_cast<double>(size), begin + static_cast<double>(i + 1) * scale);
    taps.first = std::clamp<int64_t>(static_cast<int64_t>(std::floor(low)), 0, size - 1);
    for (int64_t x = taps.first; x < size && static_cast<double>(x) < high; ++x) {
      const double overlap = std::min(high, static_cast<double>(x + 1)) - std::max(low, static_cast<double>(x));
      taps.weights.push_back(std::max(overlap, 0.0) / scale);
    }
  } else {  // bilinear between pixel centres
    const double centre = begin + (static_cast<double>(i) + 0.5) * scale - 0.5;
    const double low = std::clamp(std::floor(centre), 0.0, static_cast<double>(size - 1));
    const double part = std::clamp(centre - low, 0.0, 1.0);
    taps.first = static_cast<int64_t>(low);
    taps.weights = {1 - part};
    if (taps.first + 1 < size) taps.weights.push_back(part);
    else taps.weights[0] = 1;
  }
  double sum = 0;
  for (const double w : taps.weights) sum += w;
  for (double& w : taps.weights) w /= sum;
  return taps;
}

void put_chunk(std::string& png, const char* type, const std::string& data) {
  const auto put = [&](uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) png += static_cast<char>(value >> shift & 255);
  };
  put(static_cast<uint32_t>(data.size()));
  const std::string body = type + data;
  png += body;
  put(crc_of(body.data(), body.size()));
}

/// PNG's filter `kind` (0 none, 1 sub, 2 up, 3 average, 4 Paeth) of one row. Source: PNG specification, section 9.
void filter_row(int kind, const uint8_t* row, const uint8_t* above, size_t size, size_t step, std::string& out) {
  out.assign(1, static_cast<char>(kind));
  for (size_t i = 0; i < size; ++i) {
    const int left = i >= step ? row[i - step] : 0, up = above[i], corner = i >= step ? above[i - step] : 0;
    int guess = 0;
    if (kind == 1) guess = left;
    if (kind == 2) guess = up;
    if (kind == 3) guess = (left + up) / 2;
    if (kind == 4) {
      const int p = left + up - corner, a = std::abs(p - left), b = std::abs(p - up), c = std::abs(p - corner);
      guess = a <= b && a <= c ? left : b <= c ? up : corner;
    }
    out += static_cast<char>(row[i] - guess);
  }
}

}  // namespace

Image read_image_header(const std::string& path) { return header_of(read_file(path), path); }
Image read_image(const std::string& path, int channels) { return decode_image(read_file(path), path, channels); }

Image decode_image(const std::string& bytes, const std::string& name, int channels) {
  Image image = header_of(bytes, name);
  if (bytes.size() > INT32_MAX) throw Error(Exit::kBadInput, name, "is too large for an image file");
  const int wanted = channels != 0 ? channels : image.channels <= 2 ? 1 : 3;
  int width = 0, height = 0, found = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()), static_cast<int>(bytes.size()), &width,
                            &height, &found, wanted),
      stbi_image_free);
  if (!pixels) throw Error(Exit::kBadInput, name, cat("is damaged: ", stbi_failure_reason()), "copy or make it again");
  image.channels = wanted;
  image.width = width;
  image.height = height;
  const size_t plane = static_cast<size_t>(width) * static_cast<size_t>(height), depth = static_cast<size_t>(wanted);
  image.pixels.resize(plane * depth);
  for (size_t i = 0; i < plane; ++i) {
    for (size_t c = 0; c < depth; ++c) image.pixels[c * plane + i] = pixels.get()[i * depth + c];
  }
  return image;
}

std::string encode_png(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width) {
  if ((channels != 1 && channels != 3) || height < 1 || width < 1 || height > kMaxPixels / width) {
    throw Error(Exit::kFailed, "PNG", "cannot hold an image of shape " + shape_text({channels, height, width}));
  }
  const size_t depth = static_cast<size_t>(channels), columns = static_cast<size_t>(width),
               rows = static_cast<size_t>(height);
  std::vector<uint8_t> above(columns * depth, 0), row(columns * depth);
  std::string raw, candidate, best;
  for (size_t y = 0; y < rows; ++y) {
    for (size_t x = 0; x < columns; ++x) {
      for (size_t c = 0; c < depth; ++c) row[x * depth + c] = pixels[(c * rows + y) * columns + x];
    }
    int64_t least = INT64_MAX;
    for (int kind = 0; kind < 5; ++kind) {
      filter_row(kind, row.data(), above.data(), row.size(), depth, candidate);
      int64_t sum = 0;
      for (size_t i = 1; i < candidate.size(); ++i)
        sum += std::abs(static_cast<int>(static_cast<signed char>(candidate[i])));
      if (sum < least) {
        least = sum;
        best.swap(candidate);
      }
    }
    raw += best;
    above.swap(row);
  }
  std::string header;
  for (const int64_t side : {width, height}) {
    for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(side >> shift & 255);
  }
  header += {8, static_cast<char>(channels == 1 ? 0 : 2), 0, 0, 0};
  uLongf size = compressBound(raw.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size(), 6);
  packed.resize(size);
  std::string png = kPngSignature;
  put_chunk(png, "IHDR", header);
  put_chunk(png, "IDAT", packed);
  put_chunk(png, "IEND", "");
  return png;
}

void write_png(const std::string& path, const uint8_t* pixels, int64_t channels, int64_t height, int64_t width) {
  write_file(path, encode_png(pixels, channels, height, width));
}

Image resize_and_crop(const Image& image, int64_t height, int64_t width) {
  const double scale = std::min(static_cast<double>(image.height) / static_cast<double>(height),
                                static_cast<double>(image.width) / static_cast<double>(width));
  const auto begin = [scale](int64_t source, int64_t target) {
    const double margin = (static_cast<double>(source) - scale * static_cast<double>(target)) / 2;
    return scale == 1 ? std::floor(margin) : margin;  // where nothing is scaled, pixels stay as they are
  };
  const double top = begin(image.height, height), left = begin(image.width, width);
  std::vector<Taps> across, down;
  for (int64_t x = 0; x < width; ++x) across.push_back(taps_of(x, left, scale, image.width));
  for (int64_t y = 0; y < height; ++y) down.push_back(taps_of(y, top, scale, image.height));
  Image out;
  out.channels = image.channels;
  out.height = height;
  out.width = width;
  out.pixels.reserve(static_cast<size_t>(image.channels * height * width));
  std::vector<double> line(static_cast<size_t>(image.width));
  for (int64_t c = 0; c < image.channels; ++c) {
    const uint8_t* plane = image.pixels.data() + c * image.height * image.width;
    for (const Taps& rows : down) {
      std::fill(line.begin(), line.end(), 0.0);
      for (size_t r = 0; r < rows.weights.size(); ++r) {
        const uint8_t* from = plane + (rows.first + static_cast<int64_t>(r)) * image.width;
        for (size_t x = 0; x < line.size(); ++x) line[x] += rows.weights[r] * from[x];
      }
      for (const Taps& columns : across) {
        double value = 0;
        for (size_t x = 0; x < columns.weights.size(); ++x)
          value += columns.weights[x] * line[static_cast<size_t>(columns.first) + x];
        out.pixels.push_back(static_cast<uint8_t>(std::clamp(std::lround(value), 0L, 255L)));
      }
    }
  }
  return out;
}

Image shrink(const Image& image, int64_t factor) {
  Image out;
  out.channels = image.channels;
  out.height = image.height / factor;
  out.width = image.width / factor;
  out.pixels.reserve(static_cast<size_t>(out.channels * out.height * out.width));
  const int64_t area = factor * factor;
  std::vector<int64_t> sums(static_cast<size_t>(out.width));
  for (int64_t c = 0; c < out.channels; ++c) {
    for (int64_t y = 0; y < out.height; ++y) {
      std::fill(sums.begin(), sums.end(), area / 2);
      for (int64_t r = y * factor; r < (y + 1) * factor; ++r) {
        const uint8_t* row = image.pixels.data() + (c * image.height + r) * image.width;
        for (int64_t& sum : sums) {
          for (int64_t x = 0; x < factor; ++x) sum += *row++;
        }
      }
      for (const int64_t sum : sums) out.pixels.push_back(static_cast<uint8_t>(sum / area));
    }
  }
  return out;
}

}  // namespace plumb::io
