// HDF5 files: round trips, byte identity, and every kind of broken file.   SPDX-License-Identifier: Apache-2.0
#include "io/h5.h"

#include <hdf5.h>
#include <signal.h>
#include <sys/resource.h>

#include <numeric>

#include "core/philox.h"
#include "io/artefact.h"
#include "unit/io/scratch.h"

namespace plumb::io {
using test::check_error;
using test::contains;
using test::error_of;
using test::Scratch;

namespace {

/// A small artefact with one of everything.
Manifest write_sample(const std::string& path, bool compress = false, int64_t batch = 12) {
  H5Writer file(path, compress);
  file.create("images", Type::kU8, {1, 4, 4});
  file.create("label", Type::kI64, {});
  file.attribute("images", "note", "grey");
  std::vector<uint8_t> pixels(12 * 16);
  std::iota(pixels.begin(), pixels.end(), uint8_t{0});
  std::vector<int64_t> labels(12);
  std::iota(labels.begin(), labels.end(), int64_t{-3});
  for (int64_t i = 0; i < 12; i += batch) {
    file.append("images", Type::kU8, batch, pixels.data() + i * 16);
    file.append("label", Type::kI64, batch, labels.data() + i);
  }
  const std::vector<double> sigma{1.5, 2, 3, 4};
  file.write("stats/sigma", Type::kF64, {2, 2}, sigma.data());
  file.write("stats/scalar", Type::kF64, {}, sigma.data());
  file.write("weights/mid_block.0.weight", Type::kF32, {0, 3}, nullptr);
  file.write_strings("prompt", {"a cat", "", "z\xc3\xbcrich"});
  return commit_artefact(file, Manifest(Json{{"format", "plumb/1"}, {"kind", "samples"}, {"count", 12}, {"seed", 7},
                                             {"space", {{"type", "image"}, {"shape", {1, 4, 4}}}}}));
}

/// Reads all there is, as tools would; a broken file may end it by Error only.
void read_everything(const std::string& path) {
  const auto attempt = [](const auto& action) { error_of(action); };
  attempt([&] { read_artefact_manifest(path).space(); });
  attempt([&] {
    const H5Reader file(path);
    for (const std::string& name : file.list("/")) {
      attempt([&] { file.read_f64(name); });
      attempt([&] { file.read_i64(name); });
      attempt([&] { file.read_strings(name); });
      attempt([&] { file.attribute(name, "note"); });
    }
    file.read_u8("images");
  });
}

}  // namespace

TEST_CASE("h5: what is written is read back") {
  const Scratch scratch;
  for (const bool compress : {false, true}) {
    const std::string path = scratch / "a.h5";
    write_sample(path, compress, 3);
    const H5Reader file(path);
    CHECK(file.list("/") == std::vector<std::string>{"images", "label", "prompt", "stats/scalar", "stats/sigma",
                                                     "weights/mid_block.0.weight"});
    CHECK(file.list("stats") == std::vector<std::string>{"scalar", "sigma"});
    CHECK(file.list("absent").empty());
    CHECK(file.info("images").shape == std::vector<int64_t>{12, 1, 4, 4});
    CHECK(file.info("images").type == Type::kU8);
    CHECK(file.info("label").type == Type::kI64);
    CHECK(file.info("stats/sigma").type == Type::kF64);
    CHECK(file.info("weights/mid_block.0.weight").shape == std::vector<int64_t>{0, 3});
    CHECK(file.read_f64("stats/sigma") == std::vector<double>{1.5, 2, 3, 4});
    CHECK(file.read_f64("/stats/scalar/") == std::vector<double>{1.5});
    CHECK(file.read_f32("weights/mid_block.0.weight").empty());
    CHECK(file.read_strings("prompt") == std::vector<std::string>{"a cat", "", "z\xc3\xbcrich"});
    CHECK(file.attribute("images", "note") == "grey");
    CHECK(file.attribute("images", "absent") == "");
    CHECK(file.has("stats/sigma"));
    CHECK_FALSE(file.has("stats/sigma/more"));
    CHECK_FALSE(file.has(""));
    std::vector<float> rows(2);
    file.read("label", Type::kF32, 4, 2, rows.data());  // numbers convert
    CHECK(rows == std::vector<float>{1, 2});
    check_error([&] { file.read("label", Type::kF32, 11, 2, rows.data()); }, Exit::kBadInput, path,
                "12 rows; rows 11 to 12");
    check_error([&] { file.read("label", Type::kF32, -1, 1, rows.data()); }, Exit::kBadInput, path, "12 rows");
    check_error([&] { file.read_u8("nothing"); }, Exit::kBadInput, path, "has no dataset 'nothing'");
    check_error([&] { file.read_u8("prompt"); }, Exit::kBadInput, path, "holds text");
    check_error([&] { file.read_strings("label"); }, Exit::kBadInput, path, "holds numbers");
  }
}

TEST_CASE("h5: rows beyond one chunk, in uneven batches, keep their order") {
  const Scratch scratch;
  constexpr int64_t kRows = 5000, kWidth = 131;  // 2.6 MB of float32: three chunks
  std::vector<float> values(kRows * kWidth);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  for (const bool compress : {false, true}) {
    H5Writer out(scratch / "v.h5", compress);
    out.create("vectors", Type::kF32, {kWidth});
    const std::vector<int64_t> batches{1, 7, 1000, 2500, 1492};
    int64_t first = 0;
    for (const int64_t n : batches) {
      out.append("vectors", Type::kF32, n, values.data() + first * kWidth);
      first += n;
    }
    REQUIRE(first == kRows);
    out.commit();
    const H5Reader file(scratch / "v.h5");
    CHECK(file.info("vectors").shape == std::vector<int64_t>{kRows, kWidth});
    CHECK(file.read_f32("vectors") == values);
    std::vector<float> row(kWidth);
    file.read("vectors", Type::kF32, 4321, 1, row.data());
    CHECK(row.front() == static_cast<float>(4321 * kWidth));
  }
}

TEST_CASE("h5: two writes give equal bytes, and small files stay small") {
  const Scratch scratch;
  for (const bool compress : {false, true}) {
    write_sample(scratch / "a.h5", compress);
    write_sample(scratch / "b.h5", compress, 4);
    CHECK(read_file(scratch / "a.h5") == read_file(scratch / "b.h5"));
    CHECK(read_file(scratch / "a.h5").size() < 16384);
  }
  CHECK(scratch.entries() == 2);  // no temporary files left
}

TEST_CASE("h5: a manifest longer than an HDF5 object header is kept whole") {
  const Scratch scratch;
  for (const size_t size : {size_t{59000}, size_t{60001}, size_t{300000}}) {
    H5Writer out(scratch / "long.h5");
    commit_artefact(out,
                    Manifest(Json{{"format", "plumb/1"}, {"kind", "samples"}, {"argv", {std::string(size, 'x')}}}));
    const std::string first = read_file(scratch / "long.h5");
    CHECK(Manifest::read(scratch / "long.h5").json()["argv"][0].get<std::string>() == std::string(size, 'x'));
    H5Writer again(scratch / "long.h5");
    commit_artefact(again,
                    Manifest(Json{{"format", "plumb/1"}, {"kind", "samples"}, {"argv", {std::string(size, 'x')}}}));
    CHECK(read_file(scratch / "long.h5") == first);
  }
}

TEST_CASE("h5: without commit nothing appears; misuse is named") {
  const Scratch scratch;
  {
    H5Writer out(scratch / "never.h5");
    out.create("x", Type::kF32, {});
    check_error([&] { out.create("x", Type::kF32, {}); }, Exit::kFailed, "never.h5", "created twice");
    check_error([&] { out.append("y", Type::kF32, 1, nullptr); }, Exit::kFailed, "never.h5", "not created");
    check_error([&] { H5Writer twin(scratch / "never.h5"); }, Exit::kFailed, "never.h5", "already being written");
  }
  CHECK(scratch.entries() == 0);
  check_error([&] { H5Writer out(scratch / "no/such/folder.h5"); }, Exit::kFailed, "folder.h5", "No such file");
}

TEST_CASE("h5: a file that cannot grow is an error with the system's reason, and leaves nothing") {
  const Scratch scratch;
  struct rlimit before {};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_action = signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 200000;
  setrlimit(RLIMIT_FSIZE, &small);
  const std::vector<uint8_t> data(4 << 20, 1);
  Exit exit = Exit::kDone;
  const std::string message = error_of([&] {
    H5Writer out(scratch / "big.h5");
    out.create("images", Type::kU8, {1024});
    out.append("images", Type::kU8, 4096, data.data());
    out.commit();
  }, &exit);
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, old_action);
  CHECK(contains(message, "big.h5"));
  CHECK(contains(message, "File too large"));
  CHECK(exit == Exit::kFailed);
  CHECK(scratch.entries() == 0);
}

