// Tables of results as figures.   SPDX-License-Identifier: Apache-2.0
#include "report/table_study.h"

#include <cmath>

#include <doctest/doctest.h>

#include "core/error.h"
#include "report/page.h"
#include "unit/io/scratch.h"

using namespace plumb;
using namespace plumb::report;

namespace {

ResultTable table_of(const std::string& text, const std::string& name = "t.tsv") {
  const test::Scratch scratch;
  io::write_file(scratch / name, text);
  return read_result_table(scratch / name);
}

const std::string kRuns =
    "# made by hand\narm\tseed\talpha\tr\n"
    "b\t1\t0.2\t3\nb\t2\t0.2\t5\nb\t1\t0.1\t1\nb\t2\t0.1\t\na\t1\t0.1\t7\n";

}  // namespace

TEST_SUITE("table study") {
  TEST_CASE("lines: rows of one series and x are averaged, series as they come, x ascending") {
    const auto points = table_points(table_of(kRuns), {"alpha", {"r"}, "arm"});
    REQUIRE(points.size() == 3);
    CHECK(points[0].by == "b");
    CHECK(points[0].x.mean == 0.1);
    CHECK(points[0].y[0].n == 1);  // the empty cell does not count
    CHECK(points[0].y[0].mean == 1);
    CHECK(points[1].y[0].mean == 4);
    CHECK(points[1].y[0].half == doctest::Approx(12.706).epsilon(1e-3));  // t95 of one degree of freedom, s / sqrt(2) = 1
    CHECK(points[2].by == "a");
  }

  TEST_CASE("marks: one place a series, with intervals along both axes") {
    const auto points = table_points(table_of(kRuns), {"alpha", {"r"}, "arm", true});
    REQUIRE(points.size() == 2);
    CHECK(points[0].x.mean == doctest::Approx(0.15));
    CHECK(points[0].y[0].mean == 3);
    CHECK(points[0].y[0].n == 3);
    CHECK(std::isfinite(points[0].x.half));
  }

  TEST_CASE("the page has the figure and the means; several panels, one a column") {
    const Report report = build_table_report(table_of(kRuns, "alpha.tsv"), {"alpha", {"r", "seed"}, "arm", false, true}, "");
    CHECK(report.title == "alpha.tsv");
    REQUIRE(report.sections.size() == 1);
    const Figure& figure = report.sections[0].figures.at(0);
    CHECK(figure.panels.size() == 2);
    CHECK(figure.panels[0].series.size() == 2);
    CHECK(figure.panels[0].series[0].high[1] == doctest::Approx(4 + 12.706).epsilon(1e-3));
    CHECK(report.sections[0].tables.at(0).rows.size() == 3);
    CHECK(render_page(report).find("alpha") != std::string::npos);
    const std::string tsv = to_tsv(report.sections[0].tables[0]);
    CHECK(tsv.find("arm\talpha\tr\tr_half\tseed\tseed_half\trows\n") == 0);
  }

  TEST_CASE("what has no place on a logarithmic axis is left out, and said") {
    const auto figure_of = [](const std::string& text, const TableFigureOptions& o) {
      return build_table_report(table_of(text), o, "").sections.at(0).figures.at(0);
    };
    const std::string runs = "x\ty\n0\t1\n0\t3\n0.1\t2\n10\t5\n";
    const Figure log = figure_of(runs, {"x", {"y"}, "", false, true});
    CHECK(log.panels[0].series[0].x == std::vector<double>{0.1, 10});
    CHECK(log.caption.find("Not drawn: 1 mean whose x is not above 0") != std::string::npos);
    CHECK(render_figure(log, false).find(">1</text>") != std::string::npos);  // a power of ten between the ends
    CHECK(build_table_report(table_of(runs), {"x", {"y"}, "", false, true}, "").sections[0].tables[0].rows.size() == 3);
    const Figure linear = figure_of(runs, {"x", {"y"}, "", false, false});
    CHECK(linear.panels[0].series[0].x.size() == 3);
    CHECK(linear.caption.find("Not drawn") == std::string::npos);
    CHECK_THROWS_WITH_AS(figure_of("x\ty\n0\t1\n-1\t3\n", {"x", {"y"}, "", false, true}),
                         doctest::Contains("--log-x: column 'y' has no number where 'x' is above 0"), Error);
    // An interval that reaches below 0 is cut; its mean stays on the axis, which stays logarithmic.
    const Figure marks = figure_of("by\tx\ty\na\t1\t1\na\t3\t1\nb\t100\t2\nb\t101\t2\n", {"x", {"y"}, "by", true, true});
    REQUIRE(marks.panels[0].series.size() == 2);
    CHECK(marks.panels[0].series[0].x_low[0] < 0);
    CHECK(marks.caption.find("Bars that leave the plot are cut.") != std::string::npos);
    CHECK(render_figure(marks, false).find(">10</text>") != std::string::npos);
  }

  TEST_CASE("bars that are cut are said to be; those of a single mean are whole") {
    const auto figure_of = [](const std::string& text) {
      return build_table_report(table_of(text), {"x", {"y"}, ""}, "").sections.at(0).figures.at(0);
    };
    const Figure single = figure_of("x\ty\n1\t0\n1\t10\n");  // half of the interval: 63.5
    CHECK_FALSE(cuts_bars(single));
    CHECK(single.caption.find("cut") == std::string::npos);
    CHECK(render_figure(single, false).find(">−50</text>") != std::string::npos);
    const Figure cut = figure_of("x\ty\n1\t0\n1\t10\n2\t6\n2\t6.1\n");
    CHECK(cuts_bars(cut));
    CHECK(cut.caption.find("Bars that leave the plot are cut.") != std::string::npos);
    CHECK_FALSE(cuts_bars(figure_of("x\ty\n1\t0\n1\t0.1\n2\t6\n2\t6.1\n")));
  }

  TEST_CASE("tables below one another, columns in any order") {
    const test::Scratch scratch;
    const std::string one = scratch / "one.tsv", two = scratch / "two.tsv", other = scratch / "other.tsv";
    io::write_file(one, "x\ty\n1\t2\n");
    io::write_file(two, "y\tx\n9\t4\n");
    io::write_file(other, "x\tz\n1\t2\n");
    const ResultTable both = read_result_tables({one, two});
    REQUIRE(both.rows.size() == 2);
    CHECK(both.rows[1] == std::vector<std::string>{"4", "9"});
    CHECK_THROWS_AS(read_result_tables({one, other}), Error);
  }

  TEST_CASE("what is wrong is named") {
    const ResultTable t = table_of(kRuns);
    CHECK_THROWS_WITH_AS(table_points(t, {"alpah", {"r"}, ""}), doctest::Contains("did you mean 'alpha'"), Error);
    CHECK_THROWS_WITH_AS(table_points(t, {"alpha", {}, ""}), doctest::Contains("--y"), Error);
    CHECK_THROWS_WITH_AS(table_points(t, {"arm", {"r"}, ""}), doctest::Contains("row 1, column 'arm': 'b' is no number"), Error);
    CHECK_THROWS_WITH_AS(table_of("a\tb\n1\n", "short.tsv"), doctest::Contains("line 2 has 1 cells"), Error);
    CHECK_THROWS_WITH_AS(table_of("a\tb\n", "empty.tsv"), doctest::Contains("no rows"), Error);
    CHECK_THROWS_AS(read_result_table("/no/such.tsv"), Error);
  }
}
