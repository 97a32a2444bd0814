// Feature networks, and the way from artefacts to metrics.   SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "io/npy.h"
#include "metrics/evaluation.h"
#include "metrics/frechet.h"
#include "nn/data.h"
#include "nn/denoiser.h"
#include "nn/predictor.h"
#include "unit/metrics/synthetic.h"

using namespace plumb;
using namespace plumb::metrics;
using namespace plumb::metrics::test;

namespace {

/// A folder that goes with the test.
struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("plumb-metrics-" + std::to_string(getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

Exit exit_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.exit();
  }
  return Exit::kDone;
}

io::Json manifest_json(const std::string& kind, const io::Space& space, int64_t count) {
  return {{"format", "plumb/1"}, {"kind", kind}, {"count", count}, {"space", space.to_json()}};
}

io::Manifest write_items(const std::string& path, const std::string& kind, const io::Space& space, const Tensor& items, const Tensor& label = {}) {
  io::H5Writer writer(path);
  nn::write_tensor(writer, space.dataset(), items);
  if (label.defined()) nn::write_tensor(writer, "label", label);
  return io::commit_artefact(writer, io::Manifest(manifest_json(kind, space, items.size(0))));
}

/// Deterministic pictures [n,c,h,w] uint8.
Tensor pictures(int64_t n, int64_t c, int64_t h, int64_t w) {
  return (uniform(51, n, c * h * w) * 256).floor().to(at::kByte).view({n, c, h, w});
}

const io::Space kGrey{"image", {1, 8, 8}, ""};

std::string save_script(const std::string& path, const std::string& source) {
  torch::jit::Module module("Features");
  module.define(source);
  module.save(path);
  return path;
}

io::Manifest write_classifier(const std::string& path) {
  const io::Json config{{"type", "resnet"}, {"config", {{"in_channels", 1}, {"channels", {8, 16}}, {"norm_num_groups", 4}, {"outputs", 3}}}};
  const auto network = nn::make_predictor(config, path);
  nn::initialise(*network, 5);
  io::H5Writer writer(path);
  nn::write_predictor(writer, *network);
  io::Json json = manifest_json("reward", kGrey, 0);
  json.erase("count");
  json["reward"] = {{"type", "classifier"}, {"classes", {"a", "b", "c"}}, {"temperature", 2.0}, {"network", network->config()}};
  return io::commit_artefact(writer, io::Manifest(json));
}

}  // namespace

