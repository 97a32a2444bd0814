// The JSON Schema subset, our schemas, and layouts against files.   SPDX-License-Identifier: Apache-2.0
#include "io/schema.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <limits>

namespace fs = std::filesystem;
using plumb::io::Json;
using plumb::io::Manifest;
using plumb::io::Type;
using Lines = std::vector<std::string>;

namespace {

Lines problems(const std::string& json, const std::string& kind) { return plumb::io::schema_problems(Json::parse(json), kind); }

struct File {
  File() {
    std::string name = (fs::temp_directory_path() / "plumb-schema-XXXXXX").string();
    folder = mkdtemp(name.data());
    path = (folder / "x.h5").string();
  }
  ~File() { fs::remove_all(folder); }
  fs::path folder;
  std::string path;
};

/// layout_problems of a file that `fill` wrote, under a manifest.
template <typename Fill>
Lines layout(const std::string& manifest, const Fill& fill) {
  File file;
  plumb::io::H5Writer writer(file.path);
  fill(writer);
  writer.commit();
  return plumb::io::layout_problems(plumb::io::H5Reader(file.path), Manifest::parse(manifest, "m"));
}

const std::string kSamples = R"({"format":"plumb/1","kind":"samples","count":3,"space":{"type":"image","shape":[1,2,2]}})";

void write_images(plumb::io::H5Writer& w, int64_t n) {
  const std::vector<uint8_t> bytes(static_cast<size_t>(n) * 4);
  w.write("images", Type::kU8, {n, 1, 2, 2}, bytes.data());
}

}  // namespace

TEST_SUITE("schema") {
  TEST_CASE("every kind has a schema and, but for those without HDF5, a layout") {
    for (const Json& kind : plumb::io::schema("manifest")["properties"]["kind"]["enum"]) {
      CAPTURE(kind);
      CHECK(plumb::io::schema(kind)["properties"]["kind"]["const"] == kind);
      CHECK(plumb::io::layout(kind).is_null() == (kind == "metrics" || kind == "report"));
    }
    CHECK(plumb::io::schema("nonsense").is_null());
    CHECK(problems(R"({"kind":"nonsense"})", "nonsense").size() == 1);
  }
  TEST_CASE("a good manifest has no problem; unknown fields are allowed") {
    CHECK(problems(kSamples, "samples") == Lines{});
    CHECK(problems(R"({"format":"plumb/1","kind":"scores","count":0,"mine":{"a":1},"inputs":{"samples":{"kind":"samples","path":"a.h5","sha256":")" +
                       std::string(64, 'a') + R"("}}})", "scores") == Lines{});
    CHECK(problems(R"({"format":"plumb/1","kind":"metrics","metrics":{"fid":1.5},"inputs":{"metrics":[{"kind":"metrics"},{"kind":"metrics"}]}})",
                   "metrics") == Lines{});
  }
  TEST_CASE("problems name the place and what is wrong") {
    CHECK(problems(R"({"format":"plumb/1","kind":"samples","count":3})", "samples") == Lines{"lacks \"space\""});
    CHECK(problems(R"({"format":"plumb/x","kind":"scores","count":1})", "scores") ==
          Lines{"format: 'plumb/x' does not match ^plumb/[1-9][0-9]*$"});
    CHECK(problems(R"({"format":"plumb/1","kind":"scores","count":-1})", "scores") == Lines{"count: -1 is below 0"});
    CHECK(problems(R"({"format":"plumb/1","kind":"scores","count":1.5})", "scores") == Lines{"count: is number, should be integer"});
    CHECK(problems(R"({"format":"plumb/1","kind":"samples","count":1,"space":{"type":"image","shape":[1,0,2]}})", "samples") ==
          Lines{"space.shape[1]: 0 is below 1"});
    CHECK(problems(R"({"format":"plumb/1","kind":"samples","count":1,"space":{"type":"smell","shape":[]}})", "samples").size() == 2);
    CHECK(problems(R"({"format":"plumb/1","kind":"scores","count":1,"argv":["a",2]})", "scores") ==
          Lines{"argv[1]: is integer, should be string"});
    CHECK(problems(R"({"format":"plumb/1","kind":"model","count":1})", "scores")[0] == "kind: should be \"scores\"");
    CHECK(problems("3", "scores")[0] == "is integer, should be object");
  }
  TEST_CASE("references within inputs are followed to any depth") {
    CHECK(problems(R"({"format":"plumb/1","kind":"scores","count":1,"inputs":{"samples":{"kind":"samples","inputs":{"model":{"kind":"model","sha256":"abc"}}}}})",
                   "scores") == Lines{"inputs.samples.inputs.model.sha256: 'abc' does not match ^[0-9a-f]{64}$"});
  }
}

