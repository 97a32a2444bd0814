// NPY/NPZ, pictures, JPEG sizes, safetensors and logs, against files of the programs that users have.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/philox.h"
#include "io/half.h"
#include "io/image_file.h"
#include "io/importer.h"
#include "io/jpeg.h"
#include "io/json_log.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "io/zip.h"
#include "unit/io/scratch.h"

namespace plumb::io {
using Json = nlohmann::ordered_json;
using test::check_error;
using test::check_every_cut;
using test::data_file;
using test::put;
using test::Scratch;

namespace {

/// The generator of data/make_data.py.
std::vector<uint8_t> noise(int64_t count, uint32_t state) {
  std::vector<uint8_t> out(static_cast<size_t>(count));
  for (uint8_t& byte : out) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return out;
}

/// Reads of randomly damaged copies of a file: Error or success, nothing else.
template <typename Action>
void check_damage(const std::string& source, const std::string& path, int rounds, const Action& action) {
  const std::string bytes = read_file(source);
  for (int round = 0; round < rounds; ++round) {
    Philox random(1, Stream::kSubset, static_cast<uint64_t>(round));
    std::string damaged = bytes;
    for (uint64_t n = 1 + random.below(3); n-- > 0;)
      damaged[random.below(damaged.size())] = static_cast<char>(random.next());
    put(path, damaged);
    INFO(path << " round " << round);
    CHECK_NOTHROW(test::error_of(action));
  }
}

}  // namespace

TEST_CASE("npz: NumPy's statistics files are read, ours have the same numbers and stable bytes") {
  const Scratch scratch;
  for (const std::string& path : {data_file("stats.npz"), data_file("stats_compressed.npz"), scratch / "ours.npz"}) {
    if (path == scratch / "ours.npz") {
      write_npz(path, {{"mu", npy_bytes({2}, {1, -2.5})}, {"sigma", npy_bytes({2, 2}, {2, .5, .5, 3})}});
    }
    CHECK(npz_names(path) == std::vector<std::string>{"mu", "sigma"});
    CHECK(read_npz(path, "mu").as_f64() == std::vector<double>{1, -2.5});
    CHECK(read_npz(path, "sigma").header.text() == "float64 [2,2]");
    CHECK(read_npz(path, "sigma").as_f64() == std::vector<double>{2, .5, .5, 3});
    check_error([&] { read_npz(path, "cov"); }, Exit::kBadInput, path, "has no array 'cov': it has: mu, sigma");
  }
  const std::string first = read_file(scratch / "ours.npz");
  write_npz(scratch / "ours.npz", {{"mu", npy_bytes({2}, {1, -2.5})}, {"sigma", npy_bytes({2, 2}, {2, .5, .5, 3})}});
  CHECK(read_file(scratch / "ours.npz") == first);
  const ZipReader zip(data_file("stats.npz"));  // our NPY member equals NumPy's to the byte
  std::string theirs(zip.find("sigma.npy")->size, '\0');
  zip.open(*zip.find("sigma.npy"))->read_exact(theirs.data(), theirs.size(), "sigma");
  CHECK(theirs == npy_bytes({2, 2}, {2, .5, .5, 3}));
}

TEST_CASE("npy: byte order, Fortran order, half precision; objects refused") {
  const NpyArray turned = read_npy_file(data_file("big_endian_fortran.npy"));
  CHECK(turned.as_i64() == std::vector<int64_t>{0, 1, 2, 3, 4, 5});
  CHECK(turned.header.shape == std::vector<int64_t>{2, 3});
  const std::vector<double> half = read_npy_file(data_file("half.npy")).as_f64();
  CHECK(half[0] == 1.5);
  CHECK(std::signbit(half[1]));
  CHECK(half[2] == 0x1p-24);
  CHECK(std::isinf(half[3]));
  CHECK(half[4] == 65504);
  CHECK(float_from_bf16(0xc020) == -2.5F);
  check_error([] { read_npy_file(data_file("object.npy")); }, Exit::kBadInput, "object.npy",
              "records or objects");
  const Scratch scratch;
  const auto bad = [&](const std::string& header, const std::string& what) {
    const std::string size{static_cast<char>(header.size()), 0};
    put(scratch / "h.npy", std::string("\x93NUMPY\x01\x00", 8) + size + header + std::string(64, 'x'));
    check_error([&] { read_npy_file(scratch / "h.npy"); }, Exit::kBadInput, "h.npy", what);
  };
  bad("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999), }", "too large");
  bad("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 9), }", "is truncated");
  bad("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 9), }", "shape");
  bad("{'descr': '<f4', 'fortran_order': maybe, 'shape': (1,), }", "no fortran_order");
  bad("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "records or objects");
  bad("{'fortran_order': False, 'shape': (1,), }", "no descr");
  bad("", "no descr");
}

TEST_CASE("npy, npz: damage ends in an error") {
  const Scratch scratch;
  check_damage(data_file("stats.npz"), scratch / "d.npz", 500, [&] { read_npz(scratch / "d.npz", "sigma"); });
  check_damage(data_file("stats_compressed.npz"), scratch / "d.npz", 500,
               [&] { read_npz(scratch / "d.npz", "sigma"); });
  check_damage(data_file("big_endian_fortran.npy"), scratch / "d.npy", 500, [&] { read_npy_file(scratch / "d.npy"); });
}

TEST_CASE("images: PNG kinds of Pillow decode to what it wrote") {
  const std::vector<uint8_t> rgb = noise(105, 1);  // [5,7,3]
  const Image colour = read_image(data_file("rgb.png")), grey = read_image(data_file("grey.png"));
  CHECK(colour.channels == 3);
  CHECK(colour.height == 5);
  CHECK(colour.width == 7);
  for (size_t i = 0; i < 35; ++i) {
    for (size_t c = 0; c < 3; ++c) REQUIRE(colour.pixels[c * 35 + i] == rgb[i * 3 + c]);
    REQUIRE(grey.pixels[i] == rgb[i * 3]);
  }
  CHECK(read_image(data_file("rgba.png")).pixels == colour.pixels);  // alpha dropped
  CHECK(read_image(data_file("palette.png")).channels == 3);
  const Image deep = read_image(data_file("grey16.png"));
  for (size_t i = 0; i < 35; ++i) REQUIRE(deep.pixels[i] == (i * 1872) >> 8);
  CHECK(read_image(data_file("grey.png"), 3).pixels.size() == 105);
  const Image header = read_image_header(data_file("rgb.jpg"));
  CHECK(header.channels == 3);
  CHECK(header.height == 24);
  CHECK(header.pixels.empty());
  const Image smooth = read_image(data_file("grey.jpg"));
  for (int64_t y = 0; y < 24; ++y) {
    for (int64_t x = 0; x < 32; ++x)
      REQUIRE(std::abs(smooth.pixels[static_cast<size_t>(y * 32 + x)] - (y * 5 + x * 4)) <= 3);
  }
}

TEST_CASE("images: our PNG comes back pixel by pixel, the same bytes each time; damage ends in an error") {
  const Scratch scratch;
  for (const auto& [c, h, w] : {std::array<int64_t, 3>{1, 1, 1}, {1, 28, 28}, {3, 5, 64}, {3, 33, 1}}) {
    const std::vector<uint8_t> pixels = noise(c * h * w, 5);
    const std::string png = encode_png(pixels.data(), c, h, w);
    CHECK(png == encode_png(pixels.data(), c, h, w));
    CHECK(decode_image(png, "p").pixels == pixels);
    CHECK(decode_image(png, "p").channels == c);
  }
  check_error([] { encode_png(nullptr, 2, 4, 4); }, Exit::kFailed, "PNG", "[2,4,4]");
  for (const char* name : {"rgb.png", "palette.png", "rgb.jpg", "progressive.jpg"}) {
    check_damage(data_file(name), scratch / name, 300, [&] { read_image(scratch / name); });
  }
  std::string flipped = read_file(data_file("rgb.png"));
  flipped[60] = static_cast<char>(flipped[60] ^ 1);
  check_error([&] { decode_image(flipped, "p.png"); }, Exit::kBadInput, "p.png", "wrong checksum");
  std::string bomb = read_file(data_file("grey.png"));
  bomb[16] = bomb[20] = 0x0f;  // 250 million on a side
  check_error([&] { decode_image(bomb, "p.png"); }, Exit::kBadInput, "p.png", "");
}

TEST_CASE("images: resizing keeps means and flat colours, and crops the centre") {
  Image flat{3, 11, 17, std::vector<uint8_t>(3 * 11 * 17, 77)};
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{5, 5}, {30, 8}, {11, 17}}) {
    const Image out = resize_and_crop(flat, h, w);
    CHECK(out.pixels == std::vector<uint8_t>(static_cast<size_t>(3 * h * w), 77));
  }
  const Image two{1, 2, 4, {0, 100, 200, 50, 20, 80, 100, 250}};
  CHECK(resize_and_crop(two, 1, 1).pixels == std::vector<uint8_t>{120});      // mean of the centre 2x2: 100 200 80 100
  CHECK(resize_and_crop(two, 1, 2).pixels == std::vector<uint8_t>{50, 150});  // means of the halves
  CHECK(resize_and_crop(two, 2, 2).pixels == std::vector<uint8_t>{100, 200, 80, 100});
  const Image line{1, 1, 2, {0, 100}};
  CHECK(resize_and_crop(line, 2, 4).pixels ==
        std::vector<uint8_t>{0, 25, 75, 100, 0, 25, 75, 100});  // bilinear, edges held
}

