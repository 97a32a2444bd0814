// SPDX-License-Identifier: Apache-2.0
#include "io/jpeg.h"

#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

#include <csetjmp>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace plumb::io {

struct JpegSizer::State {
  jpeg_compress_struct codec{};
  jpeg_error_mgr errors{};
  jpeg_destination_mgr destination{};
  std::jmp_buf on_error;
  std::vector<JOCTET> buffer = std::vector<JOCTET>(1 << 16);
  std::vector<JSAMPLE> row;   // interleaved
  size_t used = 0;

  static State& of(j_common_ptr codec) { return *static_cast<State*>(codec->client_data); }

  [[noreturn]] static void fail(j_common_ptr codec) { std::longjmp(of(codec).on_error, 1); }
  static void keep_quiet(j_common_ptr, int) {}
  static void begin(j_compress_ptr codec) {
    State& state = of(reinterpret_cast<j_common_ptr>(codec));
    state.destination.next_output_byte = state.buffer.data();
    state.destination.free_in_buffer = state.buffer.size();
  }
  static boolean grow(j_compress_ptr codec) {
    State& state = of(reinterpret_cast<j_common_ptr>(codec));
    const size_t full = state.buffer.size();
    state.buffer.resize(2 * full);
    state.destination.next_output_byte = state.buffer.data() + full;
    state.destination.free_in_buffer = full;
    return TRUE;
  }
  static void end(j_compress_ptr codec) {
    State& state = of(reinterpret_cast<j_common_ptr>(codec));
    state.used = state.buffer.size() - state.destination.free_in_buffer;
  }

  /// No object with a destructor lives in this frame: libjpeg reports errors by longjmp.
  bool compress(const uint8_t* pixels, int quality) {
    if (setjmp(on_error)) {
      jpeg_abort_compress(&codec);
      return false;
    }
    jpeg_set_defaults(&codec);
    jpeg_set_quality(&codec, quality, TRUE);
    jpeg_start_compress(&codec, TRUE);
    const size_t channels = static_cast<size_t>(codec.input_components), width = codec.image_width;
    const size_t plane = width * codec.image_height;
    JSAMPROW line = row.data();
    while (codec.next_scanline < codec.image_height) {
      const uint8_t* from = pixels + width * codec.next_scanline;
      for (size_t c = 0; c < channels; ++c) {
        for (size_t x = 0; x < width; ++x) line[x * channels + c] = from[c * plane + x];
      }
      jpeg_write_scanlines(&codec, &line, 1);
    }
    jpeg_finish_compress(&codec);
    return true;
  }
};

JpegSizer::JpegSizer() : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.codec.err = jpeg_std_error(&state.errors);
  state.errors.error_exit = State::fail;
  state.errors.emit_message = State::keep_quiet;
  state.codec.client_data = &state;
  if (setjmp(state.on_error)) throw Error(Exit::kFailed, "JPEG", "libjpeg could not start");
  jpeg_create_compress(&state.codec);
  state.destination.init_destination = State::begin;
  state.destination.empty_output_buffer = State::grow;
  state.destination.term_destination = State::end;
  state.codec.dest = &state.destination;
}

JpegSizer::~JpegSizer() {
  if (state_) jpeg_destroy_compress(&state_->codec);
}
JpegSizer::JpegSizer(JpegSizer&&) noexcept = default;

int64_t JpegSizer::size(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width, int quality) {
  if (channels != 1 && channels != 3)
    throw Error(Exit::kBadInput, "JPEG", cat("needs 1 or 3 channels, not ", channels));
  if (height < 1 || width < 1 || height > JPEG_MAX_DIMENSION || width > JPEG_MAX_DIMENSION) {
    throw Error(Exit::kBadInput, "JPEG", cat("cannot hold ", height, "x", width, " pixels"));
  }
  if (quality < 1 || quality > 100)
    throw Error(Exit::kUsage, "JPEG quality", cat(quality, " is out of range"), "must be 1 to 100");
  State& state = *state_;
  state.row.resize(static_cast<size_t>(channels * width));
  state.codec.image_width = static_cast<JDIMENSION>(width);
  state.codec.image_height = static_cast<JDIMENSION>(height);
  state.codec.input_components = static_cast<int>(channels);
  state.codec.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  if (!state.compress(pixels, quality)) throw Error(Exit::kFailed, "JPEG", "libjpeg could not encode the image");
  return static_cast<int64_t>(state.used);
}

std::string JpegSizer::encode(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width, int quality) {
  const int64_t bytes = size(pixels, channels, height, width, quality);
  return std::string(reinterpret_cast<const char*>(state_->buffer.data()), static_cast<size_t>(bytes));
}

}  // namespace plumb::io
