// Grids, scores, metrics, provenance, whole pages.   SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <cmath>
#include <filesystem>
#include <map>

#include <doctest/doctest.h>

#include "core/error.h"
#include "io/artefact.h"
#include "io/atomic_file.h"
#include "report/metric_table.h"
#include "report/page.h"
#include "report/provenance.h"
#include "report/score_figures.h"
#include "xml.h"

using namespace plumb;
using namespace plumb::report;
using io::Json;
using io::Manifest;

namespace {

/// Four 1 x 2 x 2 images: image i is filled with 10 * (i + 1). Labels 1 0 1 0.
Manifest write_samples(const std::string& path, const Json& more = Json::object()) {
  io::H5Writer writer(path);
  std::vector<uint8_t> pixels;
  for (uint8_t i = 0; i < 4; ++i) pixels.insert(pixels.end(), 4, static_cast<uint8_t>(10 * (i + 1)));
  const int64_t labels[] = {1, 0, 1, 0};
  writer.write("images", io::Type::kU8, {4, 1, 2, 2}, pixels.data());
  writer.write("label", io::Type::kI64, {4}, labels);
  Json json{{"format", "plumb/1"},
            {"kind", "samples"},
            {"count", 4},
            {"space", {{"type", "image"}, {"shape", {1, 2, 2}}}},
            {"tool", "sample"},
            {"argv", {"sample", "-o", test::kHostile.substr(0, 30)}},
            {"classes", {"cat & dog", "<b>"}}};
  json.update(more);
  return io::commit_artefact(writer, Manifest(json));
}

Manifest write_scores(const std::string& path, const Manifest& samples) {
  io::H5Writer writer(path);
  const float values[] = {0.5f, -1.0f, 2.0f, 1.5f};
  writer.write("reward/exec_<x>", io::Type::kF32, {4}, values);
  return io::commit_artefact(writer, Manifest(Json{{"format", "plumb/1"},
                                                   {"kind", "scores"},
                                                   {"count", 4},
                                                   {"tool", "score"},
                                                   {"inputs", {{"samples", samples.json()}}}}));
}

Manifest metrics_of(const Json& metrics, const Manifest& samples) {
  return Manifest(Json{{"format", "plumb/1"},
                       {"kind", "metrics"},
                       {"metrics", metrics},
                       {"extractor", {{"name", "classifier"}, {"digest", "0123456789abcdef"}}},
                       {"inputs", {{"samples", samples.json()}}}});
}

}  // namespace

TEST_SUITE("image grid") {
  TEST_CASE("which items stand where") {
    CHECK(tiles_in_order(5, 2, 3) == Tiles{{0, 1, 2}, {3, 4}});
    CHECK(tiles_in_order(0, 2, 3).empty());
    std::vector<int64_t> classes;
    CHECK(tiles_by_class({7, 3, 7, 7}, 10, 2, classes) == Tiles{{1, -1}, {0, 2}});
    CHECK(classes == std::vector<int64_t>{3, 7});
    CHECK(tiles_by_value({0.3f, NAN, -1, 5}, 3) == Tiles{{2, 0, 3}});
    CHECK(tiles_by_value({1}, 3) == Tiles{{0}});
    CHECK(tiles_by_value({NAN}, 3).empty());
  }

  TEST_CASE("tiles are enlarged by a whole factor, with a gap between them") {
    const test::Folder folder("grid");
    const Manifest samples = write_samples(folder / "s.h5");
    const io::Image image = draw_tiles(io::open_artefact(samples), samples.space(), {{3, 0}, {-1, 1}});
    CHECK(image.channels == 1);
    CHECK(image.width == 56 + 2 + 56);  // 2 pixels, 28-fold
    CHECK(image.height == 114);
    const auto at = [&](int64_t y, int64_t x) {
      return static_cast<int>(image.pixels[static_cast<size_t>(y * image.width + x)]);
    };
    CHECK(at(0, 0) == 40);
    CHECK(at(55, 55) == 40);
    CHECK(at(0, 56) == 128);  // gap
    CHECK(at(0, 58) == 10);
    CHECK(at(60, 0) == 128);  // no item
    CHECK(at(113, 113) == 20);
  }

  TEST_CASE("a file that is not what its manifest says") {
    const test::Folder folder("grid-bad");
    const Manifest samples = write_samples(folder / "s.h5");
    const io::H5Reader file = io::open_artefact(samples);
    CHECK_THROWS_AS(draw_tiles(file, {"image", {1, 28, 28}, ""}, {{0}}), Error);
    CHECK_THROWS_AS(draw_tiles(file, samples.space(), {{4}}), Error);
    CHECK_THROWS_AS(draw_tiles(file, samples.space(), {}), Error);
  }
}

