// SPDX-License-Identifier: Apache-2.0
#include "feedback/half_block.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "core/text.h"

namespace plumb::feedback {
namespace {

using Rgb = std::array<int, 3>;

/// The nearest of the 256 colours: the 6 x 6 x 6 cube (levels 0, 95, 135, ..., 255) or the 24 greys (8, 18, ..., 238).
int nearest_256(const Rgb& c) {
  const auto level = [](int v) { return v < 48 ? 0 : v < 115 ? 1 : (v - 35) / 40; };
  const auto value = [](int k) { return k == 0 ? 0 : 55 + 40 * k; };
  const int r = level(c[0]), g = level(c[1]), b = level(c[2]);
  const int grey = std::clamp(((c[0] + c[1] + c[2]) / 3 - 3) / 10, 0, 23), shade = 8 + 10 * grey;
  const auto off = [&](int x, int y, int z) { return (c[0] - x) * (c[0] - x) + (c[1] - y) * (c[1] - y) + (c[2] - z) * (c[2] - z); };
  if (off(shade, shade, shade) < off(value(r), value(g), value(b))) return 232 + grey;
  return 16 + 36 * r + 6 * g + b;
}

std::string colour_code(bool ground, const Rgb& c, Colours colours) {
  const char* const which = ground ? "\x1b[48" : "\x1b[38";
  return colours == Colours::kTrue ? cat(which, ";2;", c[0], ";", c[1], ";", c[2], "m") : cat(which, ";5;", nearest_256(c), "m");
}

/// The picture at another size: mean over the area that a new pixel covers.
class Scaled {
 public:
  Scaled(const io::Image& image, int height, int width) : image_(image), height_(height), width_(width) {}
  Rgb at(int y, int x) const {
    const auto [top, bottom] = span(y, height_, image_.height);
    const auto [left, right] = span(x, width_, image_.width);
    Rgb mean{};
    for (int c = 0; c < 3; ++c) {
      const int64_t channel = image_.channels >= 3 ? c : 0;
      int64_t sum = 0;
      for (int64_t i = top; i < bottom; ++i) {
        for (int64_t j = left; j < right; ++j) sum += image_.pixels[static_cast<size_t>((channel * image_.height + i) * image_.width + j)];
      }
      mean[static_cast<size_t>(c)] = static_cast<int>(sum / ((bottom - top) * (right - left)));
    }
    return mean;
  }

 private:
  static std::pair<int64_t, int64_t> span(int k, int size, int64_t from) {
    const int64_t first = k * from / size;
    return {first, std::max(first + 1, (k + 1) * from / size)};
  }
  const io::Image& image_;
  int height_, width_;
};

char shade(int grey) {
  static const char kShades[] = " .:-=+*#%@";
  return kShades[std::clamp(grey * 10 / 256, 0, 9)];
}

const char* letter_colour(char letter) {
  if (std::strchr("Aa", letter)) return "\x1b[32m";
  if (std::strchr("Cc", letter)) return "\x1b[34m";
  if (std::strchr("Gg", letter)) return "\x1b[33m";
  return std::strchr("TtUu", letter) ? "\x1b[31m" : "\x1b[39m";
}

}  // namespace

Colours terminal_colours(const char* no_color, const char* colorterm, const char* term) {
  if (no_color && *no_color) return Colours::kNone;
  const std::string name = term ? term : "", extra = colorterm ? colorterm : "";
  if (extra == "truecolor" || extra == "24bit") return Colours::kTrue;
  return name.find("256color") != std::string::npos || name.find("direct") != std::string::npos ? Colours::k256 : Colours::kNone;
}

std::vector<std::string> picture_lines(const io::Image& image, int columns, int lines, Colours colours) {
  const double scale = std::min(static_cast<double>(columns) / static_cast<double>(image.width), 2.0 * lines / static_cast<double>(image.height));
  const double factor = scale >= 1 ? std::floor(scale) : scale;
  const int width = std::max(1, static_cast<int>(static_cast<double>(image.width) * factor));
  const int height = std::max(2, static_cast<int>(static_cast<double>(image.height) * factor) / 2 * 2);
  const Scaled scaled(image, height, width);
  std::vector<std::string> out;
  for (int y = 0; y < height; y += 2) {
    std::string line;
    for (int x = 0; x < width; ++x) {
      const Rgb upper = scaled.at(y, x), lower = scaled.at(y + 1, x);
      if (colours == Colours::kNone) {
        int sum = 0;
        for (size_t c = 0; c < 3; ++c) sum += upper[c] + lower[c];
        line += shade(sum / 6);
      } else {
        line += colour_code(false, upper, colours) + colour_code(true, lower, colours) + "\xE2\x96\x80";
      }
    }
    out.push_back(colours == Colours::kNone ? line : line + "\x1b[0m");
  }
  return out;
}

std::vector<std::string> letter_lines(const std::string& letters, int columns, Colours colours) {
  const size_t groups = std::max<size_t>(1, static_cast<size_t>(columns + 1) / 11);
  std::vector<std::string> out;
  for (size_t i = 0; i < letters.size(); i += 10 * groups) {
    std::string line;
    for (size_t k = i; k < std::min(letters.size(), i + 10 * groups); ++k) {
      if (k > i && (k - i) % 10 == 0) line += ' ';
      line += colours == Colours::kNone ? std::string(1, letters[k]) : letter_colour(letters[k]) + std::string(1, letters[k]);
    }
    out.push_back(colours == Colours::kNone ? line : line + "\x1b[0m");
  }
  return out;
}

std::vector<std::string> number_lines(const std::vector<float>& numbers, int columns, int lines) {
  const size_t a_line = std::max<size_t>(1, static_cast<size_t>(columns) / 10), fit = a_line * static_cast<size_t>(std::max(1, lines - 1));
  const size_t shown = std::min(numbers.size(), fit);
  std::vector<std::string> out;
  for (size_t i = 0; i < shown; i += a_line) {
    std::string line;
    for (size_t k = i; k < std::min(shown, i + a_line); ++k) {
      char text[32];
      std::snprintf(text, sizeof text, "%10.4g", static_cast<double>(numbers[k]));
      line += text;
    }
    out.push_back(line);
  }
  if (shown < numbers.size()) out.push_back(cat("... and ", numbers.size() - shown, " more"));
  return out;
}

std::string printable(const std::string& text, int columns) {
  std::string out;
  int letters = 0;
  for (const char c : text) {
    letters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (letters > columns) break;
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return out;
}

int width_of(const std::string& line) {
  int width = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      while (i < line.size() && !std::isalpha(static_cast<unsigned char>(line[i]))) ++i;
    } else if ((static_cast<unsigned char>(line[i]) & 0xC0) != 0x80) {
      ++width;
    }
  }
  return width;
}

std::string padded(const std::string& line, int columns) { return line + std::string(static_cast<size_t>(std::max(0, columns - width_of(line))), ' '); }

}  // namespace plumb::feedback
