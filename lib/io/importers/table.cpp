// Tables of sequences, CSV (RFC 4180) or separated by tabs or semicolons: a column of letters, and where there are, one of
// measured values and one of classes.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>

#include "core/error.h"
#include "core/text.h"
#include "io/byte_source.h"
#include "io/importers/common.h"
#include "io/importers/sequences.h"

namespace plumb::io {
namespace {

constexpr size_t kBlock = 1 << 16;
constexpr size_t kLongestRow = 1 << 24;
constexpr size_t kMostClasses = 1 << 16;
const std::vector<std::string> kUsualNames{"sequence", "seq", "sequences", "seqs"};

bool is_usual_name(const std::string& text) {
  return std::find(kUsualNames.begin(), kUsualNames.end(), lower_case(trim(text))) != kUsualNames.end();
}

bool is_column_number(const std::string& column) {
  return !column.empty() && column.find_first_not_of("0123456789") == std::string::npos;
}

/// Fields that statistics programs write where nothing was measured.
bool is_missing(const std::string& text) {
  const std::string small = lower_case(text);
  return small.empty() || small == "na" || small == "n/a" || small == "nan" || small == "null";
}

/// The whole text as a number; too large a one as infinity.
bool parse_value(const std::string& text, double& value) {
  const char* begin = text.data() + (text.size() > 1 && text[0] == '+' && text[1] != '-' ? 1 : 0);
  const auto [end, status] = std::from_chars(begin, text.data() + text.size(), value);
  if (status == std::errc::result_out_of_range) value = std::strtod(begin, nullptr);   // from_chars leaves it as it was
  return status != std::errc::invalid_argument && end == text.data() + text.size();
}

/// Rows of one file. A field in quotes may hold separators, line ends and doubled quotes.
class RowReader {
 public:
  explicit RowReader(const std::string& path) : source_(open_source(path)), block_(kBlock) { sniff(); }
  const std::string& path() const { return source_->name(); }
  int64_t line() const { return row_line_; }   ///< of the row's start, from 1

  /// The next row that is not empty. False at the end.
  bool next(std::vector<std::string>& fields) {
    do {
      if (peek() < 0) return false;
      read_row(fields);
    } while (fields.size() == 1 && trim(fields[0]).empty());
    return true;
  }

 private:
  int peek() {
    if (at_ == filled_) {
      filled_ = source_->read(block_.data(), block_.size());
      at_ = 0;
      if (filled_ == 0) return -1;
    }
    return static_cast<unsigned char>(block_[at_]);
  }
  int take() {
    const int c = peek();
    at_ += c >= 0;
    line_ += c == '\n';
    return c;
  }

  /// Passes a byte order mark, and takes the separator from the first line that is not empty: a tab, else a comma, else a
  /// semicolon.
  void sniff() {
    peek();
    if (filled_ >= 3 && std::memcmp(block_.data(), "\xEF\xBB\xBF", 3) == 0) at_ = 3;
    const std::string head(block_.data() + at_, filled_ - at_);
    const size_t start = head.find_first_not_of("\r\n"), first = start == std::string::npos ? 0 : start;
    const std::string line = head.substr(first, head.find_first_of("\r\n", first) - first);
    for (const char candidate : {';', ',', '\t'}) {
      if (line.find(candidate) != std::string::npos) separator_ = candidate;
    }
  }

  void read_row(std::vector<std::string>& fields) {
    fields.assign(1, "");
    row_line_ = line_;
    bool quoted = false, was_quoted = false;
    for (size_t size = 0;; ++size) {
      if (size > kLongestRow) throw Error(Exit::kBadInput, path(), cat("line ", row_line_, " is longer than ", kLongestRow, " bytes"), "is it a table?");
      const int c = take();
      if (c < 0 && quoted) throw Error(Exit::kBadInput, path(), cat("line ", row_line_, " has an open quote"));
      if (c < 0 || (!quoted && (c == '\n' || c == '\r'))) {
        if (c == '\r' && peek() == '\n') take();
        return;
      }
      if (quoted && c == '"') {
        quoted = peek() == '"';   // a doubled quote is one, and the field goes on
        if (quoted) fields.back() += static_cast<char>(take());
      } else if (!quoted && c == separator_) {
        fields.emplace_back();
        was_quoted = false;
      } else if (!quoted && !was_quoted && c == '"' && fields.back().empty()) {
        quoted = was_quoted = true;
      } else {
        fields.back() += static_cast<char>(c);
      }
    }
  }

