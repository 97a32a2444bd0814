// Tables of numbers, separated by commas, tabs or semicolons: each row is a vector, and one column may be measured values instead.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "io/byte_source.h"
#include "io/importers/common.h"

namespace plumb::io {
namespace {

constexpr size_t kBlock = 1 << 16, kLongestRow = 1 << 24;

/// Lines that are not empty, without their ends and without the file's byte order mark.
class LineReader {
 public:
  explicit LineReader(const std::string& path) : source_(open_source(path)), block_(kBlock) {}
  const std::string& path() const { return source_->name(); }
  int64_t line() const { return line_; }   ///< of the line that next() gave, from 1

  bool next(std::string& text) {
    do {
      text.clear();
      ++line_;
      for (bool open = true; open;) {
        if (at_ == filled_) {
          filled_ = source_->read(block_.data(), block_.size());
          at_ = 0;
          if (filled_ == 0) break;
        }
        const char c = block_[at_++];
        open = c != '\n';
        if (open) text += c;
        if (text.size() > kLongestRow) throw Error(Exit::kBadInput, path(), cat("line ", line_, " is longer than ", kLongestRow, " bytes"), "is it a table?");
      }
      if (line_ == 1 && text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
      text = trim(text);
    } while (text.empty() && filled_ > 0);
    return !text.empty();
  }

 private:
  std::unique_ptr<ByteSource> source_;
  std::vector<char> block_;
  size_t at_ = 0, filled_ = 0;
  int64_t line_ = 0;
};

char separator_of(const std::string& line) {
  for (const char candidate : {'\t', ',', ';'}) {
    if (line.find(candidate) != std::string::npos) return candidate;
  }
  return ',';
}

std::vector<std::string> fields_of(const std::string& line, char separator) {
  std::vector<std::string> fields = split(line, separator);
  for (std::string& field : fields) {
    field = trim(field);
    if (field.size() > 1 && field.front() == '"' && field.back() == '"') field = field.substr(1, field.size() - 2);
  }
  return fields;
}

enum class Field { kText, kNumber, kNotFinite };   // the last: nan, inf, and what has no place in float32

Field parse(const std::string& text, float& value) {
  double wide = 0;
  const char* const begin = text.data() + (text.starts_with("+") && !text.starts_with("+-") ? 1 : 0);
  const auto [end, status] = std::from_chars(begin, text.data() + text.size(), wide);
  if (status == std::errc::invalid_argument || end != text.data() + text.size()) return Field::kText;
  value = static_cast<float>(wide);
  return status == std::errc() && std::isfinite(value) ? Field::kNumber : Field::kNotFinite;
}

bool parse_number(const std::string& text, float& value) { return parse(text, value) == Field::kNumber; }

bool all_numbers(const std::vector<std::string>& fields) {
  float value = 0;
  return std::all_of(fields.begin(), fields.end(), [&](const std::string& field) { return parse_number(field, value); });
}

bool is_number(const std::string& column) { return column.find_first_not_of("0123456789") == std::string::npos && column.size() < 10; }

class NumbersImporter : public Importer {
 public:
  explicit NumbersImporter(const ImportOptions& options) : path_(only_path(options, "numbers")), lines_(path_) {
    refuse_unused(options, "numbers", {"header", "value-column"});
    if (!lines_.next(row_)) throw Error(Exit::kBadInput, path_, "holds no row");
    separator_ = separator_of(row_);
    const std::vector<std::string> first = fields_of(row_, separator_);
    width_ = first.size();
    const bool heading = options.header == "yes" || (options.header == "auto" && looks_like_heading(first, options.value_column));
    if (!options.value_column.empty()) value_ = place(options.value_column, first, heading);
    pending_ = !heading || lines_.next(row_);
    if (!pending_) throw Error(Exit::kBadInput, path_, "holds no row after its headings");
    if (width_ == (has_values() ? 1U : 0U)) throw Error(Exit::kBadInput, path_, "holds no column but the values");
    space_.type = "vector";
    space_.shape = {static_cast<int64_t>(width_ - (has_values() ? 1 : 0))};
  }
  Space space() const override { return space_; }
  int64_t count() const override { return pending_ ? -1 : done_; }
  bool has_labels() const override { return false; }
  bool has_values() const override { return value_ != SIZE_MAX; }
  std::vector<std::string> files() const override { return {path_}; }
  const std::vector<float>& values() const override { return values_; }

