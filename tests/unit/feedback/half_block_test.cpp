// Pictures as half blocks, and what a terminal is taken for.   SPDX-License-Identifier: Apache-2.0
#include "feedback/half_block.h"

#include <doctest/doctest.h>

using namespace plumb::feedback;
using plumb::io::Image;

TEST_SUITE("half block") {
  TEST_CASE("two pixels a cell") {
    const Image image{1, 2, 2, {255, 0, 10, 20}};  // top: white, black; bottom: 10, 20
    CHECK(picture_lines(image, 2, 1, Colours::kTrue) ==
          std::vector<std::string>{"\x1b[38;2;255;255;255m\x1b[48;2;10;10;10m\xE2\x96\x80\x1b[38;2;0;0;0m\x1b[48;2;20;20;20m\xE2\x96\x80\x1b[0m"});
    CHECK(picture_lines(image, 2, 1, Colours::k256)[0].find("\x1b[38;5;231m\x1b[48;5;232m") == 0);
    CHECK(picture_lines(image, 2, 1, Colours::kNone) == std::vector<std::string>{"+ "});  // means 132 and 10: shades 5 and 0 of ten
  }

  TEST_CASE("colours stay apart, by channel") {
    const Image red{3, 2, 1, {255, 255, 0, 0, 0, 0}};
    CHECK(picture_lines(red, 1, 1, Colours::kTrue)[0].find("\x1b[38;2;255;0;0m") == 0);
    CHECK(picture_lines(red, 1, 1, Colours::k256)[0].find("\x1b[38;5;196m") == 0);
  }

  TEST_CASE("what is too large is averaged, what is small is enlarged by a whole factor") {
    Image checks{1, 8, 8, {}};
    for (int i = 0; i < 64; ++i) checks.pixels.push_back((i / 8 + i) % 2 ? 200 : 100);
    const auto small = picture_lines(checks, 4, 2, Colours::kTrue);
    CHECK(small.size() == 2);
    for (const std::string& line : small) CHECK(line.find("38;2;150;150;150") != std::string::npos);
    const Image dot{1, 2, 2, {0, 0, 0, 0}};
    CHECK(picture_lines(dot, 7, 9, Colours::kNone).size() == 3);  // factor 3: 6 pixels high
    CHECK(width_of(picture_lines(dot, 7, 9, Colours::kTrue)[0]) == 6);
  }

  TEST_CASE("letters and numbers keep to the width") {
    const std::string dna = "ACGTACGTACGTACGTACGTACGTA";
    CHECK(letter_lines(dna, 21, Colours::kNone) == std::vector<std::string>{"ACGTACGTAC GTACGTACGT", "ACGTA"});
    CHECK(width_of(letter_lines(dna, 21, Colours::kTrue)[0]) == 21);
    CHECK(number_lines({1, 2.5f, -3}, 20, 3) == std::vector<std::string>{"         1       2.5", "        -3"});
    CHECK(number_lines(std::vector<float>(100), 20, 3).back() == "... and 96 more");
  }

  TEST_CASE("text from a file cannot drive the terminal") {
    CHECK(printable("a\x1b[2Jb\nc\x7f", 99) == "a [2Jb c ");
    CHECK(printable("\xC3\xA9t\xC3\xA9", 2) == "\xC3\xA9t");  // letters, not bytes
  }

  TEST_CASE("what the environment says") {
    CHECK(terminal_colours(nullptr, "truecolor", "xterm") == Colours::kTrue);
    CHECK(terminal_colours(nullptr, nullptr, "xterm-256color") == Colours::k256);
    CHECK(terminal_colours(nullptr, nullptr, "vt100") == Colours::kNone);
    CHECK(terminal_colours("1", "truecolor", "xterm-256color") == Colours::kNone);
    CHECK(terminal_colours("", "24bit", "xterm") == Colours::kTrue);
  }
}
