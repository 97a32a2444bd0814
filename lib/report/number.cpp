// SPDX-License-Identifier: Apache-2.0
#include "report/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace plumb::report {
namespace {

const char* const kMinus = "\u2212";
const char* const kThinSpace = "\u202f";  // narrow, does not break

std::string superscript(int exponent) {
  static const char* const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "⁻" : "";
  for (const char c : std::to_string(std::abs(exponent)))
    text += digits[c - '0'];
  return text;
}

/// Groups the digits before the decimal point of a text such as "-12345.6" and puts the real minus sign.
std::string dressed(std::string text) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.erase(0, 1);
  if (negative && text.find_first_of("123456789") == std::string::npos) return text;  // no "-0.0"
  const size_t whole = std::min(text.find('.'), text.size());
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > 0 && i < whole && whole >= 5 && (whole - i) % 3 == 0) out += kThinSpace;
    out += text[i];
  }
  return (negative ? kMinus : "") + out;
}

std::string decimal(double value, int decimals) {
  char text[400];
  std::snprintf(text, sizeof text, "%.*f", std::clamp(decimals, 0, 17), value);
  return text;
}

/// Without zeros at the end of the decimals.
std::string trimmed(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0')
    text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

int magnitude(double value) { return static_cast<int>(std::floor(std::log10(std::fabs(value)))); }

}  // namespace

std::string fixed_text(double value, int decimals) { return dressed(decimal(value, decimals)); }

std::string scientific(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  if (value == 0) return "0";
  int exponent = magnitude(value);
  std::string mantissa = trimmed(decimal(value / std::pow(10.0, exponent), std::max(0, digits - 1)));
  if (mantissa == "10" || mantissa == "-10") mantissa.pop_back(), ++exponent;
  return dressed(mantissa) + "×10" + superscript(exponent);
}

std::string readable(double value, int digits, bool padded) {
  if (!std::isfinite(value)) return "–";
  const double size = std::fabs(value);
  if (size != 0 && (size >= 1e7 || size < 1e-4)) return scientific(value, std::min(digits, 3));
  if (value == std::floor(value)) return dressed(decimal(value, 0));
  const std::string text = decimal(value, std::max(0, digits - 1 - magnitude(value)));
  return dressed(padded ? text : trimmed(text));
}

std::string readable_with_error(double value, double standard_error) {
  if (!std::isfinite(value) || !std::isfinite(standard_error) || standard_error <= 0) return readable(value);
  const int place = 1 - magnitude(standard_error);
  if (place > 8 || std::fabs(value) >= 1e7) return readable(value) + " ± " + readable(standard_error, 2);
  const int decimals = std::max(0, place);
  return fixed_text(value, decimals) + " ± " + fixed_text(standard_error, decimals);
}

std::string exact(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return std::string(text, end);
}

std::string readable_seconds(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "–";
  if (seconds < 10) return readable(seconds, 2) + " s";
  const auto total = static_cast<int64_t>(std::llround(std::min(seconds, 1e15)));
  const int64_t hours = total / 3600, minutes = total / 60 % 60;
  if (hours > 0) return std::to_string(hours) + " h " + std::to_string(minutes) + " min";
  if (minutes > 0) return std::to_string(minutes) + " min " + std::to_string(total % 60) + " s";
  return std::to_string(total) + " s";
}

std::string short_digest(const std::string& sha256) { return sha256.substr(0, 12); }

}  // namespace plumb::report
