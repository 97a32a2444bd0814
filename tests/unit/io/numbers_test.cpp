// Tables of numbers as vectors, in and out.   SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "core/text.h"
#include "unit/io/imported.h"
#include "unit/io/scratch.h"

namespace plumb::io {
using test::check_error;
using test::from;
using test::gzip;
using test::Scratch;

namespace {

struct Vectors {
  std::vector<float> items, values;
  std::vector<int64_t> shape;
};

Vectors read(const ImportOptions& options, const std::string& format = "auto", int64_t batch = 2) {
  const auto importer = make_importer(format, options);
  Vectors all{{}, {}, importer->space().shape};
  std::vector<uint8_t> bytes;
  std::vector<int64_t> labels;
  while (importer->next(batch, bytes, labels) > 0) {
    std::vector<float> part(bytes.size() / sizeof(float));
    std::memcpy(part.data(), bytes.data(), bytes.size());
    all.items.insert(all.items.end(), part.begin(), part.end());
    all.values.insert(all.values.end(), importer->values().begin(), importer->values().end());
  }
  return all;
}

std::string put(const std::string& path, const std::string& bytes) {
  test::put(path, bytes);
  return path;
}

}  // namespace

TEST_CASE("numbers: rows are vectors, with or without headings, any separator, any batch, gzipped too") {
  const Scratch scratch;
  const std::vector<float> wanted{1, 2.5F, -3e-2F, 4, 5, 6};
  for (const std::string text : {"1,2.5,-0.03\n4,5,6\n", "a,b,c\r\n1,2.5,-0.03\r\n\r\n4,5,6", "1\t2.5\t-3e-2\n4\t5\t6\n", "\"x\";y;z\n1 ;2.5; -.03\n4;5;6\n"}) {
    CAPTURE(text);
    const std::string path = put(scratch / "v.csv", text);
    for (const int64_t batch : {1, 2, 100}) {
      const Vectors got = read(from({path}), "auto", batch);
      CHECK(got.items == wanted);
      CHECK(got.shape == std::vector<int64_t>{3});
    }
    CHECK(read(from({put(scratch / "v.csv.gz", gzip(text))})).items == wanted);
  }
  ImportOptions options = from({put(scratch / "v.csv", "x,y,r\n1,2,9\n3,4,8\n")});
  for (const std::string column : {"r", "3"}) {
    options.value_column = column;
    const Vectors got = read(options);
    CHECK(got.items == std::vector<float>{1, 2, 3, 4});
    CHECK(got.values == std::vector<float>{9, 8});
    CHECK(got.shape == std::vector<int64_t>{2});
  }
  CHECK(read(from({put(scratch / "one", "7\n8\n")}), "numbers").items == std::vector<float>{7, 8});
}

TEST_CASE("numbers: a first row is an item if all of it is numbers, headings if nothing of it is, else to be told") {
  const Scratch scratch;
  const auto put_first = [&](const std::string& row) { return put(scratch / "v.csv", row + "\n3,4\n5,6\n"); };
  const std::string mark = "\xEF\xBB\xBF";
  for (const std::string& row : std::vector<std::string>{"1,2", "+1,2", mark + "1,2", mark + "\"1\",+2.0"}) {
    CAPTURE(row);
    CHECK(read(from({put_first(row)})).items == std::vector<float>{1, 2, 3, 4, 5, 6});
  }
  for (const std::string& row : std::vector<std::string>{"a,b", mark + "a,b", ",b", "+-1,b"}) {
    CAPTURE(row);
    CHECK(read(from({put_first(row)})).items == std::vector<float>{3, 4, 5, 6});
  }
  for (const std::string row : {"1.0,nan", "1,", "1e39,2", "nan,inf", "a,1", "1,1e-400"}) {
    CAPTURE(row);
    ImportOptions options = from({put_first(row)});
    check_error([&] { read(options); }, Exit::kBadInput, "v.csv", "line 1 is neither headings nor numbers throughout");
    options.header = "yes";
    CHECK(read(options).items == std::vector<float>{3, 4, 5, 6});
    options.header = "no";
    check_error([&] { read(options); }, Exit::kBadInput, "v.csv", "line 1: '");
  }
  ImportOptions options = from({put_first(mark + "r,1")});   // a heading that is named is one
  options.value_column = "r";
  CHECK(read(options).values == std::vector<float>{3, 5});
}

TEST_CASE("numbers: what is no table of numbers is named by its line") {
  const Scratch scratch;
  const auto refused = [&](const std::string& text, const std::string& what, const std::string& column = "") {
    ImportOptions options = from({put(scratch / "v.csv", text)});
    options.value_column = column;
    check_error([&] { read(options, "numbers"); }, Exit::kBadInput, "v.csv", what);
  };
  refused("1,2\n3\n", "line 2 has 1 fields, the first row 2");
  refused("1,2\n3,x\n", "line 2: 'x' is not a number");
  refused("1,2\n\n3,inf\n", "line 3: 'inf' is not a number");
  refused("\n\n", "holds no row");
  refused("a,b\n", "holds no row after its headings");
  refused("a,b\n1,2\n", "has no column 'c' for --value-column", "c");
  refused("a,b\n1,2\n", "has no column '3'", "3");
  refused("1\n2\n", "no column but the values", "1");
  ImportOptions options = from({put(scratch / "v.csv", "1,2\n")});
  options.alphabet = "dna";
  check_error([&] { make_importer("numbers", options); }, Exit::kUsage, "--alphabet", "numbers");
  CHECK(make_importer("auto", from({put(scratch / "s.csv", "seq,v\nACGT,1\n")}))->space().type == "sequence");
}
}  // namespace plumb::io
