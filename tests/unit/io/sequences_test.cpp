// Importers of sequences: FASTA and tables, windows, strands, repeats, and what is left out.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "core/text.h"
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
using Tally = std::map<std::string, int64_t>;

namespace {

/// The items as letters: "ACGT GGTA".
std::string text_of(const Imported& all) {
  const size_t length = static_cast<size_t>(all.space.numel());
  std::string text;
  for (size_t i = 0; i < all.items.size(); ++i) {
    if (i > 0 && i % length == 0) text += ' ';
    text += all.space.alphabet.at(static_cast<unsigned char>(all.items[i]));
  }
  return text;
}

/// A file of one importer and its options, for tests that try many texts.
struct Trial {
  explicit Trial(const std::string& name) : importer(name) {}
  std::string letters(const std::string& bytes, int64_t batch = 2) { return text_of(all(bytes, batch)); }
  Imported all(const std::string& bytes, int64_t batch = 2) {
    put(scratch / "file", bytes);
    options.paths = {scratch / "file"};
    return import_all(importer, options, batch);
  }
  void refuses(const std::string& bytes, const std::string& what, Exit exit = Exit::kBadInput) {
    check_error([&] { all(bytes); }, exit, exit == Exit::kUsage ? "--" : "/file", what);
  }
  Scratch scratch;
  std::string importer;
  ImportOptions options;
};

/// `size` letters of ACGT by a linear congruential generator (Numerical Recipes' constants).
std::string random_letters(size_t size, uint32_t seed) {
  std::string letters(size, ' ');
  for (char& c : letters) c = "ACGT"[(seed = seed * 1664525 + 1013904223) >> 30];
  return letters;
}

}  // namespace

TEST_CASE("fasta: lines of any length, line ends, case, comments, gzip, several files") {
  Trial fasta("fasta");
  const std::string text = "\n>one first of three\nacG\nT\n\n;a comment >\n> two\nA C\tG\n\nT>\n"
                           ">three\nTTTT";
  std::string plain = text;
  plain.erase(plain.find("T>\n") + 1, 1);
  for (const char* importer : {"fasta", "auto"}) {
    fasta.importer = importer;
    for (const int64_t batch : {1, 2, 100}) {
      const Imported all = fasta.all(plain, batch);
      CHECK(all.space.text() == "sequence [4]");
      CHECK(all.space.alphabet == "ACGT");
      CHECK(all.items == std::string("\0\1\2\3\0\1\2\3\3\3\3\3", 12));
      CHECK(all.groups == std::vector<int64_t>{0, 1, 2});
      CHECK(all.tally == Tally{{"records", 3}, {"records_unknown_letters", 0}});
      CHECK(all.remarks.empty());
    }
    for (const char* end : {"\r\n", "\r"}) {
      std::string other;
      for (const char c : plain) other += c == '\n' ? std::string(end) : std::string(1, c);
      CHECK(fasta.letters(other) == "ACGT ACGT TTTT");
      CHECK(fasta.letters(gzip(other)) == "ACGT ACGT TTTT");
    }
  }
  fasta.refuses(text, "record 'two' (line 7) has the letter '>'");  // > starts a record at the start of a line only
  put(fasta.scratch / "a", ">x\nAAAA\n");
  put(fasta.scratch / "b.gz", gzip(">y\nCCCC\n>z\nGGGG\n"));
  CHECK(text_of(import_all("fasta", from({fasta.scratch / "a", fasta.scratch / "b.gz"}))) == "AAAA CCCC GGGG");
}

