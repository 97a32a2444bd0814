// Pictures, sequences and vectors as lines of a terminal.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "feedback/question.h"
#include "io/image_file.h"

namespace plumb::feedback {

enum class Colours { kTrue, k256, kNone };

/// NO_COLOR set: none. COLORTERM truecolor or 24bit: true. TERM with 256color or direct: 256. Else none.
Colours terminal_colours(const char* no_color, const char* colorterm, const char* term);

/// The picture in at most columns x lines cells. With colours a cell is two pixels, one above the other, as an upper half block;
/// without, a cell is the mean of two, as one of ten ASCII shades, bright on dark. Smaller pictures are enlarged by a whole factor,
/// larger ones averaged down. Each line ends with the colours reset.
std::vector<std::string> picture_lines(const io::Image& image, int columns, int lines, Colours colours);
/// Letters, coloured, in groups of ten.
std::vector<std::string> letter_lines(const std::string& letters, int columns, Colours colours);
/// Numbers with four digits; what does not fit is counted.
std::vector<std::string> number_lines(const std::vector<float>& numbers, int columns, int lines);

/// Text from a file, safe to print: control characters, which could drive the terminal, become blanks; at most `columns` letters.
std::string printable(const std::string& text, int columns);

/// The columns a line takes on the screen: escape sequences take none, each UTF-8 letter one.
int width_of(const std::string& line);
/// The line with blanks behind it, to `columns`.
std::string padded(const std::string& line, int columns);

}  // namespace plumb::feedback
