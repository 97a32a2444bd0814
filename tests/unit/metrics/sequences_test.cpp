// SPDX-License-Identifier: Apache-2.0
#include "metrics/sequences.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "core/error.h"
#include "io/artefact.h"
#include "metrics/bootstrap.h"
#include "metrics/evaluation.h"
#include "nn/data.h"
#include "unit/metrics/synthetic.h"

using namespace plumb;
using namespace plumb::metrics;
using namespace plumb::metrics::test;

namespace {

Exit exit_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.exit();
  }
  return Exit::kDone;
}

/// As in tests/numeric/make_sequence_reference.py: letter floor(4 u^power).
Tensor sequences(uint64_t seed, int64_t n, int64_t length, double power) { return (uniform(seed, n, length).pow(power) * 4).floor().to(at::kByte); }

Tensor codes_of(const std::vector<std::string>& words) {
  Tensor codes = at::empty({static_cast<int64_t>(words.size()), static_cast<int64_t>(words[0].size())}, at::kByte);
  uint8_t* code = codes.data_ptr<uint8_t>();
  for (const std::string& word : words) {
    for (const char letter : word) *code++ = static_cast<uint8_t>(std::string("ACGT").find(letter));
  }
  return codes;
}

const io::Json& measures() {
  static const io::Json json = [] {
    const char* source = std::getenv("PLUMB_SOURCE_DIR");
    std::ifstream file(std::string(source ? source : ".") + "/tests/numeric/sequence_reference.json");
    return io::Json::parse(file);
  }();
  return json.at("measures");
}
/// The two sets of the reference.
std::pair<Tensor, Tensor> peer_sets() {
  Tensor a = sequences(71, 40, 24, 1.5), b = sequences(72, 60, 24, 1.25);
  a[7].copy_(a[3]);
  a[30].copy_(b[5]);
  a[31].copy_(b[5]);
  return {a, b};
}

int64_t edits(const std::string& a, const std::string& b) {
  const Tensor codes = codes_of({a, b});
  return levenshtein(codes.const_data_ptr<uint8_t>(), codes[1].const_data_ptr<uint8_t>(), codes.size(1));
}

Tensor without(const Tensor& x, int64_t i) { return at::cat({x.slice(0, 0, i), x.slice(0, i + 1)}); }

}  // namespace

