// FASTA: a line of > and a name, then letters over any number of lines. Source: Pearson and Lipman, PNAS 85 (1988) 2444.
// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "core/error.h"
#include "core/text.h"
#include "io/byte_source.h"
#include "io/importers/common.h"
#include "io/importers/sequences.h"

namespace plumb::io {
namespace {

constexpr size_t kBlock = 1 << 16;
constexpr size_t kNameShown = 60;
constexpr std::string_view kMark = "\xEF\xBB\xBF";   // of UTF-8, which some editors write at the start of a file

bool is_line_end(int c) { return c == '\n' || c == '\r'; }
bool is_blank(int c) { return c == ' ' || c == '\t' || is_line_end(c); }

/// Records of several files on end. Lines may have any length, end in \n, \r\n or \r, and be empty; those that start with ; are
/// comments.
class FastaSource : public RecordSource {
 public:
  explicit FastaSource(std::vector<std::string> paths) : paths_(std::move(paths)), block_(kBlock) {}

  bool next(SequenceRecord& record) override {
    while (!find_heading()) {
      if (source_ && headings_ == 0) throw Error(Exit::kBadInput, source_->name(), "holds no record", "a record starts with >");
      if (file_ == paths_.size()) return false;
      source_ = open_source(paths_[file_++]);
      at_ = filled_ = 0;
      line_ = 1;
      headings_ = 0;
      line_start_ = true;
      pass_byte_order_mark();
    }
    ++headings_;
    record = SequenceRecord{};
    record.file = source_->name();
    record.title = heading();
    return true;
  }

  size_t read(char* out, size_t size) override {
    size_t got = 0;
    while (got < size) {
      const int c = letter();
      if (c < 0) break;
      out[got++] = static_cast<char>(c);
    }
    return got;
  }

 private:
  /// The byte ahead, -1 at the end of the file.
  int peek() {
    if (at_ == filled_) {
      filled_ = source_ ? source_->read(block_.data(), block_.size()) : 0;
      at_ = 0;
      if (filled_ == 0) return -1;
    }
    return static_cast<unsigned char>(block_[at_]);
  }
  void pass_byte_order_mark() {
    peek();
    if (filled_ >= kMark.size() && kMark.compare(0, kMark.size(), block_.data(), kMark.size()) == 0) at_ = kMark.size();
  }
  void pass(int c) {
    ++at_;
    line_start_ = is_line_end(c);
    line_ += c == '\n';
  }
  void pass_line() {
    for (int c = peek(); c >= 0; c = peek()) {
      pass(c);
      if (line_start_) return;
    }
  }
  /// The next letter of a record; -1 before a heading and at the end of the file.
  int letter() {
    for (int c = peek(); c >= 0; c = peek()) {
      if (line_start_ && c == '>') return -1;
      if (line_start_ && c == ';') {
        pass_line();
        continue;
      }
      pass(c);
      if (!is_blank(c)) return c;
    }
    return -1;
  }
  /// Goes to the next > that starts a line. False at the end of the file.
  bool find_heading() {
    while (letter() >= 0) {
      if (headings_ == 0) {
        throw Error(Exit::kBadInput, source_->name(), cat("is not FASTA: line ", line_, " comes before a line that starts with >"),
                    "for a table of sequences give --format table");
      }
    }
    return peek() >= 0;
  }
  /// Reads a heading, and makes a title of its first word.
  std::string heading() {
    const int64_t line = line_;
    std::string name;
    bool in_name = true;
    pass('>');
    for (int c = peek(); c >= 0 && !is_line_end(c); c = peek()) {
      in_name = in_name && (!is_blank(c) || name.empty());
      const bool shown = in_name && c > ' ' && c < 127 && name.size() < kNameShown;
      if (shown) name += static_cast<char>(c);
      pass(c);
    }
    return name.empty() ? cat("the record of line ", line) : cat("record '", name, "' (line ", line, ")");
  }

  std::vector<std::string> paths_;
  std::vector<char> block_;
  std::unique_ptr<ByteSource> source_;
  size_t file_ = 0, at_ = 0, filled_ = 0;
  int64_t line_ = 1, headings_ = 0;
  bool line_start_ = true;
};

}  // namespace

bool recognise_fasta(const std::string& path) {
  try {
    const auto source = open_source(path);
    size_t at = 0;
    for (char c = 0; source->read(&c, 1) == 1; ++at) {
      if (at < kMark.size() && c == kMark[at]) continue;
      if (!is_blank(c)) return c == '>';
    }
  } catch (const Error&) {
  }
  return false;
}

std::unique_ptr<Importer> make_fasta(const ImportOptions& options) {
  refuse_unused(options, "fasta", {"alphabet", "length", "window", "stride", "strands", "unique"});
  return std::make_unique<SequenceImporter>(options, std::make_unique<FastaSource>(options.paths));
}

}  // namespace plumb::io
