// The reward `table`: exact values of whole sequences.   SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "sequences.h"

namespace plumb::rewards {
using namespace test;

TEST_CASE("table: both strands, any column, scaled to the range of the table") {
  const Folder folder;
  const std::string table = "table:" + write_table(folder / "t.tsv");
  const at::Tensor values = scored(table, {"AC", "GT", "TA", "TT"});
  CHECK(values.equal(at::tensor({1.0, 1.0, 9.0, 0.0}, at::kDouble)));
  CHECK(scored(table + ",E-score", {"AC", "GT", "TA", "TT"}).equal(values));
  CHECK(score_word(table + ",Median", "GA") == 93.0);
  CHECK(score_word(table + ",4", "GA") == 93.0);
  CHECK(score_word(table + ",E-score,scale=min-max", "CA") == doctest::Approx(4.0 / 9).epsilon(1e-15));
  CHECK(score_word(table + ",scale=min-max", "TA") == 1.0);
  CHECK(score_word(table + ",Median,scale=min-max", "GA") == doctest::Approx((93.0 - 91) / 9).epsilon(1e-15));
  CHECK(score_word(table, "UA", "ACGU") == 9.0);  // RNA letters of a DNA table
  auto reward = make_reward(table, sequence_space(2), at::kCPU);
  check_alone_equals_batch(*reward, random_codes(20, 2), {}, 0.0);
  CHECK_FALSE(reward->differentiable());
  CHECK(reward->describe().dump().find(R"("column":"E-score","scaled":false,"rows":16,"rows_skipped":0,"table_min":0.0,"table_max":9.0)") != std::string::npos);
}

TEST_CASE("table: CSV, quotes, a column of sequences by name, no header, gzip") {
  const Folder folder;
  const std::string csv = write_text(folder / "t.csv", "id,\"seq\",y\r\n1,\"ACD\",0.5\r\n2,ACDE,7\r\n3,CCC,NA\r\n\r\n4,acc,-1e-3");
  CHECK(score_word("table:" + csv + ",y,sequence=seq", "ACD", "ACDE") == 0.5);
  CHECK(score_word("table:" + csv + ",sequence=seq,y", "ACC", "ACDE") == -1e-3);
  CHECK(score_word("table:" + csv + ",sequence=2", "ACD", "ACDE") == 0.5);
  std::string message;
  CHECK(exit_of([&] { score_word("table:" + csv + ",sequence=seq", "CCC", "ACDE"); }, &message) == Exit::kBadInput);  // not measured
  CHECK(message.find("has no value for CCC (item 10)") != std::string::npos);
  const std::string bare = write_text(folder / "bare.csv", "AC,2\nCA,3\n");
  CHECK(score_word("table:" + bare, "CA") == 3.0);
  const std::string packed = folder / "bare.csv.gz";
  REQUIRE(std::system(("gzip -c '" + bare + "' > '" + packed + "'").c_str()) == 0);
  CHECK(score_word("table:" + packed, "CA") == 3.0);
}

TEST_CASE("table: errors") {
  const Folder folder;
  const std::string table = "table:" + write_table(folder / "t.tsv");
  std::string message;
  const auto refuses = [&](const std::string& text, Exit exit, const std::string& part, const std::string& word = "AC") {
    CHECK(exit_of([&] { score_word(text, word); }, &message) == exit);
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
  };
  refuses("table", Exit::kUsage, "needs a file");
  refuses("table:" + (folder / "none.tsv"), Exit::kBadInput, "none.tsv");
  refuses(table + ",E-scor", Exit::kUsage, "did you mean 'E-score'?");
  refuses(table + ",9", Exit::kUsage, "there is no column '9'");
  refuses(table + ",E-score,scale=max", Exit::kUsage, "'scale=max' is not understood");
  refuses(table, Exit::kBadInput, "rows are of another length or other letters, such as 'AA'", "ACG");
  const auto holds = [&](const std::string& text) { return "table:" + write_text(folder / "x.csv", text); };
  refuses(holds("AC,1\nAG,2\n"), Exit::kBadInput, "has no value for CC (item 10)", "CC");
  refuses(holds("AC,1\nAC,2\n"), Exit::kBadInput, "line 2 gives AC the value 2, an earlier line 1");
  refuses(holds("s,v\nAC,1\nAG,x\n"), Exit::kBadInput, "line 3: 'x' in column 'v' is no number");
  refuses(holds("s,v\nAC\n"), Exit::kBadInput, "line 2 has 1 fields");
  refuses(holds("s\nAC\n"), Exit::kBadInput, "no column behind the sequence");
  refuses(holds("\n"), Exit::kBadInput, "is it a TSV or CSV table?");
  refuses(holds("AC,1\nAG,1\n") + ",scale=min-max", Exit::kBadInput, "all values are equal");
}

}  // namespace plumb::rewards