TEST_CASE("fasta: records with unknown letters, of other lengths, and of no letters") {
  Trial fasta("fasta");
  const Imported all = fasta.all(">a\nACGT\n>b\nACNT\n>c\nryGG\n>d\nGGGG\n");
  CHECK(text_of(all) == "ACGT GGGG");
  CHECK(all.groups == std::vector<int64_t>{0, 3});
  CHECK(all.tally == Tally{{"records", 4}, {"records_unknown_letters", 2}});
  CHECK(all.remarks == std::vector<std::string>{"2 of 4 records have letters besides ACGT"});
  CHECK(fasta.letters(">a\nNNNN\n>b\nACGT") == "ACGT");  // the first gives the length, known or not

  fasta.refuses(">a\nACGT\n>b\nACG\n>c\nACGTACGTA\n>d\n", "record 'b' (line 3) has 3 letters, the first record 4: lengths go from 0 to 9: "
                                                         "cut windows with --window 1, say, or keep one length with --length 4");
  fasta.refuses(">a\n>b\nACG\n", "record 'a' (line 1), the first, has no letters");
  fasta.refuses(">a\nNNNN\n>b\nACRT", "no sequence is left: 2 of 2 records have letters besides ACGT");
  fasta.options.length = 3;
  const Imported three = fasta.all(">a\nACGT\n>b\nACG\n>c\n>d\nCCCCC\n>e\nNAA\n>f\nGGG");
  CHECK(text_of(three) == "ACG GGG");
  CHECK(three.tally == Tally{{"records", 6}, {"records_other_length", 3}, {"records_unknown_letters", 1}});
  CHECK(three.remarks == std::vector<std::string>{"3 of 6 records have another length than 3", "1 of 6 records have letters besides ACGT"});
  fasta.refuses(">a\nAC\n", "no sequence is left: 1 of 1 records have another length than 3");
  fasta.options = {};
  fasta.refuses(">chr1\n" + random_letters((1 << 20) + 5, 1) + "\n>b\nACGT\n", "has 1048581 letters, an item at most 1048576: cut it by --window");
}

TEST_CASE("fasta: all nucleotide codes in both cases, records without a name or letters, a file that ends in its heading, several gzip members") {
  Trial fasta("fasta");
  std::string text;
  for (const char code : std::string("RYSWKMBDHVNryswkmbdhvn")) text += cat(">x", code, "\r\nAC", code, "T\r\n");
  const Imported codes = fasta.all(text + ">a\r\nacgT\r\n>b\r\nTtTt");
  CHECK(text_of(codes) == "ACGT TTTT");
  CHECK(codes.tally == Tally{{"records", 24}, {"records_unknown_letters", 22}});
  fasta.options.window = 2;   // an unknown letter costs its window alone
  CHECK(fasta.letters(">a\nACrGTT\n") == "AC TT");

  fasta.options = {};
  fasta.options.length = 4;
  const Imported empty = fasta.all(">\nACGT\n>a\n>\n\n> \t\nGGGG\n>b\n\r\n>");
  CHECK(text_of(empty) == "ACGT GGGG");
  CHECK(empty.groups == std::vector<int64_t>{0, 3});
  CHECK(empty.tally == Tally{{"records", 6}, {"records_other_length", 4}, {"records_unknown_letters", 0}});
  fasta.options.length = 0;
  fasta.refuses(">\nACGT\n>\nAC\n", "the record of line 3 has 2 letters, the first record 4");
  fasta.refuses(">", "the record of line 1, the first, has no letters");
  fasta.refuses("\n\n", "holds no record");
  for (const char* importer : {"fasta", "auto"}) {
    fasta.importer = importer;
    CHECK(fasta.letters("\xEF\xBB\xBF>a\nACGT\n") == "ACGT");                                    // a byte order mark
    CHECK(fasta.letters(gzip(">a\nAC") + gzip("GT\n>b\nGG") + gzip("") + gzip("GG\n")) == "ACGT GGGG");   // as bgzip writes them
  }
}