TEST_SUITE("scores") {
  TEST_CASE("mean, error and quantiles by hand") {
    const Summary s = summarise({4, 1, NAN, 3, 2});
    CHECK(s.n == 4);
    CHECK(s.not_finite == 1);
    CHECK(s.mean == 2.5);
    CHECK(s.standard_deviation == doctest::Approx(std::sqrt(5.0 / 3)).epsilon(1e-12));  // sum of squares 5, n - 1 = 3
    CHECK(s.standard_error == doctest::Approx(std::sqrt(5.0 / 12)).epsilon(1e-12));
    const std::vector<double> want{1, 1.15, 1.75, 2.5, 3.25, 3.85, 4};  // type 7: 1 + 3 * level
    for (size_t i = 0; i < want.size(); ++i) CHECK(s.quantiles[i] == doctest::Approx(want[i]).epsilon(1e-12));
    CHECK(std::isnan(summarise({}).mean));
    CHECK(std::isnan(summarise({1}).standard_error));
  }

  TEST_CASE("bins hold everything, and the shares add up") {
    std::vector<float> values;
    for (int i = 0; i <= 1000; ++i) values.push_back(static_cast<float>(i) / 1000);
    const std::vector<double> edges = histogram_edges({&values});
    CHECK(edges.front() <= 0);
    CHECK(edges.back() >= 1);
    CHECK(edges.size() - 1 == 10);  // width 2 * 0.5 / 10 = 0.1
    const auto figures = score_figures({{"r", "s", values, {}}});
    REQUIRE(figures.size() == 1);
    double sum = 0;
    for (const double share : figures[0].panels[0].series[0].y) sum += share;
    CHECK(sum == doctest::Approx(100));
    const std::vector<float> same(5, 2.0f), none{NAN};
    CHECK(histogram_edges({&same}).size() == 2);
    CHECK(histogram_edges({&none}).empty());
    CHECK(score_figures({{"r", "s", none, {}}}).empty());
    CHECK(score_figures({{"a/b*2", "s", values, {}}})[0].id == "reward-a_b_2");
  }
}

TEST_SUITE("metrics") {
  TEST_CASE("every figure is found, with what it rests on") {
    const Json metrics{
        {"fid", {{"value", 12.5}, {"n", 512}, {"n_reference", 1000}, {"rank", 64}, {"d", 64}, {"path", "x"}}},
        {"prdc",
         {{"precision", 0.5},
          {"recall", 0.25},
          {"precision_k", 3},
          {"n", 512},
          {"intervals", {{"precision", {{"stderr", 0.02}, {"low", 0.46}, {"high", 0.54}}}}}}},
        {"vendi",
         {{"order", "1"},
          {"value", 7},
          {"kernels", {{{"kernel", "cosine"}, {"scores", {{{"order", "inf"}, {"value", 3}, {"stderr", 0.5}}}}}}},
          {"per_class", {{"0", {{"value", 2}, {"stderr", 0.1}}}, {"1", {{"value", 3}}}, {"bad", {{"value", 3}}}}}}},
        {"pairwise", {{"value", 0.5}, {"cosine", {{"mean", 0.5}, {"stderr", 0.01}, {"min", 0.1}}}}},
        {"new-one", {{"value", 1}, {"odd_part", 2}}}};
    const Manifest manifest =
        metrics_of(metrics, Manifest(Json{{"kind", "samples"}, {"path", "/x/s.h5"}, {"sha256", "1"}}));
    const std::vector<MetricRow> rows = metric_rows(manifest);
    std::string names;
    for (const MetricRow& r : rows) names += r.metric + r.arrow + "; ";
    CHECK(names ==
          "FID↓; Precision↑; Recall↑; Vendi score, cosine, order ∞↑; Pairwise distance, cosine↑; Pairwise distance, "
          "cosine, min; "
          "new-one; new-one, odd part; ");
    CHECK(rows[0].n == 512);
    CHECK(rows[0].rank == 64);
    CHECK(rows[0].samples == "s");
    CHECK(rows[0].digest == "0123456789abcdef");
    CHECK(std::isnan(rows[1].rank));  // FID's rank is not precision's
    CHECK(rows[1].standard_error == 0.02);  // by name, in `intervals`
    CHECK(rows[1].low == 0.46);
    CHECK(rows[1].high == 0.54);
    CHECK(std::isnan(rows[2].standard_error));
    CHECK(rows[3].standard_error == 0.5);
    CHECK(to_tsv(metric_file_table(rows)).find("FID\ts\t12.5\t\t\t\t512\t1000\t64\tclassifier\t0123456789abcdef\n") !=
          std::string::npos);
    const Table page = metric_page_table(rows);
    CHECK(page.rows.size() == rows.size());
    CHECK(page.note.find("weights 0123456789ab)") != std::string::npos);
    CHECK(class_table({manifest}, {"cat"}).rows.size() == 2);
    CHECK(class_table({manifest}, {"cat"}).rows[0][0].shown == "cat");
    CHECK(class_table({manifest}, {"cat"}).rows[1][0].shown == "1");
  }

  TEST_CASE("two sets of samples stand side by side") {
    const auto rows_of = [](double value, const char* path) {
      return metric_rows(metrics_of({{"fid", {{"value", value}, {"n", 10}}}},
                                    Manifest(Json{{"kind", "samples"}, {"path", path}, {"sha256", path}})));
    };
    std::vector<MetricRow> rows = rows_of(1, "/a.h5");
    rows.push_back(rows_of(2, "/b.h5")[0]);
    const Table page = metric_page_table(rows);
    REQUIRE(page.rows.size() == 1);
    CHECK(page.rows[0][1].raw == "1");
    CHECK(page.rows[0][2].raw == "2");
    CHECK(metric_rows(Manifest(Json{{"kind", "metrics"}, {"metrics", 5}})).empty());
  }
}

