// Importers: round trips, truncation at every byte, hostile headers.   SPDX-License-Identifier: Apache-2.0
#include "io/importer.h"

#include <cstring>
#include <set>

#include "core/text.h"
#include "io/atomic_file.h"
#include "io/image_file.h"
#include "io/jpeg.h"
#include "io/npy.h"
#include "io/zip.h"
#include "unit/io/imported.h"
#include "unit/io/scratch.h"

namespace plumb::io {
using test::check_error;
using test::check_every_cut;
using test::from;
using test::gzip;
using test::import_all;
using test::Imported;
using test::put;
using test::Scratch;

namespace {

std::string u32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string ramp(size_t size, int first = 0) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(first + static_cast<int>(i) * 7);
  return bytes;
}

const std::string kPixels = ramp(5 * 3 * 4);  // five images of 3x4
const std::string kIdxImages = u32(0x803) + u32(5) + u32(3) + u32(4) + kPixels;
const std::string kIdxLabels = u32(0x801) + u32(5) + std::string("\x01\x00\x09\x02\x01", 5);
const std::vector<int64_t> kLabels{1, 0, 9, 2, 1};

}  // namespace

TEST_CASE("importers: the registry is sorted, unique, in kebab-case, and near misses are named") {
  const std::vector<std::string> names = importer_names();
  CHECK(std::is_sorted(names.begin(), names.end()));
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
  for (const ImporterRow& row : importers()) {
    CHECK(std::string(row.name).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos);
    CHECK(std::strlen(row.summary) > 20);
  }
  check_error([] { make_importer("npz", from({"x"})); }, Exit::kUsage, "importer", "did you mean 'npy'?");
  check_error([] { make_importer("auto", from({})); }, Exit::kUsage, "", "nothing to import");
  check_error([] { make_importer("auto", from({"/no/such"})); }, Exit::kBadInput, "/no/such", "No such file");
}

TEST_CASE("idx: plain and gzipped, labels by name, by option, or none") {
  const Scratch scratch;
  put(scratch / "t-images-idx3-ubyte", kIdxImages);
  put(scratch / "t-labels-idx1-ubyte.gz", gzip(kIdxLabels));
  put(scratch / "z/pictures.gz", gzip(kIdxImages));
  put(scratch / "z/numbers", kIdxLabels);
  for (const char* importer : {"idx", "auto"}) {
    const Imported plain = import_all(importer, from({scratch / "t-images-idx3-ubyte"}));
    CHECK(plain.space.text() == "image [1,3,4]");
    CHECK(plain.items == kPixels);
    CHECK(plain.labels == kLabels);
    ImportOptions options = from({scratch / "z/pictures.gz"});
    CHECK(import_all(importer, options).labels.empty());
    options.labels = scratch / "z/numbers";
    CHECK(import_all(importer, options, 100).labels == kLabels);
    options.paths = {scratch / "t-images-idx3-ubyte"};
    options.labels = "none";
    CHECK(import_all(importer, options).labels.empty());
    options.labels = scratch / "z/pictures.gz";
    check_error([&] { make_importer(importer, options); }, Exit::kBadInput, "z/pictures.gz",
                "not an IDX file of labels");
    options.labels.clear();
    options.size = "28x28";
    check_error([&] { make_importer(importer, options); }, Exit::kUsage, "--size", "no meaning for the importer idx");
  }
}

TEST_CASE("idx: cut at every byte, and hostile headers") {
  const Scratch scratch;
  for (const bool zipped : {false, true}) {
    const std::string images = scratch / "a-images-idx3-ubyte", labels = scratch / "a-labels-idx1-ubyte";
    put(images, zipped ? gzip(kIdxImages) : kIdxImages);
    put(labels, zipped ? gzip(kIdxLabels) : kIdxLabels);
    check_every_cut(images, [&] { import_all("idx", from({images})); });
    check_every_cut(labels, [&] { import_all("idx", from({images})); });
    for (size_t at = 0; zipped && at < 30;
         ++at) {  // a flipped bit in packed data ends in an error, its checksum sees to it
      std::string bytes = gzip(kIdxImages);
      bytes[bytes.size() - 1 - at] = static_cast<char>(bytes[bytes.size() - 1 - at] ^ 4);
      put(images, bytes);
      check_error([&] { import_all("idx", from({images})); }, Exit::kBadInput, images, "");
    }
  }
  const auto bad = [&](const std::string& bytes, const std::string& what) {
    put(scratch / "bad", bytes);
    check_error([&] { import_all("idx", from({scratch / "bad"})); }, Exit::kBadInput, scratch / "bad", what);
  };
  bad(kIdxLabels, "not an IDX file of images");
  bad(u32(0x803) + u32(0xffffffff) + u32(0xffffffff) + u32(0xffffffff), "is truncated");
  bad(gzip(u32(0x803) + u32(0xffffffff) + u32(28) + u32(28)), "is truncated");
  bad(u32(0x803) + u32(0) + u32(28) + u32(28), "has no items");
  bad(kIdxImages + "x", "bytes after its last image");
  put(scratch / "few-images-idx3-ubyte", kIdxImages);
  put(scratch / "few-labels-idx1-ubyte", u32(0x801) + u32(2) + "\x01\x02");
  check_error([&] { import_all("idx", from({scratch / "few-images-idx3-ubyte"})); }, Exit::kBadInput, "few-labels",
              "2 labels for 5 images");
}