TEST_SUITE("feature networks") {
  TEST_CASE("raw: pixels over 255, sequences one-hot, vectors as they are") {
    const Tensor x = pictures(3, 1, 8, 8);
    const auto raw = make_feature_network("raw", kGrey, at::kCPU);
    CHECK(raw->dimension() == 64);
    CHECK(raw->extract(x).features.equal(x.to(at::kFloat).view({3, 64}) / 255));
    const auto sequence = make_feature_network("raw", io::Space{"sequence", {3}, "ACGT"}, at::kCPU);
    const Tensor codes = at::tensor({0, 3, 1}, at::kByte).view({1, 3});
    CHECK(sequence->dimension() == 12);
    CHECK(make_feature_network("default", io::Space{"sequence", {3}, "ACGT"}, at::kCPU)->name() == "raw");
    CHECK(identify_feature_network("default", io::Space{"sequence", {3}, "ACGT"}).name == "raw");
    CHECK(sequence->extract(codes).features.equal(at::tensor({1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0}, at::kFloat).view({1, 12})));
    const Tensor v = features(1, 4, 5);
    CHECK(make_feature_network("raw", io::Space{"vector", {5}, ""}, at::kCPU)->extract(v).features.equal(v));
  }
  TEST_CASE("torchscript: range, channels and Pillow's bicubic resize") {
    const Folder folder;
    const std::string flat = save_script(folder / "flat.pt", "def forward(self, x):\n  return x.flatten(1)\n");
    for (const io::Json& c : reference().at("resize")) {
      const int64_t h = c["height"], w = c["width"], size = c["size"];
      const Tensor x = (uniform(51, h, w) * 256).floor().to(at::kByte).view({1, 1, h, w});
      const std::string spec = "torchscript:" + flat + ",range=255,size=" + std::to_string(size);
      const auto network = make_feature_network(spec, io::Space{"image", {1, h, w}, ""}, at::kCPU);
      const Tensor want = at::tensor(c["values"].get<std::vector<double>>(), at::kFloat);
      CHECK(network->resize_mode() == "bicubic antialiased, " + std::to_string(size) + "x" + std::to_string(size));
      CHECK((network->extract(x).features.view({-1}) - want).abs().max().item<double>() < 0.004);
    }
    const Tensor x = pictures(2, 1, 8, 8), y = x.to(at::kFloat).flatten(1);
    const auto scaled = [&](const std::string& keys) { return make_feature_network("torchscript:" + flat + keys, kGrey, at::kCPU)->extract(x).features; };
    CHECK(at::allclose(scaled(""), y / 255));
    CHECK(at::allclose(scaled(",range=-1"), y / 127.5 - 1));
    CHECK(at::allclose(scaled(",channels=3"), (y / 255).repeat({1, 3})));
    for (const char* bad : {",range=2", ",size=x", ",sizes=8", ",channels=2", ",probabilities=1", ",size"}) {
      CHECK(exit_of([&] { scaled(bad); }) == Exit::kUsage);
    }
  }
  TEST_CASE("torchscript: return_features is set where there is one; the other use gives probabilities") {
    const Folder folder;
    const std::string path = save_script(folder / "two.pt",
        "def forward(self, x, return_features: bool = False):\n"
        "  f = x.flatten(1)\n"
        "  if return_features:\n    return f\n"
        "  return f[:, 0:3].softmax(1)\n");
    const Tensor x = pictures(4, 1, 8, 8);
    const FeatureBatch plain = make_feature_network("torchscript:" + path, kGrey, at::kCPU)->extract(x);
    CHECK(plain.features.sizes() == at::IntArrayRef({4, 64}));
    CHECK_FALSE(plain.probabilities.defined());
    const FeatureBatch both = make_feature_network("torchscript:" + path + ",probabilities=1", kGrey, at::kCPU)->extract(x);
    CHECK(both.features.equal(plain.features));
    CHECK(at::allclose(both.probabilities, plain.features.slice(1, 0, 3).softmax(1)));
  }
  TEST_CASE("classifier: its last layer's input and calibrated probabilities; batches change no digit") {
    const Folder folder;
    const io::Manifest artefact = write_classifier(folder / "c.h5");
    const auto network = make_feature_network("classifier:" + folder / "c.h5", kGrey, at::kCPU);
    CHECK(network->digest() == artefact.sha256());
    CHECK(network->name() == "classifier:c.h5");
    const Tensor x = pictures(70, 1, 8, 8);
    const FeatureBatch whole = network->extract(x);
    const auto predictor = nn::read_predictor(io::open_artefact(artefact), artefact.json()["reward"]["network"]);
    const Tensor input = x.to(at::kFloat) / 127.5 - 1;
    CHECK(at::allclose(whole.features, predictor->features(input), 1e-5, 1e-6));
    CHECK(at::allclose(whole.probabilities, (predictor->forward(input) / 2).softmax(1), 1e-5, 1e-6));
    CHECK(at::cat({network->extract(x.slice(0, 0, 64)).features, network->extract(x.slice(0, 64)).features}).equal(whole.features));
    CHECK(exit_of([&] { make_feature_network("classifier:" + folder / "c.h5", io::Space{"image", {1, 9, 9}, ""}, at::kCPU); }) == Exit::kBadInput);
  }
  TEST_CASE("specs that are refused") {
    for (const char* spec : {"default", "rwa", "classifier:", "torchscript:", "raw:x"}) {
      CHECK(exit_of([&] { make_feature_network(spec, kGrey, at::kCPU); }) == Exit::kUsage);
    }
    CHECK(exit_of([] { make_feature_network("torchscript:/nonexistent.pt", kGrey, at::kCPU); }) == Exit::kBadInput);
    CHECK(exit_of([] { make_feature_network("classifier:/nonexistent.h5", kGrey, at::kCPU); }) == Exit::kBadInput);
  }
}