TEST_CASE("sequences: windows, strides, and what they leave out") {
  Trial fasta("fasta");
  fasta.options.window = 3;
  fasta.options.stride = 2;
  const Imported all = fasta.all(">a\nAACCNGGTTA\n>b\nAC\n>c\nTTT\n>d\n");
  CHECK(text_of(all) == "AAC GTT TTT");  // CCN and NGG are dropped, and TA, which is no window
  CHECK(all.groups == std::vector<int64_t>{0, 0, 2});
  CHECK(all.tally == Tally{{"records", 4}, {"records_too_short", 2}, {"windows_unknown_letters", 2}});
  CHECK(all.remarks == std::vector<std::string>{"2 of 4 records are shorter than a window of 3", "2 windows have letters besides ACGT"});
  fasta.refuses(">a\nAC\n", "no sequence is left: 1 of 1 records are shorter than a window of 3");

  // against windows of the whole text, across the blocks that are read at a time
  const std::vector<std::string> records{random_letters(70001, 3), random_letters(6, 4), random_letters(66000, 5), random_letters(7, 6)};
  std::string text;
  for (const std::string& record : records) {
    text += ">x\n";
    for (size_t at = 0; at < record.size(); at += 61) text += record.substr(at, 61) + "\n";
  }
  fasta.options.window = 7;
  for (const int64_t stride : {0, 1, 6, 11, 5000, 69990}) {
    fasta.options.stride = stride;
    std::string wanted;
    for (const std::string& record : records) {
      for (size_t at = 0; at + 7 <= record.size(); at += static_cast<size_t>(stride > 0 ? stride : 7)) {
        for (const char c : record.substr(at, 7)) wanted += static_cast<char>(std::string("ACGT").find(c));
      }
    }
    CAPTURE(stride);
    CHECK((fasta.all(text, 1000).items == wanted));
  }
  fasta.options.stride = 0;
  fasta.options.length = 7;
  fasta.refuses(text, "does not go with --window", Exit::kUsage);
  fasta.options.window = fasta.options.length = 0;
  fasta.options.stride = 2;
  fasta.refuses(text, "needs --window", Exit::kUsage);
}

TEST_CASE("sequences: both strands, and repeats") {
  Trial fasta("fasta");
  fasta.options.strands = "both";
  const std::string text = ">a\nAACG\n>b\nACGT\n>c\nCGTT\n>d\nAACG\n";  // c is a's other strand, b its own
  const Imported both = fasta.all(text, 3);
  CHECK(text_of(both) == "AACG CGTT ACGT ACGT CGTT AACG AACG CGTT");
  CHECK(both.groups == std::vector<int64_t>{0, 0, 1, 1, 2, 2, 3, 3});
  fasta.options.unique = true;
  const Imported unique = fasta.all(text, 1);
  CHECK(text_of(unique) == "AACG CGTT ACGT");
  CHECK(unique.tally == Tally{{"records", 4}, {"records_unknown_letters", 0}, {"repeats", 5}});
  CHECK(unique.remarks.empty());
  fasta.options.strands = "forward";
  CHECK(fasta.letters(text) == "AACG ACGT CGTT");
  fasta.options.window = 2;
  CHECK(fasta.letters(text) == "AA CG AC GT TT");
  fasta.options = {};
  fasta.options.strands = "both";
  fasta.options.alphabet = "rna";
  CHECK(fasta.letters(">a\naacu\n") == "AACU AGUU");
  fasta.options.alphabet = "TGCAN";
  CHECK(fasta.letters(">a\nAACN\n") == "AACN NGTT");
  for (const char* alphabet : {"protein", "ACG", "01"}) {
    fasta.options.alphabet = alphabet;
    fasta.refuses(">a\nACG\n", "both is for DNA and RNA", Exit::kUsage);
  }
}