TEST_CASE("h5: files that are not ours are named for what they are") {
  const Scratch scratch;
  const auto check = [&](const std::string& name, const std::string& bytes, const std::string& what) {
    test::put(scratch / name, bytes);
    check_error([&] { read_artefact_manifest(scratch / name); }, Exit::kBadInput, name, what);
    check_error([&] { Manifest::read(scratch / name); }, Exit::kBadInput, name, what);
  };
  check("empty.h5", "", "is empty");
  check("text.h5", "hello there, this is no HDF5\n", "is not an HDF5 file");
  check_error([&] { Manifest::read(scratch / "absent.h5"); }, Exit::kBadInput, "absent.h5", "No such file");
  check_error([&] { Manifest::read(scratch.folder()); }, Exit::kBadInput, scratch.folder(), "is a folder");
  {
    H5Writer out(scratch / "plain.h5");
    out.write_strings("x", {"y"});
    out.commit();
  }
  check("plain.h5", read_file(scratch / "plain.h5"), "is HDF5 but not a plumb artefact");
  {
    H5Writer out(scratch / "next.h5");
    out.attribute("/", "manifest", R"({"format":"plumb/2","kind":"samples"})");
    out.commit();
  }
  check("next.h5", read_file(scratch / "next.h5"), "has format plumb/2, this plumb reads up to plumb/1: upgrade plumb");
  write_sample(scratch / "whole.h5");
  const std::string bytes = read_file(scratch / "whole.h5");
  check("half.h5", bytes.substr(0, bytes.size() / 2),
        "is truncated: " + std::to_string(bytes.size() / 2) + " of " + std::to_string(bytes.size()) + " bytes");
}

