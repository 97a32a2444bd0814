// Manifests, lineage, spaces and atomic files.   SPDX-License-Identifier: Apache-2.0
#include "io/manifest.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/artefact.h"
#include "unit/io/scratch.h"

namespace plumb::io {
using test::check_error;
using test::Scratch;

namespace {

Manifest make(const std::string& path, const std::string& kind, Json inputs = Json::object(), int64_t count = 3) {
  H5Writer out(path);
  const std::vector<float> data(static_cast<size_t>(count), 1);
  out.create("vectors", Type::kF32, {});
  out.append("vectors", Type::kF32, count, data.data());
  Json json{{"format", "plumb/1"}, {"kind", kind}, {"count", count}};
  if (!inputs.empty()) json["inputs"] = inputs;
  return commit_artefact(out, Manifest(json));
}

}  // namespace

TEST_CASE("manifest: fields, unknown ones included, survive a file") {
  const Scratch scratch;
  H5Writer out(scratch / "a.h5");
  Manifest given(Json{{"kind", "samples"}, {"count", 2}, {"seed", 9}, {"x-lab", {{"deep", {1, 2}}}},
                      {"space", {{"type", "sequence"}, {"shape", {8}}, {"alphabet", "ACGT"}}}});
  const Manifest printed = commit_artefact(out, given);
  CHECK(printed.json().begin().key() == "format");
  CHECK(printed.json()["format"] == "plumb/1");
  const Manifest back = Manifest::read(scratch / "a.h5");
  CHECK(back.json() == printed.json());
  CHECK(back.json()["x-lab"]["deep"][1] == 2);
  CHECK(back.count() == 2);
  CHECK(back.seed() == 9);
  CHECK(back.space().alphabet == "ACGT");
  CHECK(back.space().text() == "sequence [8]");
  CHECK(back.path() == scratch / "a.h5");
  CHECK(back.sha256().size() == 64);
  CHECK(open_artefact(back).list("/").empty());
  CHECK_FALSE(test::contains(H5Reader(scratch / "a.h5").attribute("/", "manifest"), "sha256"));
}

TEST_CASE("manifest: bad text is named for what it is") {
  const auto bad = [](const std::string& text, const std::string& what) {
    check_error([&] { Manifest::parse(text, "m.json"); }, Exit::kBadInput, "m.json", what);
  };
  bad("", "is empty");
  bad(" \n", "is empty");
  bad("{\"format\":\"plumb/1\",\"kind\":", "cut short");
  bad("{\"format\" \"plumb/1\"}", "is not valid JSON");
  bad("[1,2]", "not a manifest object");
  bad("{}", "is not a plumb manifest");
  bad(R"({"format":"plumb/x","kind":"a"})", "is not a plumb manifest");
  bad(R"({"format":"plumb/1 ","kind":"a"})", "is not a plumb manifest");
  bad(R"({"format":"plumb/-1","kind":"a"})", "is not a plumb manifest");
  bad(R"({"format":7,"kind":"a"})", "is not a plumb manifest");
  bad(R"({"format":"plumb/99","kind":"a"})", "has format plumb/99, this plumb reads up to plumb/1: upgrade plumb");
  bad(R"({"format":"plumb/1"})", "without a kind");
  bad(std::string(100000, '[') + std::string(100000, ']'), "nested too deeply");
  const std::string text =
      R"({"format":"plumb/1","kind":"samples","count":-1,"seed":1.5,"space":{"type":"image","shape":[1,2]}})";
  const Manifest odd = Manifest::parse(text, "m.json");
  check_error([&] { odd.count(); }, Exit::kBadInput, "<stdin>", "count");
  check_error([&] { odd.seed(); }, Exit::kBadInput, "<stdin>", "seed");
  check_error([&] { odd.space(); }, Exit::kBadInput, "<stdin>", "[C,H,W]");
  for (size_t size = 0; size < text.size(); ++size) {
    check_error([&] { Manifest::parse(text.substr(0, size), "m.json"); }, Exit::kBadInput, "m.json", "");
  }
}

TEST_CASE("space: bad spaces are refused") {
  const auto bad = [](const char* text, const std::string& what) {
    check_error([&] { Space::from_json(Json::parse(text), "f.h5"); }, Exit::kBadInput, "f.h5", what);
  };
  bad("3", "not a JSON object");
  bad(R"({"shape":[1]})", "no type");
  bad(R"({"type":"sound","shape":[1]})", "unknown type 'sound'");
  bad(R"({"type":"vector","shape":[]})", "no shape");
  bad(R"({"type":"vector","shape":[0]})", "out of range");
  bad(R"({"type":"vector","shape":[-4]})", "out of range");
  bad(R"({"type":"vector","shape":[18446744073709551615]})", "out of range");
  bad(R"({"type":"vector","shape":[4294967296,4294967296]})", "out of range");
  bad(R"({"type":"vector","shape":[1.5]})", "not a whole number");
  bad(R"({"type":"sequence","shape":[4]})", "alphabet");
  bad(R"({"type":"sequence","shape":[4],"alphabet":"AA"})", "repeats");
  const Space image = Space::from_json(Json::parse(R"({"type":"image","shape":[3,32,32]})"), "f.h5");
  CHECK(image.numel() == 3072);
  CHECK(image.dataset() == "images");
  CHECK(image.stored_as_bytes());
  CHECK(Space::from_json(image.to_json(), "") == image);
  CHECK_FALSE(Space::from_json(Json::parse(R"({"type":"latent","shape":[4,8,8]})"), "").stored_as_bytes());
}

TEST_CASE("manifest: the nearest of a kind, breadth first, through files and out of a pipe") {
  const Scratch scratch;
  std::filesystem::create_directories(scratch / "deep/er");
  const Manifest data = make(scratch / "data.h5", "dataset", {}, 5);
  const Manifest base = make(scratch / "deep/base.h5", "model", {{"dataset", data.json()}});
  const Manifest samples = make(scratch / "deep/er/s.h5", "samples", {{"model", base.json()}});
  const Manifest scores =
      make(scratch / "scores.h5", "scores", {{"samples", samples.json()}, {"reference", data.json()}});

  const Json stored = Json::parse(H5Reader(scratch / "scores.h5").attribute("/", "manifest"));
  CHECK(stored["inputs"]["samples"]["path"] == "deep/er/s.h5");
  CHECK(stored["inputs"]["samples"].size() == 3);
  CHECK(Json::parse(H5Reader(scratch / "deep/er/s.h5").attribute("/", "manifest"))["inputs"]["model"]["path"] ==
        "../base.h5");

  for (const Manifest& start :
       {scores, Manifest::read(scratch / "scores.h5"), Manifest::parse(scores.json().dump(), "-")}) {
    CHECK(start.need("scores").path() == scratch / "scores.h5");
    CHECK(start.need("samples").count() == 3);
    CHECK(start.need("model").path() == scratch / "deep/base.h5");
    CHECK(start.need("dataset").count() == 5);
    CHECK(start.find_all("dataset").size() == 1);  // reached twice, listed once
    CHECK_FALSE(start.find("reward").has_value());
    check_error([&] { start.need("reward"); }, Exit::kBadInput, "scores.h5", "no 'reward'");
  }
  std::filesystem::rename(scratch / "deep",
                          scratch / "moved");  // inputs gone: what is known stays, what is not is not guessed
  const Manifest cut = Manifest::read(scratch / "scores.h5");
  CHECK(cut.need("samples").sha256() == samples.sha256());
  check_error([&] { open_artefact(cut.need("samples")); }, Exit::kBadInput, "deep/er/s.h5", "is gone");
  CHECK_FALSE(cut.find("model").has_value());
}

TEST_CASE("manifest: breadth first takes the nearer of two") {
  const Scratch scratch;
  const Manifest far = make(scratch / "far.h5", "model", {}, 1);
  const Manifest middle = make(scratch / "middle.h5", "samples", {{"model", far.json()}}, 2);
  const Manifest near = make(scratch / "near.h5", "model", {}, 3);
  const Manifest top = make(scratch / "top.h5", "scores", {{"samples", middle.json()}, {"model", near.json()}}, 4);
  CHECK(top.need("model").count() == 3);
  CHECK(Manifest::read(scratch / "top.h5").need("model").count() == 3);
  const std::vector<Manifest> both = top.find_all("model");
  REQUIRE(both.size() == 2);
  CHECK(both[1].count() == 1);
}

TEST_CASE("manifest: a changed input is named") {
  const Scratch scratch;
  const Manifest data = make(scratch / "data.h5", "dataset");
  const Manifest model = make(scratch / "model.h5", "model", {{"dataset", data.json()}});
  CHECK_NOTHROW(verify_digest(data));
  make(scratch / "data.h5", "dataset", {}, 4);
  check_error([&] { verify_digest(data); }, Exit::kBadInput, scratch / "data.h5", "has changed since");
  check_error([&] { open_artefact(data); }, Exit::kBadInput, scratch / "data.h5", "make it again");
  check_error([&] { Manifest::read(scratch / "model.h5").find("dataset"); }, Exit::kBadInput, scratch / "data.h5",
              "has changed");
  std::filesystem::remove(scratch / "data.h5");
  check_error([&] { verify_digest(data); }, Exit::kBadInput, scratch / "data.h5", "is gone");
}

TEST_CASE("manifest: metrics in a JSON file, and embedded whole from a pipe") {
  const Scratch scratch;
  const Manifest data = make(scratch / "data.h5", "dataset");
  Manifest metrics(
      Json{{"format", "plumb/1"}, {"kind", "metrics"}, {"fid", 1.5}, {"inputs", {{"samples", data.json()}}}});
  write_file(scratch / "m.json", metrics.stored(scratch.folder()).dump());
  const Manifest back = Manifest::read(scratch / "m.json");
  CHECK(back.path() == scratch / "m.json");
  CHECK(back.need("dataset").count() == 3);
  const Manifest report = make(scratch / "r.h5", "scores", {{"metrics", metrics.json()}});  // no path: kept whole
  const Manifest again = Manifest::read(scratch / "r.h5");
  CHECK(again.need("metrics").json()["fid"] == 1.5);
  CHECK(again.need("metrics").json()["inputs"]["samples"]["path"] == data.path());
  CHECK(again.need("dataset").sha256() == data.sha256());
}

TEST_CASE("atomic file: whole or not at all; leftovers of the dead are cleared, of the living kept") {
  const Scratch scratch;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);  // a pid that has ended
  test::put(scratch / (".out.json.tmp." + std::to_string(child)), "old");
  test::put(scratch / ".out.json.tmp.1", "of process 1");
  test::put(scratch / ".out.json.tmp.notes", "not ours");
  write_file(scratch / "out.json", "first");
  CHECK(read_file(scratch / "out.json") == "first");
  CHECK_FALSE(std::filesystem::exists(scratch / (".out.json.tmp." + std::to_string(child))));
  CHECK(std::filesystem::exists(scratch / ".out.json.tmp.1"));
  CHECK(std::filesystem::exists(scratch / ".out.json.tmp.notes"));
  {
    const AtomicFile file(scratch / "out.json");
    test::put(file.temporary(), "half");
    CHECK(read_file(scratch / "out.json") == "first");
  }
  CHECK(read_file(scratch / "out.json") == "first");
  CHECK(scratch.entries() == 3);
  check_error([&] { write_file(scratch / "absent/x", ""); }, Exit::kFailed, "absent/x", "No such file");
  check_error([&] { write_file("/dev/null", "x"); }, Exit::kFailed, "/dev/null", "not a regular file");
  check_error([&] { write_file(scratch.folder() + "/", "x"); }, Exit::kFailed, scratch.folder(),
              "not the name of a file");
  check_error([&] { read_file(scratch / "absent"); }, Exit::kBadInput, "absent", "No such file");
}

}  // namespace plumb::io