TEST_SUITE("evaluation") {
  TEST_CASE("features of an artefact: batches, limit, labels; NaN is an error") {
    const Folder folder;
    const Tensor x = pictures(10, 1, 8, 8), label = at::arange(10, at::kLong).remainder(2);
    const io::Manifest items = write_items(folder / "s.h5", "samples", kGrey, x, label);
    const auto raw = make_feature_network("raw", kGrey, at::kCPU);
    const Features all = extract_features(items, *raw, 3);
    CHECK(all.features.equal(x.to(at::kFloat).view({10, 64}) / 255));
    CHECK(all.label.equal(label));
    const Features some = extract_features(items, *raw, 3, 7);
    CHECK(some.features.equal(all.features.slice(0, 0, 7)));
    CHECK(some.label.size(0) == 7);
    const io::Space vector{"vector", {2}, ""};
    const io::Manifest bad = write_items(folder / "v.h5", "samples", vector, at::full({3, 2}, std::nan("")));
    CHECK(exit_of([&] { extract_features(bad, *make_feature_network("raw", vector, at::kCPU), 2); }) == Exit::kBadNumbers);
  }
  TEST_CASE("what an input is about: its own items, what metrics measured, else the nearest samples") {
    const Folder folder;
    const io::Space vector{"vector", {2}, ""};
    const io::Manifest samples = write_items(folder / "s.h5", "samples", vector, at::zeros({3, 2}));
    const io::Manifest data = write_items(folder / "d.h5", "dataset", vector, at::ones({4, 2}));
    const auto derived = [&](const std::string& kind, io::Json inputs) {
      return io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", kind}, {"inputs", std::move(inputs)}});
    };
    CHECK(find_items(data).sha256() == data.sha256());
    CHECK(find_items(derived("scores", {{"dataset", data.json()}, {"samples", samples.json()}})).sha256() == samples.sha256());
    CHECK(find_items(derived("scores", {{"dataset", data.json()}})).sha256() == data.sha256());
    // The samples of a metrics manifest are what it measured, though its reference is samples too.
    CHECK(find_items(derived("metrics", {{"reference", samples.json()}, {"samples", data.json()}})).sha256() == data.sha256());
    // In a metrics file they are cut to a reference: it is opened.
    const io::Json cut{{"kind", "samples"}, {"sha256", samples.sha256()}, {"path", samples.path()}};
    CHECK(find_items(derived("metrics", {{"samples", cut}})).space() == vector);
    // Scores of what metrics measured are about that, too.
    const io::Manifest measured = derived("metrics", {{"samples", data.json()}, {"reference", samples.json()}});
    CHECK(find_items(derived("scores", {{"scores", derived("scores", {{"metrics", measured.json()}}).json()}})).sha256() == data.sha256());
    write_items(folder / "s.h5", "samples", vector, at::ones({3, 2}));
    CHECK(exit_of([&] { find_items(derived("metrics", {{"samples", cut}})); }) == Exit::kBadInput);
    std::filesystem::remove(samples.path());
    CHECK_THROWS_WITH_AS(find_items(derived("scores", {{"samples", cut}})), doctest::Contains("is gone"), Error);
    CHECK(exit_of([&] { find_items(derived("model", io::Json::object())); }) == Exit::kBadInput);
  }
  TEST_CASE("saved features and statistics give the same distance as the items; .npz too") {
    const Folder folder;
    const io::Space vector{"vector", {6}, ""};
    const io::Manifest a = write_items(folder / "a.h5", "samples", vector, features(11, 50, 6));
    const io::Manifest b = write_items(folder / "b.h5", "dataset", vector, features(21, 60, 6, 0.5), at::arange(60, at::kLong));
    Extractor extractor("raw", at::kCPU, 16, 0);
    const Features samples = extractor.features(a);
    const Reference items = load_reference(b, extractor, samples);
    REQUIRE(items.features);
    const Gaussian fit = fit_gaussian(items.features->features);

    const io::Manifest fresh(io::Json{{"format", "plumb/1"}, {"kind", "features"}});
    const Reference saved = load_reference(save_features(folder / "f.h5", fresh, *items.features), extractor, samples);
    REQUIRE(saved.features);
    CHECK(saved.features->features.equal(items.features->features));
    CHECK(saved.features->label.equal(at::arange(60, at::kLong)));

    const io::Manifest statistics = save_statistics(folder / "m.h5", fresh, *items.features);
    const Reference h5 = load_reference(statistics, extractor, samples);
    REQUIRE(h5.statistics);
    CHECK(h5.statistics->n == 60);
    CHECK(save_statistics(folder / "m.npz", fresh, *items.features).sha256().size() == 64);
    const Reference npz = load_statistics(folder / "m.npz", samples);
    CHECK(npz.statistics->n == 60);
    CHECK(npz.manifest.count() == 60);
    const Gaussian fit_a = fit_gaussian(samples.features);
    const double want = frechet_distance(fit_a, fit).value;
    CHECK(frechet_distance(fit_a, *h5.statistics).value == want);
    CHECK(frechet_distance(fit_a, *npz.statistics).value == want);
    CHECK(exit_of([&] { extractor.features(statistics); }) == Exit::kBadInput);  // no rows in it
  }
  TEST_CASE("kept features stand for the items: the network is not loaded, nor are the items opened") {
    const Folder folder;
    const io::Manifest classifier = write_classifier(folder / "c.h5");
    const std::string spec = "classifier:" + folder / "c.h5";
    const io::Manifest items = write_items(folder / "s.h5", "samples", kGrey, pictures(10, 1, 8, 8), at::arange(10, at::kLong));
    Extractor first(spec, at::kCPU, 16, 0);
    const Features computed = first.features(items);
    CHECK(first.loaded());
    const auto keep = [&](const std::string& path, const io::Manifest& of, const Features& f) {
      return save_features(path, io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "features"}, {"inputs", {{"items", of.json()}}}}), f);
    };
    const io::Manifest kept = keep(folder / "f.h5", items, computed);
    const auto metrics = [&](const io::Json& features) {
      return io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "metrics"}, {"inputs", {{"samples", items.json()}, {"features", features}}}});
    };
    // On standard output the manifest is whole; in a file it is cut; scores may stand between.
    const io::Json cut{{"kind", "features"}, {"sha256", kept.sha256()}, {"path", kept.path()}};
    const io::Manifest scores(io::Json{{"format", "plumb/1"}, {"kind", "scores"}, {"inputs", {{"metrics", metrics(kept.json()).json()}}}});
    for (const io::Manifest& input : {metrics(kept.json()), metrics(cut), scores}) {
      Extractor second(spec, at::kCPU, 16, 0);
      const auto found = second.find_kept(input, items);
      REQUIRE(found);
      CHECK(found->sha256() == kept.sha256());
      const Features read = second.features(*found);
      CHECK_FALSE(second.loaded());
      CHECK(read.features.equal(computed.features));
      CHECK(read.probabilities.equal(computed.probabilities));
      CHECK(read.label.equal(computed.label));
      CHECK(extractor_json(read) == extractor_json(computed));
      // A reference of another space is still refused.
      const io::Manifest other = write_items(folder / "v.h5", "samples", io::Space{"vector", {2}, ""}, features(1, 3, 2));
      CHECK(exit_of([&] { second.features(other); }) == Exit::kBadInput);
    }
    std::filesystem::rename(folder / "s.h5", folder / "moved.h5");
    CHECK(Extractor(spec, at::kCPU, 16, 0).find_kept(metrics(kept.json()), items));
    std::filesystem::rename(folder / "moved.h5", folder / "s.h5");

    const auto found = [&](const std::string& network, int64_t limit, const io::Manifest& features_made, const io::Manifest& of) {
      return Extractor(network, at::kCPU, 16, limit).find_kept(metrics(features_made.json()), of).has_value();
    };
    CHECK(found(spec, 4, kept, items));  // the first 4 of them
    const io::Manifest few = keep(folder / "few.h5", items, Extractor(spec, at::kCPU, 16, 4).features(items));
    CHECK(found(spec, 4, few, items));
    CHECK_FALSE(found(spec, 5, few, items));
    CHECK_FALSE(found(spec, 0, few, items));
    CHECK_FALSE(found("raw", 0, kept, items));
    const io::Manifest others = write_items(folder / "o.h5", "samples", kGrey, pictures(10, 1, 8, 8).flip(0));
    CHECK_FALSE(found(spec, 0, kept, others));
    // A reference that is features is not what the samples are.
    const io::Manifest reference(io::Json{{"format", "plumb/1"}, {"kind", "metrics"}, {"inputs", {{"samples", items.json()}, {"reference", kept.json()}}}});
    CHECK_FALSE(Extractor(spec, at::kCPU, 16, 0).find_kept(reference, items));
    // The network's file is another one by now.
    std::filesystem::copy_file(folder / "c.h5", folder / "old.h5");
    const auto predictor = nn::make_predictor(classifier.json()["reward"]["network"], "");
    nn::initialise(*predictor, 6);
    io::H5Writer writer(folder / "c.h5");
    nn::write_predictor(writer, *predictor);
    io::commit_artefact(writer, io::Manifest(classifier.json()));
    CHECK_FALSE(found(spec, 0, kept, items));
    CHECK(found("classifier:" + folder / "old.h5", 0, kept, items));  // the same weights under another name
    // The features' file is another one, or gone: a warning, and they are computed.
    keep(folder / "f.h5", items, first.features(others));
    CHECK_FALSE(found("classifier:" + folder / "old.h5", 0, kept, items));
    std::filesystem::remove(folder / "f.h5");
    CHECK_FALSE(found("classifier:" + folder / "old.h5", 0, kept, items));
  }
  TEST_CASE("kept features of a TorchScript module: how pixels were prepared counts, and probabilities if asked for") {
    const Folder folder;
    const std::string path = save_script(folder / "two.pt",
        "def forward(self, x, return_features: bool = False):\n"
        "  f = x.flatten(1)\n"
        "  if return_features:\n    return f\n"
        "  return f[:, 0:3].softmax(1)\n");
    const io::Manifest items = write_items(folder / "s.h5", "samples", kGrey, pictures(5, 1, 8, 8));
    const auto found = [&](const std::string& made, const std::string& wanted) {
      Extractor extractor("torchscript:" + path + made, at::kCPU, 16, 0);
      const io::Manifest fresh(io::Json{{"format", "plumb/1"}, {"kind", "features"}, {"inputs", {{"items", items.json()}}}});
      const io::Manifest kept = save_features(folder / "f.h5", fresh, extractor.features(items));
      const io::Manifest input(io::Json{{"format", "plumb/1"}, {"kind", "metrics"}, {"inputs", {{"features", kept.json()}}}});
      return Extractor("torchscript:" + path + wanted, at::kCPU, 16, 0).find_kept(input, items).has_value();
    };
    CHECK(found("", ""));
    CHECK(found("", ",range=1"));
    CHECK_FALSE(found("", ",range=255"));
    CHECK_FALSE(found("", ",size=4"));
    CHECK_FALSE(found("", ",channels=3"));
    CHECK_FALSE(found("", ",probabilities=1"));
    CHECK(found(",probabilities=1", ""));
  }
  TEST_CASE("a network tells of itself what it says when it is loaded") {
    const Folder folder;
    write_classifier(folder / "c.h5");
    const std::string script = save_script(folder / "flat.pt", "def forward(self, x):\n  return x.flatten(1)\n");
    for (const std::string& spec : {std::string("raw"), "classifier:" + folder / "c.h5", "torchscript:" + script,
                                    "torchscript:" + script + ",size=4,range=-1,channels=3"}) {
      const NetworkIdentity told = identify_feature_network(spec, kGrey);
      const auto network = make_feature_network(spec, kGrey, at::kCPU);
      CAPTURE(spec);
      CHECK(told.name == network->name());
      CHECK(told.digest == network->digest());
      CHECK(told.resize_mode == network->resize_mode());
      CHECK(told.input_mode == network->input_mode());
    }
    CHECK(exit_of([] { identify_feature_network("rwa", kGrey); }) == Exit::kUsage);
    CHECK(exit_of([] { identify_feature_network("classifier:/nonexistent.h5", kGrey); }) == Exit::kBadInput);
  }
  TEST_CASE("refuses features of another network, another dimension, and what is no covariance") {
    const Folder folder;
    const Features samples{features(11, 50, 6), {}, {}, "raw", "", "none"};
    Extractor extractor("raw", at::kCPU, 16, 0);
    const auto saved = [&](const std::string& name, const std::string& digest, const std::string& resize, int64_t d) {
      Features f{features(21, 60, d), {}, {}, name, digest, resize};
      return save_features(folder / "f.h5", io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "features"}}), f);
    };
    const auto load = [&](const io::Manifest& m, const Features& s) { return exit_of([&] { load_reference(m, extractor, s); }); };
    CHECK(load(saved("raw", "", "none", 6), samples) == Exit::kDone);
    CHECK(load(saved("other", "", "none", 6), samples) == Exit::kBadInput);
    CHECK(load(saved("raw", std::string(64, 'a'), "none", 6), samples) == Exit::kBadInput);
    CHECK(load(saved("raw", "", "bicubic", 6), samples) == Exit::kBadInput);
    CHECK(load(saved("raw", "", "none", 7), samples) == Exit::kBadInput);
    Features prepared = samples;  // pixels of another range
    prepared.input_mode = "range 255";
    Features otherwise = prepared;
    otherwise.input_mode = "range 1";
    const io::Manifest made = save_features(folder / "f.h5", io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "features"}}), otherwise);
    CHECK(load(made, prepared) == Exit::kBadInput);
    CHECK(load(made, samples) == Exit::kDone);  // of a version that does not say
    Features renamed = samples;  // the same weights under another file name are the same network
    renamed.digest = std::string(64, 'a');
    renamed.extractor = "classifier:copy.h5";
    CHECK(load(saved("classifier:c.h5", std::string(64, 'a'), "none", 6), renamed) == Exit::kDone);

    const auto npz = [&](const std::vector<int64_t>& shape, std::vector<double> sigma) {
      io::write_npz(folder / "x.npz", {{"mu", io::npy_bytes({2}, {0, 0})}, {"sigma", io::npy_bytes(shape, sigma)}});
      const Features two{features(11, 50, 2), {}, {}, "raw", "", "none"};
      return exit_of([&] { load_statistics(folder / "x.npz", two); });
    };
    CHECK(npz({2, 2}, {1, 0.5, 0.5, 1}) == Exit::kDone);
    CHECK(npz({2, 2}, {1, 0.5, 0.4, 1}) == Exit::kBadInput);
    CHECK(npz({4}, {1, 0.5, 0.5, 1}) == Exit::kBadInput);
    CHECK(npz({2, 2}, {1, std::nan(""), std::nan(""), 1}) == Exit::kBadNumbers);
    CHECK(exit_of([&] { load_statistics(folder / "none.npz", samples); }) == Exit::kBadInput);
  }
}