  int64_t next(int64_t max, std::vector<uint8_t>& items, std::vector<int64_t>& labels) override {
    labels.clear();
    values_.clear();
    std::vector<float> numbers;
    int64_t count = 0;
    for (; count < max && pending_; ++count, pending_ = lines_.next(row_)) take(numbers);
    done_ += count;
    items.resize(numbers.size() * sizeof(float));
    if (!numbers.empty()) std::memcpy(items.data(), numbers.data(), items.size());
    return count;
  }

 private:
  /// Whether no field of the first row is a number, or one is the name of the column of values. What else is no row of numbers may be meant
  /// as either: an item must not be dropped for a nan.
  bool looks_like_heading(const std::vector<std::string>& first, const std::string& value_column) const {
    if (all_numbers(first)) return false;
    if (!is_number(value_column) && std::find(first.begin(), first.end(), value_column) != first.end()) return true;
    float value = 0;
    if (std::all_of(first.begin(), first.end(), [&](const std::string& field) { return parse(field, value) == Field::kText; })) return true;
    const auto odd = std::find_if(first.begin(), first.end(), [&](const std::string& field) { return !parse_number(field, value); });
    throw Error(Exit::kBadInput, path_, cat("line ", lines_.line(), " is neither headings nor numbers throughout: '", odd->substr(0, 30), "' is no finite number"),
                "say --header yes or --header no");
  }

  size_t place(const std::string& column, const std::vector<std::string>& first, bool heading) const {
    const bool by_number = is_number(column);
    const auto named = std::find(first.begin(), first.end(), column);
    if (by_number && parse_int(column, "--value-column") >= 1 && parse_int(column, "--value-column") <= static_cast<int64_t>(width_)) {
      return static_cast<size_t>(parse_int(column, "--value-column") - 1);
    }
    if (by_number || !heading || named == first.end()) {
      throw Error(Exit::kBadInput, path_, "has no column '" + column + "' for --value-column",
                  heading ? "it has " + join(first, ", ") : cat("a number from 1 to ", width_));
    }
    return static_cast<size_t>(named - first.begin());
  }

  void take(std::vector<float>& numbers) {
    const std::vector<std::string> fields = fields_of(row_, separator_);
    if (fields.size() != width_) {
      throw Error(Exit::kBadInput, path_, cat("line ", lines_.line(), " has ", fields.size(), " fields, the first row ", width_));
    }
    for (size_t i = 0; i < width_; ++i) {
      float value = 0;
      if (!parse_number(fields[i], value)) {
        throw Error(Exit::kBadInput, path_, cat("line ", lines_.line(), ": '", fields[i].substr(0, 30), "' is not a number"));
      }
      (i == value_ ? values_ : numbers).push_back(value);
    }
  }

  std::string path_;
  LineReader lines_;
  std::string row_;
  char separator_ = ',';
  size_t width_ = 0, value_ = SIZE_MAX;
  bool pending_ = false;   // row_ is still to be taken
  int64_t done_ = 0;
  Space space_;
  std::vector<float> values_;
};

}  // namespace

/// Text with a separator whose first or second row is all numbers.
bool recognise_numbers(const std::string& path) {
  try {
    LineReader lines(path);
    std::string row;
    for (int i = 0; i < 2 && lines.next(row); ++i) {
      if (row.find('\0') != std::string::npos || row.find_first_of("\t,;") == std::string::npos) return false;
      if (all_numbers(fields_of(row, separator_of(row)))) return true;
    }
    return false;
  } catch (const Error&) {
    return false;
  }
}

std::unique_ptr<Importer> make_numbers(const ImportOptions& options) { return std::make_unique<NumbersImporter>(options); }

}  // namespace plumb::io