TEST_CASE("jpeg: byte counts equal Pillow's") {
  const Json reference = Json::parse(read_file(data_file("jpeg_sizes.json")));
  JpegSizer sizer;
  for (const Json& row : reference["noise [C, H, W, quality, seed, bytes]"]) {
    const int64_t c = row[0], h = row[1], w = row[2];
    INFO(row.dump());
    CHECK(sizer.size(noise(c * h * w, row[4]).data(), c, h, w, row[3]) == row[5].get<int64_t>());
  }
  const std::string fashion = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz";
  if (!std::filesystem::exists(fashion)) {
    MESSAGE("Fashion-MNIST (Debian dataset-fashion-mnist) is not here: its 1000 sizes are not compared");
    return;
  }
  ImportOptions options;
  options.paths = {fashion};
  std::vector<uint8_t> items;
  std::vector<int64_t> labels;
  REQUIRE(make_importer("idx", options)->next(1000, items, labels) == 1000);
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < 1000; ++i) sizes.push_back(sizer.size(items.data() + i * 784, 1, 28, 28));
  CHECK(sizes == reference["fashion-mnist t10k, first 1000, quality 95"].get<std::vector<int64_t>>());
}

TEST_CASE("jpeg: encoded bytes decode; bad arguments are errors") {
  JpegSizer first;
  JpegSizer sizer(std::move(first));
  std::vector<uint8_t> pixels(3 * 40 * 50);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i % 2000 / 50 * 5 + i / 2000 * 10);
  const Image back = decode_image(sizer.encode(pixels.data(), 3, 40, 50), "j");
  CHECK(back.width == 50);
  for (size_t i = 0; i < pixels.size(); ++i) REQUIRE(std::abs(back.pixels[i] - pixels[i]) <= 6);
  check_error([&] { sizer.size(pixels.data(), 2, 4, 4); }, Exit::kBadInput, "JPEG", "1 or 3 channels");
  check_error([&] { sizer.size(pixels.data(), 1, 0, 4); }, Exit::kBadInput, "JPEG", "0x4");
  check_error([&] { sizer.size(pixels.data(), 1, 70000, 4); }, Exit::kBadInput, "JPEG", "70000x4");
  check_error([&] { sizer.size(pixels.data(), 1, 4, 4, 101); }, Exit::kUsage, "JPEG", "1 to 100");
}