  std::unique_ptr<ByteSource> source_;
  std::vector<char> block_;
  size_t at_ = 0, filled_ = 0;
  int64_t line_ = 1, row_line_ = 1;
  int separator_ = ',';
};

constexpr size_t kNone = SIZE_MAX;

/// Where things stand in a row.
struct Columns {
  size_t sequence = kNone, value = kNone, label = kNone, width = 0;
  bool heading = false;
};

/// Finds the columns that the options name, by a file's first row.
class ColumnFinder {
 public:
  ColumnFinder(const ImportOptions& options, const std::string& path, std::vector<std::string> row)
      : options_(options), path_(path), row_(std::move(row)) {
    for (std::string& field : row_) field = trim(field);
  }

  Columns find() const {
    Columns columns;
    columns.width = row_.size();
    columns.heading = options_.header == "yes" || (options_.header == "auto" && looks_like_heading());
    columns.sequence = options_.sequence_column.empty() ? usual_column(columns.heading)
                                                        : place("--sequence-column", options_.sequence_column, columns.heading);
    columns.value = place("--value-column", options_.value_column, columns.heading);
    columns.label = place("--label-column", options_.label_column, columns.heading);
    return columns;
  }

 private:
  /// A first row names the columns if an option gives a name, if there is no number in the column of values, no letters of the
  /// alphabet in that of sequences, or a usual name in it.
  bool looks_like_heading() const {
    for (const std::string* column : {&options_.sequence_column, &options_.value_column, &options_.label_column}) {
      if (!column->empty() && !is_column_number(*column)) return true;
    }
    double number = 0;
    if (!options_.value_column.empty()) {
      const std::string& field = row_[place("--value-column", options_.value_column, false)];
      return !is_missing(field) && !parse_value(field, number);
    }
    if (options_.sequence_column.empty() && row_.size() > 1) return std::any_of(row_.begin(), row_.end(), is_usual_name);
    const std::string& field = row_[options_.sequence_column.empty() ? 0 : place("--sequence-column", options_.sequence_column, false)];
    const Alphabet alphabet(options_.alphabet);
    return is_usual_name(field) || !std::all_of(field.begin(), field.end(), [&](char c) { return alphabet.code(c) != Alphabet::kForeign; });
  }

  size_t usual_column(bool heading) const {
    if (row_.size() == 1) return 0;
    std::vector<size_t> found;
    for (size_t i = 0; heading && i < row_.size(); ++i) {
      if (is_usual_name(row_[i])) found.push_back(i);
    }
    if (found.size() == 1) return found[0];
    throw Error(Exit::kBadInput, path_, cat(overview(heading), ", and none is known to be the sequence"), "choose with --sequence-column");
  }

  size_t place(const std::string& option, const std::string& column, bool heading) const {
    if (column.empty()) return kNone;
    if (is_column_number(column)) {
      const int64_t number = column.size() > 9 ? 0 : parse_int(column, option);
      if (number < 1 || number > static_cast<int64_t>(row_.size())) {
        throw Error(Exit::kBadInput, path_, cat("has no column ", column, " for ", option), "it " + overview(heading));
      }
      return static_cast<size_t>(number - 1);
    }
    if (!heading) throw Error(Exit::kUsage, option, "with --header no a column has a number, not the name '" + column + "'");
    const auto times = std::count(row_.begin(), row_.end(), column);
    if (times == 1) return static_cast<size_t>(std::find(row_.begin(), row_.end(), column) - row_.begin());
    if (times == 0) throw Error(Exit::kBadInput, path_, cat("has no column '", column, "' for ", option), "it " + overview(heading));
    throw Error(Exit::kBadInput, path_, cat("has ", times, " columns '", column, "'"), "give a number to " + option + ", from 1");
  }

  std::string overview(bool heading) const {
    constexpr size_t kShown = 20;
    std::vector<std::string> names(row_.begin(), row_.begin() + static_cast<std::ptrdiff_t>(std::min(row_.size(), kShown)));
    for (std::string& name : names) {
      if (name.size() > 30) name = name.substr(0, 30) + "...";
    }
    const std::string listed = join(names, ", ") + (row_.size() > kShown ? ", ..." : "");
    return heading ? "has the columns " + listed : cat("has ", row_.size(), " columns, in the first row ", listed);
  }