TEST_SUITE("layout") {
  TEST_CASE("a whole file; datasets of our own beside it") {
    CHECK(layout(kSamples, [](auto& w) {
      write_images(w, 3);
      const int64_t label[3] = {0, 1, 2};
      w.write("label", Type::kI64, {3}, label);
      w.write_strings("prompt", {"a", "b", "c"});
      w.write("mine", Type::kI64, {3}, label);
    }) == Lines{});
  }
  TEST_CASE("absent, too long, of another shape or type") {
    CHECK(layout(kSamples, [](auto&) {}) == Lines{"'images' is missing"});
    CHECK(layout(kSamples, [](auto& w) { write_images(w, 2); }) ==
          Lines{"'images' is [2,1,2,2], should be [N,C,H,W] with N = 3, C = 1, H = 2, W = 2"});
    CHECK(layout(kSamples, [](auto& w) {
      write_images(w, 3);
      const double label[3] = {};
      w.write("label", Type::kF64, {3}, label);
    }) == Lines{"'label' is float64, should be int64"});
    CHECK(layout(kSamples, [](auto& w) {
      write_images(w, 3);
      w.write_strings("label", {"a", "b", "c"});
    }) == Lines{"'label' is utf8, should be int64"});
  }
  TEST_CASE("wildcards, one_of, and letters that stand for one size") {
    const std::string scores = R"({"format":"plumb/1","kind":"scores","count":2})";
    const float two[4] = {1, 2, 3, 4};
    CHECK(layout(scores, [&](auto& w) { w.write("reward/a", Type::kF32, {2}, two); }) == Lines{});
    CHECK(layout(scores, [&](auto& w) { w.write("other", Type::kF32, {2}, two); }) == Lines{"'reward/*' is missing"});
    CHECK(layout(scores, [&](auto& w) {
      w.write("reward/a", Type::kF32, {2}, two);
      w.write("reward/b", Type::kF32, {4}, two);
    }) == Lines{"'reward/b' is [4], should be [N] with N = 2"});
    const std::string model = R"({"format":"plumb/1","kind":"model","space":{"type":"image","shape":[1,2,2]}})";
    CHECK(layout(model, [](auto&) {}) == Lines{"has none of denoiser/*, lora/*, torchscript"});
    const std::string features = R"({"format":"plumb/1","kind":"features"})";
    const double d[9] = {};
    CHECK(layout(features, [&](auto& w) {
      w.write("mu", Type::kF64, {3}, d);
      w.write("sigma", Type::kF64, {3, 3}, d);
    }) == Lines{});
    CHECK(layout(features, [&](auto& w) {
      w.write("mu", Type::kF64, {2}, d);
      w.write("sigma", Type::kF64, {3, 3}, d);
    }) == Lines{"'sigma' is [3,3], should be [D,D] with D = 2, D = 2"});
  }
  TEST_CASE("a vector's item may have any shape") {
    const float x[12] = {};
    const std::string m = R"({"format":"plumb/1","kind":"samples","count":2,"space":{"type":"vector","shape":[2,3]}})";
    CHECK(layout(m, [&](auto& w) { w.write("vectors", Type::kF32, {2, 2, 3}, x); }) == Lines{});
    CHECK(layout(m, [&](auto& w) { w.write("vectors", Type::kF32, {2, 6}, x); }).size() == 1);
  }
  TEST_CASE("the first value that is not finite is found, in large and in text-holding files") {
    File file;
    std::vector<float> big(3 << 20, 1.0F);
    big[(3 << 20) - 1] = std::numeric_limits<float>::infinity();
    const double one = std::nan(""), fine = 1;
    plumb::io::H5Writer writer(file.path);
    writer.write("big", Type::kF32, {3 << 20}, big.data());
    writer.write("fine", Type::kF64, {}, &fine);
    writer.write("one", Type::kF64, {}, &one);
    writer.write_strings("text", {"nan"});
    writer.commit();
    CHECK(plumb::io::finiteness_problems(plumb::io::H5Reader(file.path)) ==
          Lines{"'big' is not finite in row 3145727", "'one' is not finite in row 0"});
  }
}
