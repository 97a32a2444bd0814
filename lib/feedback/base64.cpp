// SPDX-License-Identifier: Apache-2.0
#include "feedback/base64.h"

#include <cstdint>
#include <cstring>

#include "core/error.h"

namespace plumb::feedback {
namespace {
constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string base64(const std::string& bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t block = 0;
    for (size_t k = 0; k < 3; ++k) block = block << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= bytes.size() - i ? kLetters[block >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string from_base64(const std::string& text, const std::string& where) {
  const Error bad(Exit::kBadInput, where, "holds a picture that is not base64");
  if (text.size() % 4 != 0) throw bad;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t block = 0;
    size_t padding = 0;
    for (size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      const char* at = c ? std::strchr(kLetters, c) : nullptr;
      if (c == '=' && i + 4 == text.size() && k >= 2) ++padding;
      else if (!at || padding) throw bad;
      block = block << 6 | (at ? static_cast<uint32_t>(at - kLetters) : 0u);
    }
    for (size_t k = 0; k < 3 - padding; ++k) out += static_cast<char>(block >> (16 - 8 * k) & 255);
  }
  return out;
}

}  // namespace plumb::feedback