TEST_CASE("sequences: alphabets") {
  Trial fasta("fasta");
  fasta.refuses(">a\nACGU\n", "record 'a' (line 1) has the letter 'U', which does not stand for any of ACGT: give --alphabet rna, protein");
  fasta.refuses(">sp|P1\nMKL\n", "record 'sp|P1' (line 1) has the letter 'L'");
  fasta.refuses(">a\nAC-T\n", "take the gaps of an alignment out");
  fasta.refuses(">a\nAC4T\n", "the letter '4'");
  fasta.refuses(std::string(">a\nAC\0T\n", 8), "a byte 0");
  fasta.options.alphabet = "RNA";
  CHECK(fasta.all(">a\nacgu").items == std::string("\0\1\2\3", 4));
  fasta.refuses(">a\nACGT\n", "the letter 'T', which does not stand for any of ACGU: give --alphabet dna");
  fasta.options.alphabet = "protein";
  const Imported protein = fasta.all(">a\nACDEFGHIKLMNPQRSTVWY*\n>b\nacdefghiklmnpqrstvwy\n>c\nACDEFGHIKL*NPQRSTVWY\n>d\nXCDEFGHIKLMNPQRSTVWY\n");
  CHECK(protein.space.text() == "sequence [20] of ACDEFGHIKLMNPQRSTVWY");  // the final * is no residue, one inside is a stop
  for (char i = 0; i < 20; ++i) CHECK(protein.items.substr(static_cast<size_t>(i), 21).front() == i);
  CHECK(protein.items.size() == 40);
  CHECK(protein.tally.at("records_unknown_letters") == 2);
  fasta.refuses(">a\nMK1\n", "the letter '1'");
  fasta.options.length = 3;
  CHECK(fasta.letters(">a\nMKV*\n>b\nMK*\n>c\nMKVA\n") == "MKV");
  fasta.options.length = 0;
  fasta.options.alphabet = "aB-";  // letters as they are: b and A are others
  CHECK(fasta.letters(">a\naB-\n>b\nabB\n>c\nABB\n>d\n-Ba\n") == "aB- -Ba");
  fasta.options.alphabet = "01";
  CHECK(fasta.all(">a\n0110\n>b\n0210").items == std::string("\0\1\1\0", 4));
  for (const std::string alphabet : {"A", "AA", "A C", "AC\x80", "protien"}) {
    fasta.options.alphabet = alphabet;
    fasta.refuses(">a\nA\n", "'" + alphabet + "'", Exit::kUsage);
  }
}

TEST_CASE("fasta: damaged and foreign files, options that do not fit") {
  Trial fasta("fasta");
  fasta.refuses("", "is empty");
  fasta.refuses("\n \n", "holds no record");
  fasta.refuses(gzip("\n"), "holds no record");
  fasta.refuses("ACGT\n>a\nACGT\n", "is not FASTA: line 1 comes before a line that starts with >");
  put(fasta.scratch / "empty", "\n");
  put(fasta.scratch / "good", ">a\nACGT\n");
  check_error([&] { import_all("fasta", from({fasta.scratch / "good", fasta.scratch / "empty"})); }, Exit::kBadInput, "/empty", "holds no record");
  check_error([&] { import_all("fasta", from({fasta.scratch / "good", fasta.scratch / "none"})); }, Exit::kBadInput, "/none", "No such file");
  put(fasta.scratch / "a.gz", gzip(">a\n" + random_letters(50, 1) + "\n>b\n" + random_letters(50, 2) + "\n"));
  check_every_cut(fasta.scratch / "a.gz", [&] { import_all("fasta", from({fasta.scratch / "a.gz"})); });
  for (size_t at = 1; at < 40; ++at) {  // a flipped bit in packed data ends in an error, its checksum sees to it
    std::string bytes = gzip(">a\n" + random_letters(50, 1) + "\n>b\n" + random_letters(50, 2) + "\n");
    bytes[bytes.size() - at] = static_cast<char>(bytes[bytes.size() - at] ^ 4);
    fasta.refuses(bytes, "");
  }
  for (const char* option : {"labels", "header", "value-column", "size"}) {
    ImportOptions options = from({fasta.scratch / "good"});
    if (option == std::string("labels")) options.labels = "x";
    else if (option == std::string("header")) options.header = "yes";
    else if (option == std::string("size")) options.size = "3";
    else options.value_column = "x";
    check_error([&] { make_importer("fasta", options); }, Exit::kUsage, cat("--", option), "no meaning for the importer fasta");
  }
}