  const ImportOptions& options_;
  const std::string& path_;
  std::vector<std::string> row_;
};

/// Rows of several files on end, each with its own order of columns.
class TableRows {
 public:
  explicit TableRows(const ImportOptions& options) : options_(options) { open(); }

  bool next() {
    while (!take()) {
      if (file_ == options_.paths.size()) return false;
      open();
    }
    if (fields_.size() != columns_.width) {
      throw Error(Exit::kBadInput, reader_->path(), cat("line ", reader_->line(), " has ", fields_.size(), " fields, the first row ", columns_.width));
    }
    return true;
  }
  std::string sequence() const { return trim(fields_[columns_.sequence]); }
  std::string value() const { return trim(fields_[columns_.value]); }
  std::string label() const { return trim(fields_[columns_.label]); }
  const std::string& path() const { return reader_->path(); }
  std::string title() const { return cat("line ", reader_->line()); }

 private:
  void open() {
    reader_ = std::make_unique<RowReader>(options_.paths[file_++]);
    if (!reader_->next(fields_)) throw Error(Exit::kBadInput, reader_->path(), "holds no row");
    columns_ = ColumnFinder(options_, reader_->path(), fields_).find();
    first_is_data_ = !columns_.heading;
  }
  bool take() {
    if (first_is_data_) {
      first_is_data_ = false;
      return true;
    }
    return reader_->next(fields_);
  }

  const ImportOptions options_;
  std::unique_ptr<RowReader> reader_;
  std::vector<std::string> fields_;
  Columns columns_;
  size_t file_ = 0;
  bool first_is_data_ = false;
};

class TableSource : public RecordSource {
 public:
  explicit TableSource(const ImportOptions& options)
      : rows_(options), with_values_(!options.value_column.empty()), with_labels_(!options.label_column.empty() || !options.class_quantiles.empty()) {
    if (!options.class_quantiles.empty()) bin_values(options);
    else if (with_labels_) number_classes(options);
  }
  bool has_values() const override { return with_values_; }
  bool has_labels() const override { return with_labels_; }
  std::vector<std::string> label_names() const override { return names_; }
  std::vector<double> class_thresholds() const override { return thresholds_; }

  bool next(SequenceRecord& record) override {
    if (!rows_.next()) return false;
    record = SequenceRecord{};
    record.file = rows_.path();
    record.title = rows_.title();
    letters_ = rows_.sequence();
    at_ = 0;
    if (with_values_) read_value(rows_, record);
    if (!thresholds_.empty()) {
      record.label = std::upper_bound(thresholds_.begin(), thresholds_.end(), static_cast<double>(record.value)) - thresholds_.begin();
    } else if (with_labels_) {
      const auto known = classes_.find(rows_.label());
      record.has_label = known != classes_.end();
      if (record.has_label) record.label = known->second;
    }
    return true;
  }

  size_t read(char* out, size_t size) override {
    const size_t got = std::min(size, letters_.size() - at_);
    letters_.copy(out, got, at_);
    at_ += got;
    return got;
  }

 private:
  static void read_value(const TableRows& rows, SequenceRecord& record) {
    const std::string text = rows.value();
    record.has_value = !is_missing(text);
    double value = 0;
    if (!record.has_value) return;
    if (!parse_value(text, value)) {
      throw Error(Exit::kBadInput, record.file, cat(record.title, ": the value '", text.substr(0, 30), "' is not a number"),
                  "name the right --value-column; what was not measured is empty or NA");
    }
    record.value = static_cast<float>(value);
    if (!std::isfinite(record.value)) throw Error(Exit::kBadNumbers, record.file, cat(record.title, ": the value '", text, "' is not finite as float32"));
  }

