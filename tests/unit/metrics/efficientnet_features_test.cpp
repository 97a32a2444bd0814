// Features of EfficientNet-Lite0, from stored pictures on.   SPDX-License-Identifier: Apache-2.0
#include "metrics/efficientnet_features.h"

#include <cstdlib>
#include <filesystem>

#include <ATen/Parallel.h>

#include "core/sha256.h"
#include "unit/nn/efficientnet.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::metrics;
using namespace plumb::metrics::test;
using nn::test::difference;
using nn::test::max_difference;
using nn::test::TemporaryFolder;
using nn::test::thrown_by;

namespace {

io::Space pictures_of(int64_t channels, int64_t height, int64_t width) { return {"image", {channels, height, width}, ""}; }

Tensor pictures(uint64_t seed, int64_t n, int64_t channels, int64_t height, int64_t width) {
  return (uniform(seed, n, channels * height * width) * 256).floor().to(at::kByte).view({n, channels, height, width});
}

/// A weights file in a folder that goes with the test.
struct Weights {
  TemporaryFolder folder;
  std::string path;
  Weights() {
    nn::EfficientNetLite0 network;
    nn::test::fill_as_reference(network);
    path = nn::test::write_weights(network, folder.file("w.safetensors"));
  }
  std::string spec() const { return "efficientnet-lite0:" + path; }
};

/// Sets an environment variable while it lives.
struct Variable {
  const char* name;
  Variable(const char* variable, const std::string& value) : name(variable) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name); }
};

}  // namespace

TEST_SUITE("efficientnet-lite0") {
  TEST_CASE("equals Pillow's resize and the PyTorch port: colour and grey, features and probabilities") {
    const Weights weights;
    const io::Json& reference = nn::test::efficientnet_reference();
    REQUIRE(reference.at("pictures").size() == 2);
    for (const io::Json& c : reference.at("pictures")) {
      const int64_t channels = c["channels"], height = c["height"], width = c["width"];
      CAPTURE(channels);
      const auto network = make_feature_network(weights.spec(), pictures_of(channels, height, width), at::kCPU);
      const FeatureBatch batch = network->extract(pictures(52, 1, channels, height, width));
      REQUIRE((batch.features.sizes() == at::IntArrayRef({1, 1280})));
      REQUIRE((batch.probabilities.sizes() == at::IntArrayRef({1, 1000})));
      CHECK(difference(batch.features, reference["every_feature"], c["features"]) < 1e-4);
      CHECK(difference(batch.probabilities, reference["every_logit"], c["probabilities"]) < 1e-6);
      CHECK(batch.probabilities.sum().item<double>() == doctest::Approx(1).epsilon(1e-5));
    }
  }
  TEST_CASE("what results carry: name, digest of the file, resize mode, dimension; neither batches nor threads change a digit") {
    const Weights weights;
    const auto network = make_feature_network(weights.spec(), pictures_of(3, 20, 30), at::kCPU);
    CHECK(network->name() == "efficientnet-lite0");
    const NetworkIdentity told = identify_feature_network(weights.spec(), pictures_of(3, 20, 30));
    CHECK(told.name == network->name());
    CHECK(told.digest == network->digest());
    CHECK(told.resize_mode == network->resize_mode());
    CHECK(network->digest() == sha256_of_file(weights.path));
    CHECK(network->resize_mode() == "bicubic antialiased, 224x224");
    CHECK(network->dimension() == 1280);
    const Tensor x = pictures(7, 3, 3, 20, 30);
    const FeatureBatch whole = network->extract(x), last = network->extract(x.slice(0, 2));
    CHECK(at::equal(last.features, whole.features.slice(0, 2)));
    CHECK(at::equal(last.probabilities, whole.probabilities.slice(0, 2)));
    CHECK(max_difference(whole.features[0], whole.features[1]) > 1e-3);
    const int threads = at::get_num_threads();
    at::set_num_threads(threads == 1 ? 2 : 1);
    CHECK(at::equal(network->extract(x).features, whole.features));
    at::set_num_threads(threads);
  }
  TEST_CASE("the weights are the named file, else the variable's, else those of share/; none of them: exit 3 and the script") {
    const Weights weights;
    const io::Space space = pictures_of(3, 8, 8);
    const auto found = [&](const std::string& spec) {
      return make_feature_network(spec, space, at::kCPU)->digest() == sha256_of_file(weights.path);
    };
    const auto missing = [&](const std::string& spec, const std::string& path) {
      const auto thrown = thrown_by([&] { make_feature_network(spec, space, at::kCPU); });
      CHECK(thrown.exit == Exit::kBadInput);
      CHECK(thrown.says(path + ": is not there: share/tools/efficientnet-lite0.py"));
    };
    ::unsetenv("PLUMB_EFFICIENTNET_LITE0");   // the user's own
    const Variable share("PLUMB_SHARE", weights.folder.file("share"));
    missing("efficientnet-lite0", "share/models/efficientnet-lite0.safetensors");
    std::filesystem::create_directories(weights.folder.file("share/models"));
    std::filesystem::create_symlink(weights.path, weights.folder.file("share/models/efficientnet-lite0.safetensors"));
    CHECK(found("efficientnet-lite0"));
    missing("efficientnet-lite0:/nonexistent", "/nonexistent");
    const Variable variable("PLUMB_EFFICIENTNET_LITE0", "/nowhere");
    missing("efficientnet-lite0", "/nowhere");
    CHECK(found(weights.spec()));
    ::setenv("PLUMB_EFFICIENTNET_LITE0", weights.path.c_str(), 1);
    CHECK(found("efficientnet-lite0"));
  }
  TEST_CASE("items and specs that are refused, before any file is looked for") {
    const io::Space vector{"vector", {3}, ""}, latent{"latent", {3, 8, 8}, ""};
    for (const io::Space& space : {pictures_of(2, 8, 8), pictures_of(4, 8, 8), vector, latent}) {
      const auto thrown = thrown_by([&] { make_feature_network("efficientnet-lite0:/nonexistent", space, at::kCPU); });
      CHECK(thrown.exit == Exit::kUsage);
      CHECK(thrown.says("takes images of 1 or 3 channels, the items are " + space.text()));
    }
    for (const char* spec : {"efficientnet-lite0:", "efficientnet-lite", "efficientnet-lite1"}) {
      CHECK(thrown_by([&] { make_feature_network(spec, pictures_of(3, 8, 8), at::kCPU); }).exit == Exit::kUsage);
    }
  }
}