TEST_CASE("table: measured 8-mers, their columns by number and by name") {
  const std::string text = "8-mer\t8-mer\tE-score\tMedian\tZ-score\nAAAAAAAA\tTTTTTTTT\t0.25\t10\t-1\nACCCCCCT\tAGGGGGGT\t-0.4790712\t20.5\t2e-3\n"
                           "ACGTACGT\tACGTACGT\t0.1\t7\t1\n";
  for (const char* importer : {"table", "auto"}) {
    Trial table(importer);
    table.options.sequence_column = "1";
    table.options.value_column = "3";
    Imported all = table.all(text);
    CHECK(all.space.text() == "sequence [8]");
    CHECK(text_of(all) == "AAAAAAAA ACCCCCCT ACGTACGT");
    CHECK(all.values == std::vector<float>{0.25F, -0.4790712F, 0.1F});
    CHECK(all.labels.empty());
    CHECK(all.tally == Tally{{"records", 3}, {"records_unknown_letters", 0}, {"records_without_value", 0}});
    table.options.sequence_column = "2";
    table.options.value_column = "Z-score";
    all = table.all(gzip(text), 1);
    CHECK(text_of(all) == "TTTTTTTT AGGGGGGT ACGTACGT");
    CHECK(all.values == std::vector<float>{-1, 2e-3F, 1});
    table.options.strands = "both";  // each strand has the value of both; the palindrome is there once
    table.options.unique = true;
    all = table.all(text);
    CHECK(text_of(all) == "TTTTTTTT AAAAAAAA AGGGGGGT ACCCCCCT ACGTACGT");
    CHECK(all.values == std::vector<float>{-1, -1, 2e-3F, 2e-3F, 1});
    CHECK(all.groups == std::vector<int64_t>{0, 0, 1, 1, 2});
    table.options.sequence_column = "8-mer";
    table.refuses(text, "has 2 columns '8-mer': give a number to --sequence-column");
    table.options.sequence_column = "";
    table.refuses(text, "has the columns 8-mer, 8-mer, E-score, Median, Z-score, and none is known to be the sequence");
  }
}

TEST_CASE("table: separators, quotes, line ends, byte order mark, columns that are found") {
  Trial table("table");
  CHECK(table.letters("sequence,x\nAC,1\n\nGT,2") == "AC GT");
  CHECK(table.letters("\xEF\xBB\xBFSeq;x\r\nAC;1\r\nGT;2\r\n") == "AC GT");
  CHECK(table.letters("id\t seq \r1\tAC\r2\t GT \r") == "AC GT");
  CHECK(table.letters("\"a \"\"note\"\",\nof two lines\",seq\n\"x,y\",\"AC\"\n,GT\n5' \"end\",TT\n") == "AC GT TT");
  CHECK(table.letters("AC\nGT\n") == "AC GT");
  CHECK(table.letters("utr\nAC\nGT\n") == "AC GT");
  table.options.sequence_column = "2";
  CHECK(table.letters("a,AC\nb,GT\n") == "AC GT");
  CHECK(table.letters("name,dna_sequence\nb,GT\n") == "GT");
  table.options.header = "yes";
  CHECK(table.letters("a,AC\nb,GT\n") == "GT");
  table.options.header = "no";
  table.options.alphabet = "protein";
  CHECK(table.letters("a,SEQ\nb,PEP\n") == "SEQ PEP");
  table.options.header = "auto";
  CHECK(table.letters("a,SEQ\nb,PEP\n") == "PEP");  // a usual name
  CHECK(table.letters("a,MKV\nb,PEP\n") == "MKV PEP");
  // each file with its own order of columns
  put(table.scratch / "a", "seq,y\nAC,1\n");
  put(table.scratch / "b", "y\tseq\n2\tGT\n3\tTT\n");
  ImportOptions options = from({table.scratch / "a", table.scratch / "b"});
  options.value_column = "y";
  const Imported all = import_all("table", options);
  CHECK(text_of(all) == "AC GT TT");
  CHECK(all.values == std::vector<float>{1, 2, 3});
  CHECK(all.groups == std::vector<int64_t>{0, 1, 2});
}