  /// Reads the tables once for the values alone, 4 bytes a row in memory, and takes their quantiles, linear between order statistics as
  /// numpy's default. Bins are half-open: a value at a threshold is in the class above. So a class means the same whatever part of the
  /// table is taken.
  void bin_values(const ImportOptions& options) {
    const std::vector<double>& wanted = options.class_quantiles;
    const std::string named = "--class-quantiles";
    if (!with_values_) throw Error(Exit::kUsage, named, "needs --value-column");
    if (!options.label_column.empty()) throw Error(Exit::kUsage, named, "does not go with --label-column", "leave one of them out");
    for (size_t k = 0; k < wanted.size(); ++k) {
      if (!(wanted[k] > (k == 0 ? 0 : wanted[k - 1]) && wanted[k] < 1)) {
        throw Error(Exit::kUsage, named, "are not ascending, between 0 and 1", "such as 0.4,0.97");
      }
    }
    std::vector<float> values;
    TableRows rows(options);
    while (rows.next()) {
      SequenceRecord record;
      record.file = rows.path();
      record.title = rows.title();
      read_value(rows, record);
      if (record.has_value) values.push_back(record.value);
    }
    if (values.empty()) throw Error(Exit::kBadInput, rows.path(), "holds no value", "name the right --value-column");
    std::sort(values.begin(), values.end());
    for (const double q : wanted) {
      const double at = q * static_cast<double>(values.size() - 1);
      const auto low = static_cast<size_t>(at);
      const double left = values[low], right = values[std::min(low + 1, values.size() - 1)];
      const double threshold = left + (at - static_cast<double>(low)) * (right - left);
      if (threshold <= (thresholds_.empty() ? static_cast<double>(values.front()) : thresholds_.back())) {
        throw Error(Exit::kBadInput, rows.path(), cat("too many values are equal: a class would be empty, as the quantile ", q, " is ", threshold),
                    "give other --class-quantiles");
      }
      names_.push_back(cat(thresholds_.empty() ? "below q" : cat("q", wanted[thresholds_.size() - 1], " to q"), q));
      thresholds_.push_back(threshold);
    }
    names_.push_back(cat("from q", wanted.back()));
  }

  /// Reads the tables once for the classes alone: whole numbers if all are, else names, numbered in alphabetical order. So a
  /// class has the same number whatever part of the table is taken.
  void number_classes(const ImportOptions& options) {
    TableRows rows(options);
    while (rows.next()) {
      if (is_missing(rows.label())) continue;
      classes_.emplace(rows.label(), 0);
      if (classes_.size() > kMostClasses) {
        throw Error(Exit::kBadInput, rows.path(), cat("has more than ", kMostClasses, " classes"), "name the right --label-column");
      }
    }
    int64_t number = 0;
    const auto whole = [&](const std::string& text) {
      const bool plain = is_column_number(text) && (text == "0" || text[0] != '0') && text.size() < 6;
      if (plain) number = parse_int(text, "--label-column");
      return plain && number < static_cast<int64_t>(kMostClasses);
    };
    const bool numbers = std::all_of(classes_.begin(), classes_.end(), [&](const auto& entry) { return whole(entry.first); });
    int64_t next = 0;
    for (auto& [text, label] : classes_) {
      label = numbers && whole(text) ? number : next++;
      if (!numbers) names_.push_back(text);
    }
  }

  TableRows rows_;
  bool with_values_, with_labels_;
  std::map<std::string, int64_t> classes_;
  std::vector<std::string> names_;
  std::vector<double> thresholds_;   // between the classes, if these are bins of the value
  std::string letters_;
  size_t at_ = 0;
};

}  // namespace

/// Text whose first line has a separator, and which is not JSON.
bool recognise_table(const std::string& path) {
  try {
    std::string head(4096, '\0');
    head.resize(open_source(path)->read(head.data(), head.size()));
    const auto is_control = [](char c) { return (c >= 0 && c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 127; };
    const size_t start = head.find_first_not_of(" \r\n");
    if (start == std::string::npos || head[start] == '{' || head[start] == '[' || std::any_of(head.begin(), head.end(), is_control)) return false;
    return head.substr(start, head.find_first_of("\r\n", start) - start).find_first_of("\t,;") != std::string::npos;
  } catch (const Error&) {
    return false;
  }
}

std::unique_ptr<Importer> make_table(const ImportOptions& options) {
  refuse_unused(options, "table", {"alphabet", "length", "window", "stride", "strands", "unique", "header", "sequence-column",
                                   "value-column", "label-column", "class-quantiles"});
  return std::make_unique<SequenceImporter>(options, std::make_unique<TableSource>(options));
}

}  // namespace plumb::io