TEST_CASE("cifar: batches and folders in order, with class names") {
  const Scratch scratch;
  std::string one, two;
  for (int i = 0; i < 3; ++i) one += static_cast<char>(i) + ramp(3072, i);
  two = static_cast<char>(9) + ramp(3072, 50);
  put(scratch / "c/data_batch_2.bin", two);
  put(scratch / "c/data_batch_1.bin", one);
  put(scratch / "c/test_batch.bin", two);
  put(scratch / "c/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const Imported all = import_all("auto", from({scratch / "c"}));
  CHECK(all.space.text() == "image [3,32,32]");
  CHECK(all.labels == std::vector<int64_t>{0, 1, 2, 9});
  CHECK(all.names.size() == 10);
  CHECK(all.items == ramp(3072, 0) + ramp(3072, 1) + ramp(3072, 2) + ramp(3072, 50));
  CHECK(import_all("auto", from({scratch / "c/test_batch.bin"})).labels == std::vector<int64_t>{9});
  put(scratch / "bad.bin", two.substr(1) + "x");
  check_error([&] { import_all("cifar", from({scratch / "bad.bin"})); }, Exit::kBadInput, "bad.bin",
              "is not CIFAR-10: label");
  put(scratch / "cut.bin", one);
  const std::string bytes = read_file(scratch / "cut.bin");
  for (size_t size = 0; size < bytes.size(); size += 1) {
    if (size > 0 && size % 3073 == 0) continue;  // whole records: nothing to notice
    put(scratch / "cut.bin", bytes.substr(0, size));
    Exit exit = Exit::kDone;
    const std::string message = test::error_of([&] { import_all("cifar", from({scratch / "cut.bin"})); }, &exit);
    REQUIRE(exit == Exit::kBadInput);
    REQUIRE(test::contains(message, "cut.bin"));
  }
}

TEST_CASE("folder: classes by sub-folder, by CSV, and none") {
  const Scratch scratch;
  const auto image = [&](const std::string& name, int first, int64_t channels = 1) {
    const std::string pixels = ramp(static_cast<size_t>(channels) * 12, first);
    put(scratch / name, encode_png(reinterpret_cast<const uint8_t*>(pixels.data()), channels, 3, 4));
    return pixels;
  };
  const std::string dog1 = image("d/dog/1.png", 1), dog2 = image("d/dog/sub/2.PNG", 2), cat = image("d/cat/z.png", 3);
  put(scratch / "d/notes.txt", "not an image");
  put(scratch / "d/cat/.hidden.png", "not looked at");
  const Imported all = import_all("auto", from({scratch / "d"}));
  CHECK(all.space.text() == "image [1,3,4]");
  CHECK(all.names == std::vector<std::string>{"cat", "dog"});
  CHECK(all.labels == std::vector<int64_t>{0, 1, 1});
  CHECK(all.items == cat + dog1 + dog2);

  ImportOptions options = from({scratch / "d"});
  options.labels = scratch / "l.csv";
  put(options.labels, "file,label\r\ndog/1.png,7\n\"cat/z.png\",0\n");
  Imported chosen = import_all("folder", options);
  CHECK(chosen.labels == std::vector<int64_t>{7, 0});
  CHECK(chosen.items == dog1 + cat);
  put(options.labels, "dog/1.png,good\ncat/z.png,\"very \"\"bad\"\"\"\n");
  chosen = import_all("folder", options);
  CHECK(chosen.labels == std::vector<int64_t>{0, 1});
  CHECK(chosen.names == std::vector<std::string>{"good", "very \"bad\""});
  const auto bad_csv = [&](const std::string& text, const std::string& what) {
    put(options.labels, text);
    check_error([&] { import_all("folder", options); }, Exit::kBadInput, "", what);
  };
  bad_csv("dog/1.png\n", "line 1 has 1 fields");
  bad_csv("dog/1.png,1\n../d/cat/z.png,1\n", "line 2 leaves the folder");
  bad_csv("dog/1.png,1\n/etc/x.png,1\n", "line 2 leaves the folder");
  bad_csv("dog/1.png,1\ndog/3.png,1\n", "line 2 names a missing image");
  bad_csv("dog/1.png,1\ndog/./1.png,1\n", "again");
  bad_csv("\"dog/1.png,1\n", "open quote");
  bad_csv("", "has no PNG or JPEG images");

  image("d/loose.png", 4);
  check_error([&] { import_all("folder", from({scratch / "d"})); }, Exit::kBadInput, scratch / "d",
              "1 images beside its class folders");
  options.labels = "none";
  CHECK(import_all("folder", options).labels.empty());
  image("d/zz.png", 5, 3);
  check_error([&] { import_all("folder", options); }, Exit::kBadInput, "zz.png", "has colour");
  options.channels = "rgb";
  CHECK(import_all("folder", options).space.text() == "image [3,3,4]");
  options.channels = "grey";
  CHECK(import_all("folder", options).space.text() == "image [1,3,4]");
  const std::string tall = ramp(20);
  put(scratch / "d/tall.png", encode_png(reinterpret_cast<const uint8_t*>(tall.data()), 1, 5, 4));
  check_error([&] { import_all("folder", options); }, Exit::kBadInput, "tall.png",
              "is 5x4, the first image is 3x4: give --size 3x4");
  for (const char* size : {"3x4x5", "0x3", "9999", "x", "3xa"}) {
    options.size = size;
    check_error([&] { make_importer("folder", options); }, Exit::kUsage, "--size", size);
  }
  options.size = "6x2";
  CHECK(import_all("folder", options).space.text() == "image [1,6,2]");
  put(scratch / "d/aa.png", "not a picture");
  check_error([&] { import_all("folder", options); }, Exit::kBadInput, "aa.png", "is neither PNG nor JPEG");
  std::filesystem::create_directories(scratch / "empty");
  check_error([&] { import_all("folder", from({scratch / "empty"})); }, Exit::kBadInput, "empty",
              "has no PNG or JPEG images");
}

TEST_CASE("folder: disjoint tiles, row by row") {
  const Scratch scratch;
  const auto image = [&](const std::string& name, int first, int64_t height, int64_t width) {
    const std::string pixels = ramp(static_cast<size_t>(3 * height * width), first);
    put(scratch / name, encode_png(reinterpret_cast<const uint8_t*>(pixels.data()), 3, height, width));
    return pixels;
  };
  /// The 2x2 tile at (top, left) of a planar image of three channels.
  const auto tile = [](const std::string& pixels, int64_t height, int64_t width, int64_t top, int64_t left) {
    std::string out;
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t y = top; y < top + 2; ++y) out += pixels.substr(static_cast<size_t>((c * height + y) * width + left), 2);
    }
    return out;
  };
  const std::string cat = image("d/cat/a.png", 1, 5, 7), dog = image("d/dog/c.png", 3, 2, 4);
  image("d/dog/b.png", 2, 1, 9);  // holds no tile
  ImportOptions options = from({scratch / "d"});
  options.tile = 2;
  std::string wanted;  // rows and columns that are left over are in no tile
  for (const int64_t top : {0, 2}) {
    for (const int64_t left : {0, 2, 4}) wanted += tile(cat, 5, 7, top, left);
  }
  for (const int64_t left : {0, 2}) wanted += tile(dog, 2, 4, 0, left);
  for (const int64_t batch : {1, 4, 100}) {  // within an image and across images
    const Imported all = import_all("auto", options, batch);
    CHECK(all.space.text() == "image [3,2,2]");
    CHECK(all.items == wanted);
    CHECK(all.labels == std::vector<int64_t>{0, 0, 0, 0, 0, 0, 1, 1});
    CHECK(all.names == std::vector<std::string>{"cat", "dog"});
  }
  const auto importer = make_importer("folder", options);
  CHECK(importer->count() == 8);
  CHECK(importer->tally() == std::map<std::string, int64_t>{{"images_cut", 2}, {"images_too_small", 1}});
  CHECK(importer->files().size() == 3);
  options.labels = scratch / "l.csv";
  put(options.labels, "dog/c.png,5\ncat/a.png,7\n");
  CHECK(import_all("folder", options).labels == std::vector<int64_t>{5, 5, 7, 7, 7, 7, 7, 7});
  options.tile = 6;
  check_error([&] { make_importer("folder", options); }, Exit::kBadInput, scratch / "d",
              "has no image that holds a tile of 6x6: none is taller than 5 or wider than 7 pixels");
  options.tile = 2;
  options.shrink = 3;
  check_error([&] { make_importer("folder", options); }, Exit::kBadInput, scratch / "d", "2x2 after --shrink 3");
  options.shrink = 1;
  options.size = "2x2";
  check_error([&] { make_importer("folder", options); }, Exit::kUsage, "--tile", "does not go with --size");
  put(scratch / "x.npy", npy_bytes("|u1", {6, 4, 5}, ramp(120).data(), 120));
  options = from({scratch / "x.npy"});
  options.tile = 2;
  check_error([&] { make_importer("auto", options); }, Exit::kUsage, "--tile", "has no meaning for the importer npy");
}