TEST_SUITE("sequences") {
  TEST_CASE("as SciPy and RapidFuzz: Hamming, edit distance, unique, novel, k-mers") {
    const io::Json& c = measures();
    const auto [a, b] = peer_sets();
    const HammingDistance hamming = hamming_distance(a, 4);
    CHECK(relative(hamming.mean, c["hamming"]) < 1e-12);
    const Tensor left = at::tensor(c["hamming_without"].get<std::vector<double>>(), at::kDouble);
    CHECK(relative(hamming.standard_error, std::sqrt(jackknife_variance(left))) < 1e-9);
    CHECK(nearest_sequences(a).distance == 0);
    CHECK(nearest_sequences(a).rows == std::pair<int64_t, int64_t>{3, 7});
    const EditDistance edit = edit_distance(a, 780, 0);  // all 40 * 39 / 2 pairs
    CHECK(edit.pairs == 780);
    CHECK(relative(edit.mean, c["edit"]) < 1e-12);
    CHECK(unique_fraction(a) == c["unique"].get<double>());
    CHECK(novelty(a, b) == c["novelty"].get<double>());
    for (const io::Json& words : c["kmers"]) {
      CAPTURE(words["k"].get<int64_t>());
      const KmerComparison r = compare_kmers(a, b, 4, words["k"]);
      CHECK(relative(r.divergence, words["divergence_bits"]) < 1e-9);
      CHECK(relative(r.correlation, words["correlation"]) < 1e-9);  // k = 5: over the words seen, not all 1024
    }
  }

  TEST_CASE("Hamming and edit distance by hand") {
    const Tensor x = codes_of({"AAAA", "AAAT", "TTTT"});  // 1, 4 and 3 of 4 positions
    CHECK(hamming_distance(x, 4).mean == doctest::Approx(2.0 / 3).epsilon(1e-15));
    CHECK(nearest_sequences(x).distance == 0.25);
    CHECK(nearest_sequences(x).rows == std::pair<int64_t, int64_t>{0, 1});
    CHECK(edits("AAAA", "TTTT") == 4);
    CHECK(edits("ACGTACGT", "CGTACGTA") == 2);  // moved by one: a deletion and an insertion, though all 8 positions differ
    CHECK(edits("AGCT", "AGCT") == 0);
    CHECK(edits("AGGT", "AGCT") == 1);
    CHECK(edits("ACCA", "CAAC") == 3);
    CHECK(exit_of([] { hamming_distance(codes_of({"ACGT"}), 4); }) == Exit::kBadNumbers);
  }

  TEST_CASE("the nearest pair is the first of the least pairs, in one piece or many") {
    for (const int64_t length : {3, 70, 200}) {
      const Tensor x = std::get<0>(at::unique_dim(sequences(5, 101, length, 1), 0)).contiguous();  // else 0 is found at once
      int64_t least = length + 1;
      std::pair<int64_t, int64_t> rows;
      for (int64_t i = 0; i < x.size(0); ++i) {
        for (int64_t j = i + 1; j < x.size(0); ++j) {
          const int64_t d = x[i].ne(x[j]).sum().item<int64_t>();
          if (d >= least) continue;
          least = d;
          rows = {i, j};
        }
      }
      const NearestSequences found = nearest_sequences(x);
      CHECK(found.distance == static_cast<double>(least) / static_cast<double>(length));
      CHECK(found.rows == rows);
    }
  }

  TEST_CASE("random pairs share no item, and their error is that of the mean over fresh sets") {
    const Tensor all = sequences(6, 6000, 12, 2);
    std::vector<double> means;
    double error = 0;
    for (int64_t s = 0; s < 60; ++s) {
      const EditDistance r = edit_distance(all.slice(0, s * 100, s * 100 + 100), 40, 3);
      REQUIRE(r.pairs == 40);
      means.push_back(r.mean);
      error += r.standard_error / 60;
    }
    CHECK(relative(error, at::tensor(means, at::kDouble).std(0, true).item<double>()) < 0.25);
    const Tensor some = all.slice(0, 0, 100);
    CHECK(edit_distance(some, 4000, 3).pairs == 50);
    CHECK(edit_distance(some, 4000, 3).mean == edit_distance(some, 4000, 3).mean);
    CHECK(edit_distance(some, 40, 3).mean != edit_distance(some, 40, 4).mean);
    CHECK(std::abs(edit_distance(some, 40, 3).mean - edit_distance(some, 4950, 3).mean) < 4 * edit_distance(some, 40, 3).standard_error);
  }

  TEST_CASE("k-mers: equal sets, disjoint sets, and the jackknife with each item left out in turn") {
    const auto [a, b] = peer_sets();
    const KmerComparison same = compare_kmers(a, a, 4, 3);
    CHECK(same.divergence == 0);
    CHECK(same.correlation == doctest::Approx(1).epsilon(1e-12));
    const KmerComparison apart = compare_kmers(codes_of({"AAAA"}), codes_of({"CCCC"}), 4, 2);
    CHECK(apart.divergence == doctest::Approx(1).epsilon(1e-15));  // one bit
    CHECK(apart.correlation == doctest::Approx(-1).epsilon(1e-12));
    CHECK(std::isnan(compare_kmers(codes_of({"AAAA"}), codes_of({"AAAA"}), 4, 2).correlation));
    for (const int64_t k : {1, 2}) {
      std::vector<double> of_a, of_b, turn_a, turn_b;
      for (int64_t i = 0; i < a.size(0); ++i) {
        of_a.push_back(compare_kmers(without(a, i), b, 4, k).divergence);
        turn_a.push_back(compare_kmers(without(a, i), b, 4, k).correlation);
      }
      for (int64_t i = 0; i < b.size(0); ++i) {
        of_b.push_back(compare_kmers(a, without(b, i), 4, k).divergence);
        turn_b.push_back(compare_kmers(a, without(b, i), 4, k).correlation);
      }
      const auto error = [](const std::vector<double>& x, const std::vector<double>& y) {
        return std::sqrt(jackknife_variance(at::tensor(x, at::kDouble)) + jackknife_variance(at::tensor(y, at::kDouble)));
      };
      const KmerComparison r = compare_kmers(a, b, 4, k);
      CHECK(relative(r.divergence_error, error(of_a, of_b)) < 0.1);
      CHECK(relative(r.correlation_error, error(turn_a, turn_b)) < 0.15);
    }
    CHECK(exit_of([a = a] { compare_kmers(a, a, 4, 25); }) == Exit::kUsage);
    CHECK(exit_of([a = a] { compare_kmers(a, a, 4, 13); }) == Exit::kUsage);  // 4^13 words
  }

  TEST_CASE("the metric: what it tells with and without a reference, by class, and what it refuses") {
    const auto [a, b] = peer_sets();
    const Sequences samples{a, "ACGT"}, reference{b, "ACGT"};
    const Features features{a.to(at::kFloat), {}, at::arange(40, at::kLong).remainder(2), "raw", "", "none"};
    MetricInput in{features};
    Settings settings;
    CHECK(exit_of([&] { evaluate_metrics({"sequences"}, true, in, settings); }) == Exit::kUsage);  // no letters at hand
    in.sequences = &samples;
    io::Json out = evaluate_metrics({"sequences"}, true, in, settings)["sequences"];
    CHECK(out["value"] == hamming_distance(a, 4).mean);
    CHECK(out["per_class"]["1"]["value"] == hamming_distance(a.slice(0, 1, 40, 2).contiguous(), 4).mean);
    CHECK(out["edit_pairs"] == 780);
    CHECK(out["intervals"]["edit_distance"]["stderr"].get<double>() > 0);
    CHECK(out["length"] == 24);
    CHECK_FALSE(out.contains("novelty"));
    in.reference_sequences = &reference;
    settings.sequences.edit_pairs = 0;
    settings.sequences.k = 5;
    settings.sequences.per_class = false;
    out = evaluate_metrics({"sequences"}, true, in, settings)["sequences"];
    CHECK_FALSE(out.contains("edit_distance"));
    CHECK_FALSE(out.contains("per_class"));
    CHECK(out["k"] == 5);
    CHECK(out["n_reference"] == 60);
    CHECK(relative(out["kmer_divergence"], measures()["kmers"][2]["divergence_bits"]) < 1e-9);
    CHECK(out["intervals"]["novelty"]["high"].get<double>() < 1);
    const Sequences rna{b, "ACGU"}, narrow{a, "ACG"};
    in.reference_sequences = &rna;
    CHECK(exit_of([&] { evaluate_metrics({"sequences"}, true, in, settings); }) == Exit::kBadInput);
    in.reference_sequences = nullptr;
    in.sequences = &narrow;
    CHECK(exit_of([&] { evaluate_metrics({"sequences"}, true, in, settings); }) == Exit::kBadInput);  // code 3 of 3 letters
  }

  TEST_CASE("the letters of an artefact") {
    const std::string path = (std::filesystem::temp_directory_path() / ("plumb-sequences-" + std::to_string(getpid()) + ".h5")).string();
    const auto write = [&](const std::string& dataset, const Tensor& items, const io::Json& space) {
      io::H5Writer writer(path);
      nn::write_tensor(writer, dataset, items);
      return io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "samples"}, {"count", items.size(0)}, {"space", space}}));
    };
    const Tensor a = sequences(8, 12, 5, 1);
    const io::Manifest items = write("sequences", a, {{"type", "sequence"}, {"shape", {5}}, {"alphabet", "ACGT"}});
    const auto read = load_sequences(items, 0);
    REQUIRE(read);
    CHECK(read->codes.equal(a));
    CHECK(read->alphabet == "ACGT");
    CHECK(load_sequences(items, 7)->codes.equal(a.slice(0, 0, 7)));
    std::filesystem::remove(path);
    CHECK_FALSE(load_sequences(items, 0));
    CHECK_FALSE(load_sequences(write("vectors", features(1, 3, 5), {{"type", "vector"}, {"shape", {5}}}), 0));
    std::filesystem::remove(path);
  }
}
