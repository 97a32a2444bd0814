// SPDX-License-Identifier: Apache-2.0
#include "report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace plumb::report {
namespace {

struct Ink {
  const char *name, *light, *dark;
};
// Hues after Okabe & Ito's set, darkened (light) or lightened (dark) until each reads as text: contrast of 4.9 or more
// against white and 7 or more against the dark page.
constexpr Ink kInks[] = {
    {"c0", "#0067a8", "#5cb0ea"},  {"c1", "#c04a00", "#f58b4c"},    {"c2", "#007a5a", "#35c39c"},
    {"c3", "#a3417d", "#e595c5"},  {"c4", "#8a6100", "#e3b341"},    {"c5", "#4f5b93", "#a6b1ec"},
    {"c6", "#b3261e", "#ff8f85"},  {"c7", "#5f6b00", "#c3cf4a"},
    {"ink", "#1b2027", "#e8ebef"}, {"muted", "#5b6470", "#9aa4b0"}, {"faint", "#dfe3e8", "#343b44"}};
const char* const kFont = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";

/// Length of the valid UTF-8 sequence at text[i]; 0 if it is none (overlong forms, surrogates and stray bytes
/// included).
size_t sequence_length(const std::string& text, size_t i) {
  const auto byte = [&](size_t k) { return k < text.size() ? static_cast<uint8_t>(text[k]) : uint8_t{0}; };
  const uint8_t b = byte(i);
  if (b < 0x80) return 1;
  const size_t length = b >= 0xc2 && b <= 0xdf ? 2 : (b & 0xf0) == 0xe0 ? 3 : b >= 0xf0 && b <= 0xf4 ? 4 : 0;
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return 0;
  }
  if ((b == 0xe0 && byte(i + 1) < 0xa0) || (b == 0xed && byte(i + 1) > 0x9f)) return 0;
  if ((b == 0xf0 && byte(i + 1) < 0x90) || (b == 0xf4 && byte(i + 1) > 0x8f)) return 0;
  if (b == 0xef && byte(i + 1) == 0xbf && byte(i + 2) >= 0xbe) return 0;  // U+FFFE, U+FFFF
  return length;
}

}  // namespace

std::string escape(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const size_t length = sequence_length(text, i);
    const bool control = length == 1 && static_cast<uint8_t>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
    if (length == 0 || control || c == 0x7f)
      out += "\uFFFD";
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out.append(text, i, length);
    i += std::max<size_t>(1, length);
  }
  return out;
}

double text_width(const std::string& text, double size) {
  double em = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if ((c & 0xc0) == 0x80) continue;  // the rest of a letter already counted
    if (c >= 0x80)
      em += 0.64;
    else if (std::strchr(" .,:;'|!ijltf()[]/", c))
      em += 0.35;
    else if (std::strchr("mwMW%@", c))
      em += 0.93;
    else if (c >= 'A' && c <= 'Z')
      em += 0.7;
    else
      em += 0.62;
  }
  return em * size;
}

std::string fit_text(const std::string& text, double size, double width) {
  if (text_width(text, size) <= width) return text;
  std::string cut = text;
  while (!cut.empty() && text_width(cut + "…", size) > width) {
    while (cut.size() > 1 && (static_cast<uint8_t>(cut.back()) & 0xc0) == 0x80)
      cut.pop_back();
    cut.pop_back();
  }
  return cut + "…";
}

std::string px(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f", std::clamp(value, -1e5, 1e5));
  std::string out = text;
  if (out.size() > 2 && out.compare(out.size() - 2, 2, ".0") == 0) out.resize(out.size() - 2);
  return out == "-0" ? "0" : out;
}

std::string Svg::style() {
  std::string light, dark;
  for (const Ink& ink : kInks) {
    light += std::string("svg.pic .") + ink.name + "{color:" + ink.light + "}";
    dark += std::string("svg.pic .") + ink.name + "{color:" + ink.dark + "}";
  }
  return "svg.pic text,svg.pic tspan{fill:currentColor;font-variant-numeric:tabular-nums}" + light +
         "@media screen and (prefers-color-scheme:dark){" + dark + "svg.pic>rect.paper{fill:#14181d}}";
}