TEST_CASE("table: values and classes, and rows without") {
  Trial table("table");
  table.options.value_column = "y";
  const Imported all = table.all("seq,y\nAC,+1.5\nAG,\nAT,NA\nCA,nan\nCC,-3\nCG,1e-60\nNN,2\n");
  CHECK(text_of(all) == "AC CC CG");
  CHECK(all.values == std::vector<float>{1.5F, -3, 0});
  CHECK(all.tally == Tally{{"records", 7}, {"records_unknown_letters", 1}, {"records_without_value", 3}});
  CHECK(all.remarks == std::vector<std::string>{"1 of 7 records have letters besides ACGT", "3 of 7 records have no value"});
  table.options.value_column = "2";
  table.options.sequence_column = "1";
  CHECK(table.all("AC,1.5\nAG,2\n", 5).values.size() == 2);  // a number: no heading
  table.options.sequence_column = "";
  CHECK(table.all("seq,y\nAC,1.5\nAG,2\n", 5).values.size() == 2);
  table.refuses("seq,y\nAC,high\n", "line 2: the value 'high' is not a number");
  table.refuses("seq,y\nAC,1 2\n", "line 2: the value '1 2' is not a number");
  for (const char* large : {"1e999", "-inf", "1e39"}) table.refuses(cat("seq,y\nAC,", large, "\n"), "is not finite as float32", Exit::kBadNumbers);

  table.options.value_column = "";
  table.options.label_column = "kind";
  Imported named = table.all("seq,kind\nAC,strong\nAG,\nNN,absent\nAT,-1\nGT,strong\n");
  CHECK(named.names == std::vector<std::string>{"-1", "absent", "strong"});
  CHECK(named.labels == std::vector<int64_t>{2, 0, 2});
  CHECK(named.tally.at("records_without_label") == 1);
  CHECK(named.remarks.back() == "1 of 5 records have no class");
  named = table.all("seq,kind\nAC,7\nAG,0\nAT,10\n");
  CHECK(named.names.empty());
  CHECK(named.labels == std::vector<int64_t>{7, 0, 10});
  CHECK(table.all("seq,kind\nAC,7\nAG,08\n").names == std::vector<std::string>{"08", "7"});
  CHECK(table.all("seq,kind\nAC,65536\n").labels == std::vector<int64_t>{0});  // no number of a class: a name
  std::string many = "seq,kind\n";
  for (int i = 0; i < 65537; ++i) many += cat("A,c", i, "\n");
  table.refuses(many, "has more than 65536 classes: name the right --label-column");
  table.options.window = 2;  // a row's windows have its class
  named = table.all("seq,kind\nACGTA,b\nGG,a\nCCC,\n");
  CHECK(text_of(named) == "AC GT GG");
  CHECK(named.labels == std::vector<int64_t>{1, 1, 0});
}