TEST_CASE("h5: links out of the file and unusual types are refused") {
  const Scratch scratch;
  write_sample(scratch / "secret.h5");
  write_sample(scratch / "a.h5");
  const hid_t file = H5Fopen((scratch / "a.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  REQUIRE(file >= 0);
  H5Lcreate_external((scratch / "secret.h5").c_str(), "/images", file, "outside", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/images", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_hard(file, "/", file, "loop", H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t shape = 4;
  const hid_t space = H5Screate_simple(1, &shape, nullptr), type = H5Tcopy(H5T_STD_U32LE),
              plist = H5Pcreate(H5P_DATASET_CREATE);
  H5Tset_precision(type, 11);
  H5Dclose(H5Dcreate2(file, "odd", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Pset_external(plist, (scratch / "secret.h5").c_str(), 0, 32);
  H5Dclose(H5Dcreate2(file, "elsewhere", H5T_STD_I64LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
  const hsize_t huge = hsize_t{1} << 40, chunk = 1024;
  const hid_t big = H5Screate_simple(1, &huge, nullptr), chunked = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(chunked, 1, &chunk);
  H5Dclose(H5Dcreate2(file, "huge", H5T_STD_U8LE, big, H5P_DEFAULT, chunked, H5P_DEFAULT));
  H5Pclose(chunked), H5Pclose(plist), H5Sclose(big), H5Sclose(space), H5Tclose(type), H5Fclose(file);

  const H5Reader reader(scratch / "a.h5");
  CHECK_FALSE(reader.has("outside"));
  CHECK_FALSE(reader.has("soft"));
  check_error([&] { reader.read_u8("outside"); }, Exit::kBadInput, "a.h5", "has no dataset 'outside'");
  check_error([&] { reader.info("odd"); }, Exit::kBadInput, "a.h5", "unusual type");
  check_error([&] { reader.info("elsewhere"); }, Exit::kBadInput, "a.h5", "keeps its data in another file");
  check_error([&] { reader.info("huge"); }, Exit::kBadInput, "a.h5", "more than the file's");
  const std::vector<std::string> names = reader.list("/");
  CHECK(std::find(names.begin(), names.end(), "outside") == names.end());
  CHECK(names.size() < 20);  // the loop ended
}

TEST_CASE("h5: files of h5py, with variable-length text, are read") {
  const Scratch scratch;
  const std::string path = scratch / "py.h5";
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t type = H5Tcopy(H5T_C_S1), scalar = H5Screate(H5S_SCALAR);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  const char* manifest = R"({"format":"plumb/1","kind":"dataset","count":2})";
  const hid_t attribute = H5Acreate2(file, "manifest", type, scalar, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, type, &manifest);
  const char* words[2] = {"one", "three"};
  const hsize_t two = 2;
  const hid_t space = H5Screate_simple(1, &two, nullptr);
  const hid_t data = H5Dcreate2(file, "prompt", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, words);
  H5Dclose(data), H5Sclose(space), H5Aclose(attribute), H5Sclose(scalar), H5Tclose(type), H5Fclose(file);
  CHECK(Manifest::read(path).count() == 2);
  CHECK(H5Reader(path).read_strings("prompt") == std::vector<std::string>{"one", "three"});
}

TEST_CASE("h5: files that h5py made, with chunks on both axes and all filters, in the old and the latest format") {
  for (const char* name : {"h5py.h5", "h5py_latest.h5"}) {
    const Manifest manifest = Manifest::read(test::data_file(name));
    CHECK(manifest.kind() == "dataset");
    CHECK(manifest.count() == 3);
    CHECK(open_artefact(manifest).read_f32("vectors") == std::vector<float>{0, 1, 2, 3, 4, 5});
  }
  const H5Reader file(test::data_file("h5py.h5"));
  CHECK(file.read_i64("label") == std::vector<int64_t>{2, 0, 1});
  CHECK(file.read_strings("prompt") == std::vector<std::string>{"a", "bb", "z\xc3\xbcrich"});
}

TEST_CASE("h5: cut at every byte offset: an error that names the file, never a crash") {
  const Scratch scratch;
  write_sample(scratch / "whole.h5");
  const std::string bytes = read_file(scratch / "whole.h5"), path = scratch / "cut.h5";
  for (size_t size = 0; size < bytes.size(); ++size) {
    test::put(path, bytes.substr(0, size));
    Exit exit = Exit::kDone;
    const std::string message = error_of([&] { read_artefact_manifest(path); }, &exit);
    INFO("cut to " << size << ": " << message);
    REQUIRE(exit == Exit::kBadInput);
    REQUIRE(contains(message, path));
    REQUIRE((contains(message, "is truncated") || size == 0));
  }
}

TEST_CASE("h5: random damage: errors only, no crash and no wild allocation") {
  const Scratch scratch;
  struct rlimit before {}, limited {};
  getrlimit(RLIMIT_AS, &before);
  limited = before;
#if !defined(__SANITIZE_ADDRESS__)
  limited.rlim_cur = rlim_t{2} << 30;  // an allocation by a damaged size would end in bad_alloc, which fails the test
  setrlimit(RLIMIT_AS, &limited);
#endif
  for (const bool compress : {false, true}) {
    write_sample(scratch / "whole.h5", compress);
    const std::string bytes = read_file(scratch / "whole.h5"), path = scratch / "bad.h5";
    for (uint64_t round = 0; round < 500; ++round) {
      Philox random(compress, Stream::kSplit, round);
      std::string damaged = bytes;
      for (uint64_t flips = 1 + random.below(4); flips-- > 0;) {
        size_t at = random.below(damaged.size());
        while (damaged[at] == 0 && random.below(8) != 0) at = random.below(damaged.size());  // most zeros are padding
        damaged[at] = static_cast<char>(random.below(2) ? random.next() : 0xff);
      }
      test::put(path, damaged);
      INFO("round " << round);
      CHECK_NOTHROW(read_everything(path));
    }
  }
  setrlimit(RLIMIT_AS, &before);
}

}  // namespace plumb::io
