// table: the value that a file gives to the whole sequence, such as a measurement of every 8-mer (TF-Bind-8).
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <limits>
#include <unordered_map>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/sha256.h"
#include "core/text.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

constexpr const char* kUsageText = "table:FILE[,COLUMN][,sequence=COLUMN][,scale=min-max]";

struct TableOptions {
  std::string file, column, sequence;
  bool scaled = false;
};

TableOptions read_options(const RewardSpec& spec) {
  const FileArgument argument = split_file_argument(spec, kUsageText);
  TableOptions out;
  out.file = argument.file;
  for (const std::string& part : argument.rest) {
    if (part == "scale=min-max") {
      out.scaled = true;
    } else if (part.rfind("sequence=", 0) == 0 && part.size() > 9) {
      out.sequence = part.substr(9);
    } else if (out.column.empty() && !part.empty() && part.rfind("scale=", 0) != 0 && part.rfind("sequence=", 0) != 0) {
      out.column = part;
    } else {
      throw Error(Exit::kUsage, "reward 'table:" + spec.argument + "'", "'" + part + "' is not understood", kUsageText);
    }
  }
  return out;
}

bool is_number(const std::string& text) {
  try {
    parse_double(text, "");
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool not_measured(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.empty() || text == "na" || text == "nan" || text == "null";
}

/// The rows of a table whose sequence is an item of the space.
class ValueTable {
 public:
  ValueTable(const TableOptions& options, const io::Space& space) : options_(options), alphabet_(space.alphabet), length_(space.shape.at(0)) {
    each_line(options.file, [this](const std::string& line, int64_t number) {
      if (!trim(line).empty()) take(line, number);
    });
    if (!values_.empty()) return;
    throw Error(Exit::kBadInput, options.file, cat("has no value for a ", space.text(), " of the letters ", alphabet_.letters()),
                skipped_ > 0 ? cat(skipped_, " rows are of another length or other letters, such as '", example_, "'") : "is it a TSV or CSV table?");
  }

  /// The value of `codes`, or null.
  const double* find(const std::string& codes) const {
    const auto found = values_.find(codes);
    return found == values_.end() ? nullptr : &found->second;
  }
  double low() const { return low_; }
  double high() const { return high_; }
  int64_t count() const { return static_cast<int64_t>(values_.size()); }
  int64_t skipped() const { return skipped_; }
  const std::string& value_column() const { return value_name_; }

 private:
  std::vector<std::string> fields_of(const std::string& line) const {
    std::vector<std::string> fields = split(line, separator_);
    for (std::string& field : fields) {
      field = trim(field);
      if (field.size() > 1 && field.front() == '"' && field.back() == '"') field = field.substr(1, field.size() - 2);
    }
    return fields;
  }

  /// A column by name or by number from 1.
  size_t column(const std::vector<std::string>& head, const std::string& wanted) const {
    const auto named = std::find(head.begin(), head.end(), wanted);
    if (has_head_ && named != head.end()) return static_cast<size_t>(named - head.begin());
    if (!wanted.empty() && wanted.size() < 6 && wanted.find_first_not_of("0123456789") == std::string::npos) {
      const size_t number = std::stoul(wanted);
      if (number >= 1 && number <= head.size()) return number - 1;
    }
    const std::string near = has_head_ ? nearest(wanted, head) : "";
    throw Error(Exit::kUsage, options_.file, "there is no column '" + wanted + "'",
                !near.empty() ? "did you mean '" + near + "'?" : has_head_ ? "there are: " + join(head, ", ") : cat("columns 1 to ", head.size()));
  }

  void first_line(const std::string& line) {
    separator_ = line.find('\t') != std::string::npos ? '\t' : ',';
    const std::vector<std::string> head = fields_of(line);
    has_head_ = std::none_of(head.begin(), head.end(), is_number);
    sequences_ = {options_.sequence.empty() ? 0 : column(head, options_.sequence)};
    // Two neighbouring columns of one name are the two strands of a site, as in the tables of protein binding microarrays.
    const size_t next = sequences_[0] + 1;
    if (has_head_ && next < head.size() && head[next] == head[sequences_[0]]) sequences_.push_back(next);
    if (options_.column.empty() && sequences_.back() + 1 >= head.size()) {
      throw Error(Exit::kBadInput, options_.file, "has no column behind the sequence", kUsageText);
    }
    value_ = options_.column.empty() ? sequences_.back() + 1 : column(head, options_.column);
    value_name_ = has_head_ ? head[value_] : std::to_string(value_ + 1);
  }

  void take(const std::string& line, int64_t number) {
    if (separator_ == 0) {
      first_line(line);
      if (has_head_) return;
    }
    const std::vector<std::string> fields = fields_of(line);
    if (fields.size() <= std::max(value_, sequences_.back())) {
      throw Error(Exit::kBadInput, options_.file, cat("line ", number, " has ", fields.size(), " fields, column '", value_name_, "' is missing"));
    }
    if (not_measured(fields[value_])) return;
    if (!is_number(fields[value_])) {
      throw Error(Exit::kBadInput, options_.file, cat("line ", number, ": '", fields[value_], "' in column '", value_name_, "' is no number"),
                  "name the column of values: " + std::string(kUsageText));
    }
    const double value = parse_double(fields[value_], options_.file);
    for (const size_t at : sequences_) add(fields[at], value, number);
  }

  void add(const std::string& sequence, double value, int64_t number) {
    const std::string codes = alphabet_.encode(sequence);
    if (static_cast<int64_t>(codes.size()) != length_) {
      if (skipped_++ == 0) example_ = sequence.substr(0, 40);
      return;
    }
    const auto [found, fresh] = values_.emplace(codes, value);
    if (!fresh && found->second != value) {
      throw Error(Exit::kBadInput, options_.file, cat("line ", number, " gives ", sequence, " the value ", value, ", an earlier line ", found->second));
    }
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }

  TableOptions options_;
  Alphabet alphabet_;
  int64_t length_;
  char separator_ = 0;
  bool has_head_ = false;
  std::vector<size_t> sequences_;  // columns of the sequence and, if there is one, of its other strand
  size_t value_ = 0;
  std::string value_name_, example_;
  std::unordered_map<std::string, double> values_;  // by codes
  double low_ = std::numeric_limits<double>::infinity(), high_ = -low_;
  int64_t skipped_ = 0;
};

class TableReward : public Reward {
 public:
  TableReward(const RewardSpec& spec, const TableOptions& options)
      : options_(options), alphabet_(spec.space.alphabet), digest_(sha256_of_file(options.file)), table_(options, spec.space) {
    if (!options.scaled || table_.high() > table_.low()) return;
    throw Error(Exit::kBadInput, options.file, "all values are equal: there is no range to scale to");
  }

  Tensor score(const RewardBatch& batch) override {
    check_codes(batch.items, alphabet_.size(), batch.first, "table");
    const Tensor codes = batch.items.contiguous();  // [B,L]
    const int64_t length = codes.size(1);
    const double offset = options_.scaled ? table_.low() : 0, range = options_.scaled ? table_.high() - table_.low() : 1;
    Tensor values = at::empty({codes.size(0)}, at::kDouble);
    for (int64_t i = 0; i < codes.size(0); ++i) {
      const uint8_t* row = codes.const_data_ptr<uint8_t>() + i * length;
      const double* found = table_.find({reinterpret_cast<const char*>(row), static_cast<size_t>(length)});
      if (!found) {
        throw Error(Exit::kBadInput, options_.file, cat("has no value for ", alphabet_.decode(row, std::min<int64_t>(length, 60)), " (item ", batch.first + i, ")"),
                    "a table scores only the sequences it holds");
      }
      values.mutable_data_ptr<double>()[i] = (*found - offset) / range;
    }
    return values;
  }
  io::Json describe() const override {
    return {{"name", "table"}, {"sha256", digest_}, {"column", table_.value_column()}, {"scaled", options_.scaled}, {"rows", table_.count()},
            {"rows_skipped", table_.skipped()}, {"table_min", table_.low()}, {"table_max", table_.high()}};
  }

 private:
  TableOptions options_;
  Alphabet alphabet_;
  std::string digest_;
  ValueTable table_;
};

}  // namespace

std::unique_ptr<Reward> make_table(const RewardSpec& spec) {
  need_sequences(spec);
  return std::make_unique<TableReward>(spec, read_options(spec));
}

}  // namespace plumb::rewards