TEST_CASE("safetensors: the reference package's file is read; ours has equal bytes") {
  const Scratch scratch;
  const std::string theirs = data_file("tensors.safetensors");
  const SafetensorsReader file(theirs);
  CHECK(file.tensors().size() == 4);
  CHECK(file.metadata().at("who") == "us");
  CHECK(file.tensor("a").shape == std::vector<int64_t>{1, 2});
  CHECK(file.read_f32("a") == std::vector<float>{1.5, -2});
  CHECK(file.read_f32("h") == std::vector<float>{0.25});
  CHECK(file.tensor("h").shape.empty());
  CHECK(file.tensor("u").bytes == 3);
  check_error([&] { file.read_f32("b"); }, Exit::kBadInput, theirs, "is I64, a float type");
  check_error([&] { file.tensor("aa"); }, Exit::kBadInput, theirs, "did you mean 'a'?");
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, view] : file.tensors())
    tensors.push_back({name, view.dtype, view.shape, view.data, view.bytes});
  std::reverse(tensors.begin(), tensors.end());
  write_safetensors(scratch / "ours.safetensors", tensors, file.metadata());
  CHECK(read_file(scratch / "ours.safetensors") == read_file(theirs));
  tensors[0].bytes += 1;
  check_error([&] { write_safetensors(scratch / "x", tensors); }, Exit::kFailed, "x", "cannot be written");
  CHECK(scratch.entries() == 1);
}

