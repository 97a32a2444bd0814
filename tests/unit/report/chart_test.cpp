// SVG and charts.   SPDX-License-Identifier: Apache-2.0
#include "report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "report/svg.h"
#include "report/table.h"
#include "xml.h"

using namespace plumb::report;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Figure example() {
  Figure figure;
  figure.id = "example";
  figure.title = "Title";
  figure.x_label = "updates";
  Series a{"a", {0, 1, 2, 3}, {1, 2, 3, 4}, {0, 1, 2, 3}, {2, 3, 4, 5}};
  Series b{"b", {0, 1, 2, 3}, {4, 3, 2, 4}, {}, {}, 1};
  Panel panel{"Panel", "unit", {a, b}};
  figure.panels = {panel, panel};
  figure.marks = {{2, 1, 3, "part", "c1"}, {3, kNaN, kNaN, "kept", "ink", false}};
  return figure;
}

}  // namespace

TEST_SUITE("svg") {
  TEST_CASE("hostile text stays text") {
    CHECK(escape("<a href='x'>&\"") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    CHECK(escape("a\x01z\x7f") == "a\uFFFDz\uFFFD");
    CHECK(escape("\xff\xc0\x80") == "\uFFFD\uFFFD\uFFFD");  // never UTF-8; an overlong form
    CHECK(escape("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD");  // half of a surrogate pair
    CHECK(escape("\xf0\x9f\x98") == "\uFFFD\uFFFD\uFFFD");  // cut short
    CHECK(escape("µ ± 日本 😀") == "µ ± 日本 😀");
  }

  TEST_CASE("cut text fits, whole letters only") {
    const std::string cut = fit_text("ééééééééééééééé", 12, 60);
    CHECK(text_width(cut, 12) <= 60);
    CHECK(cut.size() % 2 == 1);  // two bytes a letter, three for the ellipsis
    CHECK(fit_text("short", 12, 200) == "short");
  }

  TEST_CASE("coordinates") {
    CHECK(px(3) == "3");
    CHECK(px(-0.01) == "0");
    CHECK(px(12.345) == "12.3");
    CHECK(px(1e300) == "100000");
  }
}

TEST_SUITE("chart") {
  TEST_CASE("pictures are well-formed and the same every time") {
    Figure figure = example();
    for (const bool grid : {false, true}) {
      figure.grid = grid;
      for (const bool standalone : {false, true}) {
        const std::string svg = render_figure(figure, standalone);
        CHECK(test::xml_problem(svg) == "");
        CHECK(svg == render_figure(figure, standalone));
      }
    }
    for (const std::string& svg : render_panels(figure)) CHECK(test::xml_problem(svg) == "");
  }

  TEST_CASE("hostile names cannot leave their place") {
    Figure figure = example();
    figure.title = figure.description = figure.x_label = test::kHostile;
    figure.marks[0].text = test::kHostile;
    for (Panel& panel : figure.panels) {
      panel.title = panel.note = test::kHostile;
      for (Series& s : panel.series) s.name = test::kHostile;
    }
    const std::string svg = render_figure(figure, true);
    CHECK(test::xml_problem(svg) == "");
    CHECK(svg.find("<script") == std::string::npos);
  }

  TEST_CASE("a value that is not finite makes a gap in line and band") {
    Figure figure = example();
    figure.panels.resize(1);
    figure.panels[0].series.resize(1);
    figure.marks.clear();
    Series& s = figure.panels[0].series[0];
    s.x = {0, 1, 2, 3, 4, 5};
    s.y = {1, 2, kNaN, 4, 5, INFINITY};
    s.low = {0, 1, 2, 3, 4, 5};
    s.high = {2, 3, 4, 5, 6, 7};
    const std::string svg = render_figure(figure, false);
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
    const size_t band = svg.find("<path d=\"M", svg.find("fill-opacity") - 400);
    REQUIRE(band != std::string::npos);
    CHECK(test::count_of(svg, "Z") == 2);  // two closed stretches
  }

  TEST_CASE("nothing to draw is said, not crashed on") {
    Figure figure;
    CHECK(test::xml_problem(render_figure(figure, true)) == "");
    figure.panels.push_back({"Empty", "", {}});
    figure.panels.push_back({"Only NaN", "", {{"s", {1, 2}, {kNaN, kNaN}, {}, {}}}, true});
    const std::string svg = render_figure(figure, false);
    CHECK(test::count_of(svg, "no finite value") == 2);
    figure.panels = {{"One point", "", {{"s", {1}, {2}, {}, {}}}}};
    CHECK(test::count_of(render_figure(figure, false), "<circle") == 1);
  }

  TEST_CASE("lines are named at their ends when there are several, and not when there is one") {
    Figure figure = example();
    figure.panels.resize(1);
    CHECK(render_figure(figure, false).find(">a</text>") != std::string::npos);
    figure.panels[0].series.resize(1);
    CHECK(render_figure(figure, false).find(">a</text>") == std::string::npos);
  }

  TEST_CASE("the words of marks stay inside the picture") {
    Figure figure = example();
    figure.panels.resize(1);
    for (double at = 0; at <= 3; at += 0.5) {
      figure.marks = {{at, kNaN, kNaN, std::string(90, 'n'), "c1"}};
      const std::string svg = render_figure(figure, false);
      const size_t end = svg.find("\" y=", svg.find(std::string(90, 'n')) - 60), begin = svg.rfind('"', end - 1) + 1;
      const double x = std::stod(svg.substr(begin, end - begin));
      CHECK(x >= 0);
      CHECK(x + text_width(std::string(90, 'n'), 12) <= 720.1);  // coordinates are rounded to 0.1
    }
  }

  TEST_CASE("names keep apart, in order, and close to where they belong") {
    CHECK(spread({10, 50}, 14, 0, 100) == std::vector<double>{10, 50});
    const auto pair = spread({50, 50}, 14, 0, 100);
    CHECK(pair[0] == doctest::Approx(43));
    CHECK(pair[1] == doctest::Approx(57));
    const auto at_end = spread({99, 98, 97}, 14, 0, 100);
    CHECK(at_end[0] == doctest::Approx(100));
    CHECK(at_end[2] == doctest::Approx(72));
    const auto many = spread({5, 6, 7, 60, 61, 90}, 14, 0, 100);
    for (size_t i = 1; i < many.size(); ++i) CHECK(many[i] - many[i - 1] >= 14 - 1e-9);
    CHECK(spread({}, 14, 0, 100).empty());
  }

  TEST_CASE("a scatter: bars, the joined marks filled, the others hollow") {
    Figure figure;
    figure.grid = true;
    Series s{"a", {0, 1, 2}, {0, 1, 2}, {-0.5, kNaN, 1.5}, {0.5, kNaN, 2.5}, 0, Style::kScatter};
    s.x_low = {kNaN, 0.5, kNaN};
    s.x_high = {kNaN, 1.5, kNaN};
    s.joined = {true, false, true};
    s.tips = {"", test::kHostile, ""};
    Series b{"b", {1}, {kNaN}, {}, {}, -1, Style::kScatter};
    b.square = true;
    figure.panels = {{"Panel", "", {s, b}}};
    const auto bare = [](const Figure& f) {  // without the legend's marks
      Figure copy = f;
      copy.panels[0].legend = false;
      return render_figure(copy, false);
    };
    const std::string svg = bare(figure);
    CHECK(test::xml_problem(svg) == "");
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(test::count_of(svg, "<circle") == 3);
    CHECK(test::count_of(svg, "fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/>") == 1);  // the hollow one
    CHECK(test::count_of(svg, "<title>") == 1);
    const size_t group = svg.find("opacity=\"0.45\"");
    REQUIRE(group != std::string::npos);
    CHECK(test::count_of(svg.substr(group, svg.find("</g>", group) - group), "<path") == 3);  // two upright bars, one level
    CHECK(test::count_of(svg, "<rect") == 0);  // b's point has no place
    const std::string keys = render_figure(figure, false);
    CHECK(test::count_of(keys, "<circle") == 4);  // the legend's
    CHECK(test::count_of(keys, "<rect") == 1);
    CHECK(keys.compare(keys.rfind("<g class", keys.find("<rect")), 14, "<g class=\"ink\"") == 0);  // colour -1
    // A bar far longer than the plot does not squeeze the points: 0..2 keep at least half of the height.
    const auto rise = [&](double reach) {
      figure.panels[0].series = {s};
      figure.panels[0].series[0].low = {-reach, kNaN, kNaN};
      figure.panels[0].series[0].high = {reach, kNaN, kNaN};
      const std::string picture = bare(figure);
      std::vector<double> heights;
      for (size_t at = picture.find("cy=\""); at != std::string::npos; at = picture.find("cy=\"", at + 1))
        heights.push_back(std::stod(picture.substr(at + 4)));
      return heights.at(0) - heights.at(2);
    };
    CHECK(rise(0.01) > 100);
    CHECK(rise(1e6) > figure.cell_plot / 2.3);
  }

  TEST_CASE("the numbers of a figure as TSV") {
    Figure figure = example();
    figure.panels.resize(1);
    figure.panels[0].title = "tab\there";
    figure.panels[0].series = {{"h", {0, 1, 2}, {25, 75}, {}, {}, 0, Style::kSteps}};
    CHECK(figure_tsv(figure) ==
          "panel\tseries\tx\ty\tlow\thigh\tx_end\tx_low\tx_high\ntab here\th\t0\t25\t\t\t1\t\t\n"
          "tab here\th\t1\t75\t\t\t2\t\t\n");
    Series dots{"d", {5}, {6}, {4}, {8}, 0, Style::kScatter};
    dots.x_low = {3};
    dots.x_high = {9};
    figure.panels[0].series = {dots};
    CHECK(figure_tsv(figure).find("tab here\td\t5\t6\t4\t8\t\t3\t9\n") != std::string::npos);
  }
}

TEST_SUITE("table") {
  TEST_CASE("cells are escaped in the page and exact in the file") {
    const Table table{"t",
                      test::kHostile,
                      "",
                      {{"a", "A"}, {"b", "", Align::kNumber}},
                      {{cell(test::kHostile), cell(1.0 / 3)}, {cell("x\ty\nz")}}};
    CHECK(test::xml_problem(to_html(table)) == "");
    CHECK(test::count_of(to_html(table), "<td") == 2);  // the second column is for the file only
    const std::string tsv = to_tsv(table);
    CHECK(tsv.find("\t0.3333333333333333\n") != std::string::npos);
    CHECK(tsv.find("x y z\t\n") != std::string::npos);
    CHECK(test::count_of(tsv, "\n") == 3);
  }
}