TEST_SUITE("provenance") {
  TEST_CASE("each artefact once, after what it was made from; edges may pass layers") {
    const auto node = [](const char* kind, const char* sha, const Json& inputs) {
      return Json{{"format", "plumb/1"}, {"kind", kind}, {"sha256", sha}, {"inputs", inputs}};
    };
    const Json dataset = node("dataset", "d", Json::object()), model = node("model", "m", {{"dataset", dataset}});
    const Json samples = node("samples", "s", {{"model", model}});
    const Manifest metrics(node("metrics", "x", {{"samples", samples}, {"reference", dataset}}));
    const Provenance p = trace({metrics, Manifest(samples)});
    REQUIRE(p.nodes.size() == 4);
    CHECK(p.nodes[0].manifest.kind() == "dataset");
    CHECK(p.nodes[3].manifest.kind() == "metrics");
    CHECK(p.nodes[3].parents == std::vector<size_t>{2, 0});
    const std::string svg = provenance_graph(p, true);
    CHECK(test::xml_problem(svg) == "");
    CHECK(test::count_of(svg, "<rect") == 5);  // four boxes and the paper
  }

  TEST_CASE("paths and command lines") {
    CHECK(shown_path("/a/b/c.h5", "/a/b") == "c.h5");
    CHECK(shown_path("/a/x/c.h5", "/a/b") == "../x/c.h5");
    CHECK(shown_path("/far/away/c.h5", "/a/b/c/d") == "/far/away/c.h5");
    CHECK(command_line(Manifest(Json{{"argv", {"score", "--reward", "a*2", "it's", ""}}})) ==
          "score --reward 'a*2' 'it'\\''s' ''");
  }
}

