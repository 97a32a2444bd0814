// Writes SVG: same calls, same bytes. Colours come from a palette that people with any colour vision can tell apart, in
// a light and a dark form.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace plumb::report {

/// Text made safe inside XML and HTML, in content and in quoted attributes. Bytes that are not UTF-8 and control
/// characters, which XML forbids, become U+FFFD.
std::string escape(const std::string& text);

/// Width in px of text in the page's sans-serif type at `size` px: an estimate from letter classes, a little above what
/// common fonts need.
double text_width(const std::string& text, double size);

/// Cuts text to at most `width` px, ending in an ellipsis.
std::string fit_text(const std::string& text, double size, double width);

/// Classes .c0 .. .c7 of `color`, repeated beyond; .ink, .muted, .faint for text and rules. Light as presentation
/// attributes (for programs that know no CSS), dark by prefers-color-scheme in style().
constexpr int kColours = 8;

class Svg {
 public:
  /// Starts a picture. label: what it shows, for readers who do not see it. standalone: with namespace, title,
  /// background and style sheet, as a file of its own; otherwise for a page that holds style().
  Svg(double width, double height, const std::string& label, bool standalone);

  /// Everything drawn until close() has this colour: "ink", "muted", "faint", or "c0" ... tip: shown when it is pointed at.
  void open(const std::string& colour, const std::string& attributes = "", const std::string& tip = "");
  void close();
  void line(double x1, double y1, double x2, double y2, double width = 1, const std::string& dash = "");
  void rect(double x, double y, double w, double h, double opacity, double radius = 0, bool outline = false);
  void path(const std::string& data, double width, const std::string& dash = "");
  void area(const std::string& data, double opacity);
  void circle(double x, double y, double r, bool hollow = false);
  /// anchor: start, middle, end. tip: shown when pointed at, e.g. the whole of a cut text.
  void text(double x, double y, const std::string& text, double size = 12, const std::string& anchor = "start",
            bool bold = false, const std::string& tip = "");
  /// A bold name followed by a muted note; the viewer's font decides where the one ends and the other begins.
  void title(double x, double y, const std::string& name, const std::string& note);
  std::string finish();

  static std::string colour(int index) { return "c" + std::to_string(index % kColours); }
  /// The style sheet for all pictures, without <style>.
  static std::string style();

 private:
  std::string out_;
};

/// A coordinate with one decimal, "12.5", "3".
std::string px(double value);

}  // namespace plumb::report