TEST_CASE("safetensors: cuts, damage and hostile headers") {
  const Scratch scratch;
  const std::string path = scratch / "t.safetensors";
  put(path, read_file(data_file("tensors.safetensors")));
  check_every_cut(path, [&] { SafetensorsReader file(path); });
  check_damage(data_file("tensors.safetensors"), path, 1000, [&] {
    const SafetensorsReader file(path);
    for (const auto& [name, view] : file.tensors()) test::error_of([&, key = name] { file.read_f32(key); });
  });
  const auto bad = [&](const std::string& header, size_t data, const std::string& what) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 255);
    put(path, bytes + header + std::string(data, '\0'));
    check_error([&] { SafetensorsReader file(path); }, Exit::kBadInput, path, what);
  };
  bad(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
      6, "overlap");
  bad(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "holes");
  bad(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "1 bytes that belong to no tensor");
  bad(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "is truncated or damaged");
  bad(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "takes 4 bytes");
  bad(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}})", 4, "bad shape");
  bad(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "bad shape");
  bad(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4, "unknown dtype F33");
  bad(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "truncated or damaged");
  bad(R"({"a":{"dtype":"F32","shape":[1]}})", 4, "lacks");
  bad(R"({"a":7})", 0, "lacks");
  bad(std::string(R"({"a":)") + std::string(100000, '[') + std::string(100000, ']') + "}", 0,
      "is not a safetensors file");
  bad(R"({"__metadata__":{"a":1}})", 0, "not text");
  put(path, std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + "{}");
  check_error([&] { SafetensorsReader file(path); }, Exit::kBadInput, path, "is not a safetensors file");
  put(path, "");
  check_error([&] { SafetensorsReader file(path); }, Exit::kBadInput, path, "is empty");
}

TEST_CASE("jsonl: lines in order, torn ends cut, later steps dropped") {
  const Scratch scratch;
  const std::string path = scratch / "log.jsonl";
  {
    JsonlLog log(path);
    for (int step = 1; step <= 3; ++step) log.write(Json{{"step", step}, {"loss", 0.5 * step}});
    log.write(Json{{"event", "done"}});
    check_error([&] { log.write(Json{{"loss", std::nan("")}}); }, Exit::kBadNumbers, "loss", "is not finite");
    check_error([&] { log.write(Json{{"all", {1.0, HUGE_VAL}}}); }, Exit::kBadNumbers, "all", "is not finite");
  }
  const std::string whole = read_file(path);
  CHECK(read_jsonl(path).size() == 4);
  put(path, whole + "{\"step\":4,\"lo");
  CHECK(read_jsonl(path).size() == 4);
  JsonlLog(path).write(Json{{"step", 4}});
  CHECK(read_file(path) == whole + "{\"step\":4}\n");
  put(path, whole + "{\"step\":4}");  // whole, only its newline is missing
  JsonlLog(path).write(Json{{"step", 5}});
  CHECK(read_file(path) == whole + "{\"step\":4}\n{\"step\":5}\n");
  CHECK(truncate_after(path, 2) == 4);
  CHECK(read_file(path) == whole.substr(0, whole.find("{\"step\":3")));
  CHECK(truncate_after(scratch / "absent", 2) == 0);
  const std::string rounds = "{\"step\":0,\"epoch\":0}\n{\"step\":0,\"epoch\":1}\n";  // the second changed nothing: the same step
  put(path, rounds + "{\"event\":\"start\",\"step\":0}\n{\"step\":0,\"epoch\":2}\n{\"step\":1,\"epoch\":1}\n");
  CHECK(truncate_after(path, 0, 1) == 3);
  CHECK(read_file(path) == rounds);
  put(path, "{\"step\":1}\nnot json\n{\"step\":2}\n");
  check_error([&] { read_jsonl(path); }, Exit::kBadInput, path, "line 2");
  check_error([&] { read_jsonl(scratch / "absent"); }, Exit::kBadInput, "absent", "No such file");
  put(path, std::string(10000, '{'));  // one torn line longer than a block
  JsonlLog(path).write(Json{{"step", 1}});
  CHECK(read_file(path) == "{\"step\":1}\n");
  for (const char* ours : {"", "\n", "{", "{\"event\":\"st", "{\"event\":\"start\",\"step\":0,\"to", "{\"event\":\"start\",\"step\":0,\"tool\":\"x\"}", "{\"event\":\"start\",\"step\":3,\"tool\":\"x\"}\n{\"st"}) {
    put(path, ours);
    CHECK_MESSAGE(is_log(path), ours);
  }
  for (const char* other : {"note", "{\"x\":", "{\"step\":1}\n", "{\"kind\":\"session\"}\n", "[1]\n", "{\"event\":\"start\",\n"}) {
    put(path, other);
    CHECK_MESSAGE(!is_log(path), other);
  }
  CHECK(is_log(scratch / "absent"));
  CHECK(is_log("/dev/null"));
  JsonlLog("").write(Json{{"step", 1}});
  check_error([&] { JsonlLog log(scratch / "no/folder"); }, Exit::kFailed, "no/folder", "No such file");
}

}  // namespace plumb::io