Svg::Svg(double width, double height, const std::string& label, bool standalone) {
  const std::string w = px(width), h = px(height);
  out_ = "<svg class=\"pic\"" + std::string(standalone ? " xmlns=\"http://www.w3.org/2000/svg\"" : "") +
         " viewBox=\"0 0 " + w + " " + h + "\" width=\"" + w + "\" height=\"" + h + "\" role=\"img\" aria-label=\"" +
         escape(label) + "\" font-family=\"" + kFont + "\" font-size=\"12\">";
  if (!standalone) return;
  out_ += "<title>" + escape(label) + "</title><style>" + style() + "</style><rect class=\"paper\" width=\"" + w +
          "\" height=\"" + h + "\" fill=\"#ffffff\"/>";
}

void Svg::open(const std::string& colour, const std::string& attributes, const std::string& tip) {
  const char* light = "#1b2027";
  for (const Ink& ink : kInks) {
    if (colour == ink.name) light = ink.light;
  }
  out_ += "<g class=\"" + colour + "\" color=\"" + light + "\"" + (attributes.empty() ? "" : " " + attributes) + ">" +
          (tip.empty() ? "" : "<title>" + escape(tip) + "</title>");
}

void Svg::close() { out_ += "</g>"; }

void Svg::line(double x1, double y1, double x2, double y2, double width, const std::string& dash) {
  path("M" + px(x1) + " " + px(y1) + "L" + px(x2) + " " + px(y2), width, dash);
}

void Svg::rect(double x, double y, double w, double h, double opacity, double radius, bool outline) {
  out_ += "<rect x=\"" + px(x) + "\" y=\"" + px(y) + "\" width=\"" + px(std::max(0.0, w)) + "\" height=\"" +
          px(std::max(0.0, h)) + "\"";
  if (radius > 0) out_ += " rx=\"" + px(radius) + "\"";
  if (opacity > 0)
    out_ += " fill=\"currentColor\" fill-opacity=\"" +
            std::to_string(static_cast<int>(opacity * 100) / 100.0).substr(0, 4) + "\"";
  else
    out_ += " fill=\"none\"";
  out_ += outline ? " stroke=\"currentColor\"/>" : "/>";
}

void Svg::path(const std::string& data, double width, const std::string& dash) {
  if (data.empty()) return;
  out_ += "<path d=\"" + data + "\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"" + px(width) +
          "\" stroke-linejoin=\"round\" stroke-linecap=\"round\"" +
          (dash.empty() ? "" : " stroke-dasharray=\"" + dash + "\"") + "/>";
}

void Svg::area(const std::string& data, double opacity) {
  if (data.empty()) return;
  out_ += "<path d=\"" + data + "\" fill=\"currentColor\" fill-opacity=\"" +
          std::to_string(static_cast<int>(opacity * 100) / 100.0).substr(0, 4) + "\"/>";
}

void Svg::circle(double x, double y, double r, bool hollow) {
  out_ += "<circle cx=\"" + px(x) + "\" cy=\"" + px(y) + "\" r=\"" + px(r) + "\" " +
          (hollow ? "fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"" : "fill=\"currentColor\"") + "/>";
}

void Svg::title(double x, double y, const std::string& name, const std::string& note) {
  out_ += "<text x=\"" + px(x) + "\" y=\"" + px(y) +
          "\" fill=\"currentColor\"><tspan font-size=\"13\" font-weight=\"600\">" + escape(name) + "</tspan>";
  if (!note.empty())
    out_ += "<tspan dx=\"9\" class=\"muted\" color=\"#5b6470\" fill=\"currentColor\">" + escape(note) + "</tspan>";
  out_ += "</text>";
}

void Svg::text(double x, double y, const std::string& text, double size, const std::string& anchor, bool bold,
               const std::string& tip) {
  out_ += "<text x=\"" + px(x) + "\" y=\"" + px(y) + "\"";
  if (size != 12) out_ += " font-size=\"" + px(size) + "\"";
  if (anchor != "start") out_ += " text-anchor=\"" + anchor + "\"";
  if (bold) out_ += " font-weight=\"600\"";
  out_ +=
      " fill=\"currentColor\">" + (tip.empty() ? "" : "<title>" + escape(tip) + "</title>") + escape(text) + "</text>";
}

std::string Svg::finish() { return std::move(out_) + "</svg>"; }

}  // namespace plumb::report