TEST_CASE("folder: shrinking by blocks, then tiles") {
  const Scratch scratch;
  const std::string pixels{0, 1, 10, 20, 9, 1, 1, 30, 41, 9, 100, 100, 0, 7, 9, 100, 101, 0, 0, 9, 9, 9, 9, 9, 9};  // 5x5
  put(scratch / "d/a.png", encode_png(reinterpret_cast<const uint8_t*>(pixels.data()), 1, 5, 5));
  ImportOptions options = from({scratch / "d"});
  options.shrink = 2;
  Imported all = import_all("folder", options);  // means 3/4, 101/4, 401/4, 7/4, of 2x2 blocks; the fifth row and column are dropped
  CHECK(all.space.text() == "image [1,2,2]");
  CHECK(all.items == std::string{1, 25, 100, 2});
  CHECK(make_importer("folder", options)->tally().empty());
  options.tile = 1;
  all = import_all("folder", options);
  CHECK(all.space.text() == "image [1,1,1]");
  CHECK(all.items == std::string{1, 25, 100, 2});
  options.tile = 0;
  put(scratch / "d/b.png", encode_png(reinterpret_cast<const uint8_t*>(pixels.data()), 1, 3, 8));
  check_error([&] { import_all("folder", options); }, Exit::kBadInput, "b.png",
              "is 1x4, the first image is 2x2, shrunk: give --size 2x2 to scale and crop in place of --shrink");
  options.size = "2x2";
  check_error([&] { make_importer("folder", options); }, Exit::kUsage, "--shrink", "does not go with --size");
  options.size = "";
  options.shrink = 6;
  check_error([&] { make_importer("folder", options); }, Exit::kBadInput, "a.png", "is 5x5, less than one block of --shrink 6");
  // halves are rounded up, the planes kept apart
  const std::string planes{1, 2, 3, 4, -1, -2, 0, 0, 7, 7, 0, 1};  // -1 is 255
  put(scratch / "e/a.png", encode_png(reinterpret_cast<const uint8_t*>(planes.data()), 3, 2, 2));
  options = from({scratch / "e"});
  options.shrink = 2;
  CHECK(import_all("folder", options).items == std::string{3, 127, 4});
}