TEST_SUITE("report") {
  TEST_CASE("a whole page: well-formed, self-contained, the same every time") {
    const test::Folder folder("page");
    const Manifest samples = write_samples(folder / "s.h5"), scores = write_scores(folder / "r.h5", samples);
    ReportOptions options{test::kHostile, folder.path, 8, 8};
    const Report report = build_report({scores}, {}, options);
    const std::string page = render_page(report);
    CHECK(test::xml_problem(page, true) == "");
    CHECK(page == render_page(build_report({scores}, {}, options)));
    for (const char* outside : {"<script", "http:", "https:", "url(", "@import"})
      CHECK(page.find(outside) == std::string::npos);
    CHECK(page.find(folder.path) == std::string::npos);  // paths as seen from the page
    CHECK(page.find("cat &amp; dog") != std::string::npos);
    CHECK(test::count_of(page, "data:image/png;base64,iVBORw0KGgo") == 2);
    CHECK(page.rfind(kPageStart, 0) == 0);
    CHECK(svg_files(report).size() == 2);
    CHECK(png_files(report).size() == 2);
    CHECK(tsv_files(report).size() == 3);
    for (const SideFile& file : svg_files(report)) CHECK(test::xml_problem(file.contents) == "");
  }

  TEST_CASE("sequences: a logo of each set, and the words of all") {
    const test::Folder folder("sequences");
    std::vector<io::Manifest> sets;
    for (const char* name : {"a", "b"}) {
      io::H5Writer writer(folder / std::string(name) + ".h5");
      const uint8_t codes[] = {0, 1, 2, 3, 0, 1, 2, static_cast<uint8_t>(name[0] - 'a')};
      writer.write("sequences", io::Type::kU8, {2, 4}, codes);
      sets.push_back(io::commit_artefact(writer, Manifest(Json{{"format", "plumb/1"}, {"kind", "samples"}, {"count", 2},
                                                               {"space", {{"type", "sequence"}, {"shape", {4}}, {"alphabet", "ACGT"}}}})));
    }
    const Report report = build_report(sets, {}, {"", folder.path});
    REQUIRE(report.sections.size() >= 1);
    CHECK(report.sections[0].drawings.size() == 2);
    const std::string page = render_page(report);
    CHECK(test::xml_problem(page, true) == "");
    CHECK(page.find("Sequence logo of a") != std::string::npos);
    CHECK(page.find("Words of 3 letters") != std::string::npos);
    std::string words;
    for (const SideFile& file : tsv_files(report)) {
      if (file.name == "words.tsv") words = file.contents;
    }
    CHECK(words == "word\ta\tb\nACG\t50\t50\nCGA\t25\t0\nCGC\t0\t25\nCGT\t25\t25\n");
  }

  TEST_CASE("samples of the same file name are told apart in every table") {
    const auto set = [](const char* folder, const char* digest, double fid) {
      const Manifest samples(Json{{"kind", "samples"}, {"path", std::string(folder) + "/samples.h5"}, {"sha256", digest}});
      return metrics_of({{"fid", {{"value", fid}}}, {"vendi", {{"value", fid}, {"per_class", {{"0", {{"value", fid}}}}}}}}, samples);
    };
    const test::Folder folder("same-names");
    const Report report = build_report({set("/base", "1", 30), set("/tuned", "2", 20), set("/third", "3", 10)}, {}, {"", folder.path});
    CHECK(report.summary.at(0) == "FID of samples (3) 10, of samples (2) 20, of samples (1) 30.");
    std::map<std::string, std::string> files;
    for (const SideFile& file : tsv_files(report)) files[file.name] = file.contents;
    for (const char* row : {"FID\tsamples (1)\t30\t", "FID\tsamples (2)\t20\t", "FID\tsamples (3)\t10\t"})
      CHECK(files["metrics.tsv"].find(row) != std::string::npos);
    CHECK(files["metrics-by-class.tsv"] == "class\tsamples (3):vendi\tsamples (2):vendi\tsamples (1):vendi\n0\t10\t20\t30\n");
    for (const Section& section : report.sections) {
      if (section.id != "metrics") continue;
      CHECK(section.tables[0].rows[0].size() == section.tables[0].columns.size());
      CHECK(section.tables[0].columns[1].title == "samples (3)");
      CHECK(section.tables[0].columns[3].title == "samples (1)");
    }
  }

  TEST_CASE("the alert counts what the figures count") {
    const test::Folder folder("units");
    const auto log = [&](const std::string& name, int updates) {
      const std::string path = folder / (name + ".jsonl");
      io::write_file(path, R"({"event":"plan","step":0,"plan":{"samples_per_epoch":64,"updates_per_epoch":)" + std::to_string(updates) +
                               R"(}}
{"step":0,"epoch":0,"proxy":1,"reward/g":2,"diversity":5}
{"step":24,"epoch":1,"proxy":2,"reward/g":1,"diversity":5}
{"event":"verdict","step":24,"kept":"last","kept_step":24,"parted":true,"parted_step":0,"best_gold_step":12,"verdict":"parted at step 0"}
)");
      return path;
    };
    const Report report = build_report({}, {log("a", 1), log("b", 2)}, {"", folder.path});
    REQUIRE(report.alerts.size() == 2);
    CHECK(report.alerts[0].text == "Parted at step 0 (steps are updates). Kept: the last model (1536 reward queries). Its reward is not to be "
                                   "trusted; --keep best-gold would have kept the model at 768 reward queries.");
    const Report one = build_report({}, {log("a", 1)}, {"", folder.path});
    CHECK(one.alerts.at(0).text == "Parted at step 0. Kept: the last model (step 24). Its reward is not to be trusted; --keep best-gold would "
                                   "have kept the model at step 12.");
  }

  TEST_CASE("what is gone is noted; what changed is an error; nothing is a page too") {
    const test::Folder folder("gone");
    const Manifest samples = write_samples(folder / "s.h5"), scores = write_scores(folder / "r.h5", samples);
    std::filesystem::remove(folder / "s.h5");
    const Report report = build_report({scores}, {}, {"", folder.path});
    REQUIRE(report.notes.size() == 1);
    CHECK(report.notes[0] == "s.h5 (samples) is gone: it is not drawn.");
    CHECK(png_files(report).empty());
    write_samples(folder / "s.h5", {{"seed", 1}});
    CHECK_THROWS_AS(build_report({scores}, {}, {"", folder.path}), Error);
    CHECK(test::xml_problem(render_page(build_report({}, {}, {})), true) == "");
  }
}
