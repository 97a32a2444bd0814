// Rows, codecs, noise, devices.   SPDX-License-Identifier: Apache-2.0
#include "nn/data.h"

#include "nn/codec.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

TEST_CASE("rows go through a file in order, by type and by part") {
  const TemporaryFolder folder;
  const std::string path = folder.file("d.h5");
  const Tensor images = at::arange(4 * 6, at::kLong).remainder(256).to(at::kByte).view({4, 1, 2, 3});
  {
    io::H5Writer writer(path);
    writer.create("images", io::Type::kU8, {1, 2, 3});
    append_rows(writer, "images", images.slice(0, 0, 1));
    append_rows(writer, "images", images.slice(0, 1, 4));
    write_tensor(writer, "w/turned", normal({3, 5}, 1).t());
    writer.commit();
  }
  const io::H5Reader file(path);
  CHECK(at::equal(read_all(file, "images"), images));
  CHECK(at::equal(read_rows(file, "images", 1, 2), images.slice(0, 1, 3)));
  CHECK(read_rows(file, "images", 4, 0).size(0) == 0);
  CHECK(at::equal(read_all(file, "w/turned"), normal({3, 5}, 1).t()));
  CHECK(thrown_by([&] { read_rows(file, "images", 3, 2); }).exit == Exit::kBadInput);
  CHECK(thrown_by([&] { read_rows(file, "images", -1, 2); }).exit == Exit::kBadInput);
  CHECK(thrown_by([&] { read_rows(file, "images", INT64_MAX, 2); }).exit == Exit::kBadInput);
}

TEST_CASE("image codec: every byte survives; ends at -1 and 1; model space is rounded and clamped") {
  const auto codec = make_codec({"image", {1, 16, 16}, ""}, "test");
  CHECK((codec->model_shape() == std::vector<int64_t>{1, 16, 16}));
  const Tensor bytes = at::arange(256, at::kLong).to(at::kByte).view({1, 1, 16, 16});
  const Tensor x = codec->encode(bytes);
  CHECK(x.min().item<float>() == -1.0F);
  CHECK(x.max().item<float>() == 1.0F);
  CHECK(x.flatten()[127].item<double>() == doctest::Approx(127 / 127.5 - 1).epsilon(1e-6));
  CHECK(at::equal(codec->decode(x), bytes));
  Tensor outside = at::zeros({1, 1, 16, 16});
  outside.flatten()[0].fill_(-3);
  outside.flatten()[1].fill_(7);
  outside.flatten()[2].fill_(2 * 10.6 / 255 - 1);
  const Tensor decoded = codec->decode(outside).flatten();
  CHECK(decoded[0].item<int>() == 0);
  CHECK(decoded[1].item<int>() == 255);
  CHECK(decoded[2].item<int>() == 11);
  CHECK(decoded[3].item<int>() == 128);   // 127.5 rounds to even
  CHECK(thrown_by([&] { codec->encode(at::zeros({1, 1, 8, 8}, at::kByte)); }).exit == Exit::kBadInput);
}

TEST_CASE("image codec: mirroring is keyed by item and epoch, and off by default") {
  const auto codec = make_codec({"image", {1, 2, 3}, ""}, "test");
  const Tensor x = normal({64, 1, 2, 3}, 5);
  CHECK(at::equal(codec->augment(x, 1, 0, 0, false), x));
  const Tensor y = codec->augment(x, 1, 100, 0, true);
  int64_t mirrored = 0;
  for (int64_t i = 0; i < 64; ++i) {
    const bool same = at::equal(y[i], x[i]);
    CHECK((same || at::equal(y[i], x[i].flip(2))));
    mirrored += same ? 0 : 1;
  }
  CHECK(mirrored > 16);
  CHECK(mirrored < 48);
  CHECK(at::equal(codec->augment(x.slice(0, 10, 20), 1, 110, 0, true), y.slice(0, 10, 20)));
  CHECK_FALSE(at::equal(codec->augment(x, 1, 100, 1, true), y));
}

TEST_CASE("sequence codec: one-hot letters in {-1,+1}, channels = letters; back by argmax") {
  const auto codec = make_codec({"sequence", {5}, "ACGT"}, "test");
  CHECK((codec->model_shape() == std::vector<int64_t>{4, 5}));
  const Tensor codes = at::tensor({0, 1, 2, 3, 3, 2, 0, 0, 1, 2}, at::kLong).to(at::kByte).view({2, 5});
  const Tensor x = codec->encode(codes);
  CHECK((x.sizes() == at::IntArrayRef({2, 4, 5})));
  CHECK(x.is_contiguous());
  CHECK(at::equal(x[0], at::tensor({1, -1, -1, -1, -1, -1, 1, -1, -1, -1, -1, -1, 1, -1, -1, -1, -1, -1, 1, 1}, at::kFloat).view({4, 5})));
  const Tensor back = codec->decode(x);
  CHECK((back.scalar_type() == at::kByte));
  CHECK(at::equal(back, codes));
  CHECK(at::equal(codec->decode(x * 0.01 + 3.0), codes));   // the largest channel counts, not its size
  CHECK(thrown_by([&] { codec->encode(codes + 1); }).says("code 4, the alphabet 'ACGT' has 4 letters"));
  CHECK(thrown_by([&] { codec->encode(codes.slice(1, 0, 4)); }).exit == Exit::kBadInput);
  CHECK(thrown_by([&] { codec->decode(x.transpose(1, 2)); }).exit == Exit::kBadInput);
  CHECK(codec->encode(codes.slice(0, 0, 0)).size(0) == 0);
}