TEST_CASE("table: classes by quantiles of the value") {
  Trial table("table");
  table.options.value_column = "y";
  table.options.class_quantiles = {0.4, 0.97};
  std::string text = "seq,y\n";
  for (int i = 100; i >= 0; --i) text += cat(i == 100 || i == 50 ? "AN," : "AC,", i, "\nAG,NA\n");   // the quantiles are 40 and 97
  const Imported all = table.all(text, 7);
  CHECK(all.thresholds == std::vector<double>{40, 97});
  CHECK(all.names == std::vector<std::string>{"below q0.4", "q0.4 to q0.97", "from q0.97"});
  REQUIRE(all.labels.size() == 99);   // rows of unknown letters are left out, after their values have counted
  for (size_t i = 0; i < all.labels.size(); ++i) CHECK(all.labels[i] == (all.values[i] < 40 ? 0 : all.values[i] < 97 ? 1 : 2));   // 97 itself: the top
  table.options.class_quantiles = {0.5};
  const Imported two = table.all("seq,y\nAC,1\nAG,2\nAT,4\nCC,8\n");   // between order statistics
  CHECK(two.thresholds == std::vector<double>{3});
  CHECK(two.names == std::vector<std::string>{"below q0.5", "from q0.5"});
  CHECK(two.labels == std::vector<int64_t>{0, 0, 1, 1});
  table.refuses("seq,y\nAC,1\nAG,1\nAT,1\nCC,8\n", "too many values are equal: a class would be empty, as the quantile 0.5 is 1");
  table.refuses("seq,y\nAC,\n", "holds no value");
  table.refuses("seq,y\nAC,high\n", "line 2: the value 'high' is not a number");
  for (const std::vector<double>& bad : std::vector<std::vector<double>>{{0.5, 0.5}, {0.6, 0.5}, {0.0}, {1.0}, {-0.1}}) {
    table.options.class_quantiles = bad;
    table.refuses("seq,y\nAC,1\nAG,2\n", "are not ascending, between 0 and 1", Exit::kUsage);
  }
  table.options.class_quantiles = {0.5};
  table.options.label_column = "kind";
  table.refuses("seq,y,kind\nAC,1,a\n", "does not go with --label-column", Exit::kUsage);
  table.options.label_column = table.options.value_column = "";
  table.refuses("seq,y\nAC,1\nAG,2\n", "needs --value-column", Exit::kUsage);
  Trial fasta("fasta");
  fasta.options.class_quantiles = {0.5};
  fasta.refuses(">a\nACGT\n", "has no meaning for the importer fasta", Exit::kUsage);
}

TEST_CASE("table: damaged and foreign files") {
  Trial table("table");
  table.refuses("", "is empty");
  table.refuses("\n\n", "holds no row");
  table.refuses("seq,y\n", "holds no sequence");
  table.refuses("seq,y\nAC,1\nAG\n", "line 3 has 1 fields, the first row 2");
  table.refuses("seq,y\nAC,\"1\n\"\nAG,1,2\n", "line 4 has 3 fields");
  table.refuses("seq,y\n\"AC,1\n", "line 2 has an open quote");
  table.refuses("seq,y\n" + std::string((1 << 24) + 2, 'A'), "line 2 is longer than 16777216 bytes");
  table.refuses("seq,y\nAC,1\nAGG,1\n", "line 3 has 3 letters, the first record 2: lengths go from 2 to 3");
  table.refuses("seq,y\nAC,1\nA!,1\n", "line 3 has the letter '!'");
  table.refuses("a,b\nAC,1\n", "has 2 columns, in the first row a, b, and none is known to be the sequence: choose with --sequence-column");
  table.options.sequence_column = "dna";
  table.refuses("seq,y\nAC,1\n", "has no column 'dna' for --sequence-column: it has the columns seq, y");
  table.options.header = "no";
  table.refuses("AC,1\n", "with --header no a column has a number", Exit::kUsage);
  for (const char* number : {"0", "3", "99999999999999999999"}) {
    table.options.sequence_column = number;
    table.refuses("AC,1\n", cat("has no column ", number, " for --sequence-column: it has 2 columns, in the first row AC, 1"));
  }
  table.options = {};
  put(table.scratch / "a.gz", gzip("seq,y\nACGT,1\nGGTA,2\n"));
  check_every_cut(table.scratch / "a.gz", [&] { import_all("table", from({table.scratch / "a.gz"})); });
  table.importer = "auto";
  for (const std::string& other : {std::string("{\"seq\":1,\"b\":2}\n"), std::string("[1,2]"), std::string("a,b\0c", 5), std::string("words only\n")}) {
    table.refuses(other, "is nothing that is known here");
  }
}

}  // namespace plumb::io