TEST_CASE("folder: PNG and JPEG cut at every byte") {
  const Scratch scratch;
  for (const char* name : {"grey.png", "rgb.png", "palette.png", "grey.jpg", "progressive.jpg"}) {
    const std::string path = scratch / ("f/" + std::string(name));
    put(path, read_file(test::data_file(name)));
    check_every_cut(path, [&] { import_all("folder", from({scratch / "f"})); });
    std::filesystem::remove(path);
  }
}

TEST_CASE("npy: image layouts, vectors, labels, archives") {
  const Scratch scratch;
  const std::string pixels = ramp(2 * 3 * 4 * 5);
  const auto array = [&](const std::string& descr, const std::vector<int64_t>& shape, const std::string& bytes) {
    put(scratch / "a.npy", npy_bytes(descr, shape, bytes.data(), bytes.size()));
    return import_all("auto", from({scratch / "a.npy"}), 1);
  };
  CHECK(array("|u1", {6, 4, 5}, pixels).space.text() == "image [1,4,5]");
  CHECK(array("|u1", {2, 3, 4, 5}, pixels).items == pixels);
  CHECK(array("|u1", {2, 4, 5, 3}, pixels).space.text() == "image [3,4,5]");
  const std::string planar = array("|u1", {2, 4, 5, 3}, pixels).items;
  CHECK(planar[0] == pixels[0]);
  CHECK(planar[1] == pixels[3]);
  CHECK(planar[20] == pixels[1]);
  CHECK(planar[60 + 41] == pixels[60 + 5]);
  const std::vector<double> numbers{1, 2.5, -3, 4e10};
  const std::string doubles(reinterpret_cast<const char*>(numbers.data()), 32);
  const Imported vectors = array("<f8", {2, 2}, doubles);
  CHECK(vectors.space.text() == "vector [2]");
  float second = 0;
  std::memcpy(&second, vectors.items.data() + 4, 4);
  CHECK(second == 2.5F);

  const int64_t labels[2] = {4, -1};
  const std::string label_bytes = npy_bytes("<i8", {2}, labels, sizeof labels);
  write_npz(scratch / "b.npz", {{"x", npy_bytes("<f8", {2, 2}, doubles.data(), 32)}, {"labels", label_bytes}}, true);
  CHECK(import_all("auto", from({scratch / "b.npz"}), 1).labels == std::vector<int64_t>{4, -1});
  put(scratch / "l.npy", label_bytes);
  ImportOptions options = from({scratch / "a.npy"});
  options.labels = scratch / "l.npy";
  CHECK(import_all("npy", options).labels == std::vector<int64_t>{4, -1});
  options.array = "x";
  check_error([&] { make_importer("npy", options); }, Exit::kUsage, "--array", "no meaning");
  options = from({scratch / "b.npz"});
  options.label_array = "y";
  check_error([&] { make_importer("npy", options); }, Exit::kBadInput, "b.npz", "has no array 'y': it has: x, labels");
  write_npz(scratch / "c.npz",
            {{"p", npy_bytes("<f8", {2, 2}, doubles.data(), 32)}, {"q", npy_bytes("<f8", {4, 1}, doubles.data(), 32)}});
  check_error([&] { make_importer("npy", from({scratch / "c.npz"})); }, Exit::kBadInput, "c.npz",
              "choose with --array");
  options = from({scratch / "c.npz"});
  options.array = "q";
  CHECK(import_all("npy", options).space.text() == "vector [1]");

  const auto bad = [&](const std::string& descr, const std::vector<int64_t>& shape, const std::string& bytes, Exit exit,
                       const char* what) { check_error([&] { array(descr, shape, bytes); }, exit, "a.npy", what); };
  bad("|u1", {2, 60}, pixels, Exit::kBadInput, "is uint8 [2,60]");
  bad("|u1", {2, 5, 4, 3, 1}, pixels, Exit::kBadInput, "vectors are float32 [N,D]");
  bad("|u1", {3, 4, 5}, pixels, Exit::kBadInput, "bytes after the array");
  bad("|u1", {7, 4, 5}, pixels, Exit::kBadInput, "is truncated");
  bad("|u1", {0, 4, 5}, "", Exit::kBadInput, "is empty");
  bad("<f8", {1, 2}, std::string("\0\0\0\0\0\0\xf0\x7f", 8) + doubles.substr(0, 8), Exit::kBadNumbers,
      "item 0, element 0 is not finite");
  check_error([&] { make_importer("npy", from({test::data_file("big_endian_fortran.npy")})); }, Exit::kBadInput,
              "fortran", "Fortran order");
}

TEST_CASE("npy: arrays and archives cut at every byte") {
  const Scratch scratch;
  const std::string pixels = ramp(24);
  put(scratch / "a.npy", npy_bytes("|u1", {2, 3, 4}, pixels.data(), 24));
  check_every_cut(scratch / "a.npy", [&] { import_all("npy", from({scratch / "a.npy"})); });
  for (const bool deflated : {false, true}) {
    write_npz(scratch / "b.npz", {{"x", npy_bytes("|u1", {2, 3, 4}, pixels.data(), 24)}}, deflated);
    check_every_cut(scratch / "b.npz", [&] { import_all("npy", from({scratch / "b.npz"})); });
  }
}

}  // namespace plumb::io