TEST_CASE("sequence codec: flipped DNA and RNA are reverse complements, keyed by item; other letters have none") {
  // AACGT reversed and complemented: ACGTT
  const Tensor dna = at::tensor({0, 0, 1, 2, 3}, at::kLong).to(at::kByte), turned = at::tensor({0, 1, 2, 3, 3}, at::kLong).to(at::kByte);
  for (const std::string alphabet : {"ACGT", "ACGU", "ACGTN"}) {
    CAPTURE(alphabet);
    const io::Space space{"sequence", {5}, alphabet};
    const auto codec = make_codec(space, "test");
    const Tensor x = codec->encode(dna.expand({64, 5}));
    CHECK(at::equal(codec->augment(x, 1, 0, 0, false), x));
    const Tensor y = codec->augment(x, 1, 100, 0, true), codes = codec->decode(y);
    int64_t flipped = 0;
    for (int64_t i = 0; i < 64; ++i) {
      const bool same = at::equal(codes[i], dna);
      CHECK((same || at::equal(codes[i], turned)));
      flipped += same ? 0 : 1;
    }
    CHECK(flipped > 16);
    CHECK(flipped < 48);
    CHECK(at::equal(codec->augment(x.slice(0, 10, 20), 1, 110, 0, true), y.slice(0, 10, 20)));
    CHECK_NOTHROW(check_flip(space));
  }
  const auto permuted = make_codec({"sequence", {5}, "TGCA"}, "test");   // AACGT by these codes
  const Tensor codes = at::tensor({3, 3, 2, 1, 0}, at::kLong).to(at::kByte);
  const Tensor y = permuted->decode(permuted->augment(permuted->encode(codes.expand({16, 5})), 1, 0, 0, true));
  const Tensor reverse = at::tensor({3, 2, 1, 0, 0}, at::kLong).to(at::kByte);
  for (int64_t i = 0; i < 16; ++i) CHECK((at::equal(y[i], codes) || at::equal(y[i], reverse)));

  CHECK_NOTHROW(check_flip({"image", {1, 2, 3}, ""}));
  CHECK(thrown_by([] { check_flip({"sequence", {5}, "ACDEFGHIKLMNPQRSTVWY"}); }).exit == Exit::kUsage);
  CHECK(thrown_by([] { check_flip({"sequence", {5}, "ACG"}); }).says("no complement"));
  CHECK(thrown_by([] { check_flip({"vector", {5}, ""}); }).says("--flip"));
}

TEST_CASE("vector codec is the identity; unknown spaces are refused") {
  const auto codec = make_codec({"vector", {7}, ""}, "test");
  const Tensor x = normal({3, 7}, 1);
  CHECK(at::equal(codec->decode(codec->encode(x)), x));
  CHECK(at::equal(codec->augment(x, 1, 0, 0, true), x));
  CHECK((make_codec({"latent", {4, 8, 8}, ""}, "test")->model_shape() == std::vector<int64_t>{4, 8, 8}));
  CHECK(thrown_by([] { make_codec({"graph", {50}, ""}, "d.h5"); }).says("graph"));
}

TEST_CASE("noise: row i is item i's, whatever the batch; standard normal; streams, steps and seeds differ") {
  const auto draw = [](uint64_t seed, Stream stream, const std::vector<int64_t>& items, uint32_t step) {
    return normal_noise(seed, static_cast<int>(stream), items, step, {1, 28, 28}, at::kCPU);
  };
  const Tensor all = draw(7, Stream::kPrior, {0, 1, 2, 3, 4}, 0);
  CHECK(at::equal(draw(7, Stream::kPrior, {3, 1}, 0), all.index_select(0, at::tensor({3, 1}, at::kLong))));
  CHECK_FALSE(at::equal(draw(8, Stream::kPrior, {0}, 0)[0], all[0]));
  CHECK_FALSE(at::equal(draw(7, Stream::kSamplerStep, {0}, 0)[0], all[0]));
  CHECK_FALSE(at::equal(draw(7, Stream::kPrior, {0}, 1)[0], all[0]));
  std::vector<int64_t> items(100);
  for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int64_t>(i);
  const Tensor many = draw(1, Stream::kTrainNoise, items, 0);   // 78400 values: standard error 0.0036
  CHECK(many.mean().item<double>() == doctest::Approx(0).epsilon(0.015).scale(1));
  CHECK(many.var().item<double>() == doctest::Approx(1).epsilon(0.02));
  CHECK(draw(1, Stream::kPrior, {}, 0).size(0) == 0);
}

TEST_CASE("devices: cpu is there, others are refused and never replaced") {
  CHECK((parse_device("cpu") == at::Device(at::kCPU)));
  CHECK(thrown_by([] { parse_device("gpu"); }).exit == Exit::kUsage);
  CHECK(thrown_by([] { parse_device("cuda:x"); }).exit == Exit::kUsage);
  if (!at::hasCUDA()) CHECK(thrown_by([] { parse_device("cuda"); }).exit == Exit::kBadInput);
}
