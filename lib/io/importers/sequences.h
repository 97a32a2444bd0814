// What the importers of sequences share: letters to codes, records to items of one length. Private to them.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "io/importer.h"

namespace plumb::io {

constexpr int64_t kLongestSequence = 1 << 20;  // letters of an item; longer records (chromosomes) are cut into windows

std::string lower_case(std::string text);

/// The letters of --alphabet, in the order of their codes, and what a text may hold besides.
class Alphabet {
 public:
  // Codes that no item may hold:
  static constexpr uint8_t kStop = 253;     ///< the * of a protein, which does not count at its end
  static constexpr uint8_t kUnknown = 254;  ///< a residue that is not known (N), or is none of the letters
  static constexpr uint8_t kForeign = 255;  ///< what such a sequence never holds: the wrong alphabet, or damage

  /// name: dna (also ""), rna, protein, or the letters themselves. Throws Error(kUsage) for fewer than 2 or repeated ones.
  explicit Alphabet(const std::string& name);
  const std::string& letters() const { return letters_; }
  /// Code of a character: its place among letters(), or one of the above. Lower case counts as upper case, unless the alphabet
  /// itself has lower-case letters.
  uint8_t code(char letter) const { return codes_[static_cast<unsigned char>(letter)]; }
  /// Codes of the complements (A-T or A-U, C-G, N-N); empty if the letters are not those of DNA or RNA.
  std::vector<uint8_t> complements() const;
  /// The error for a foreign letter.
  [[noreturn]] void refuse(const std::string& file, const std::string& record, char letter) const;

 private:
  std::string letters_;
  std::array<uint8_t, 256> codes_;
};

/// A record of the source: a FASTA entry, a row of a table.
struct SequenceRecord {
  std::string file, title;   ///< for messages; title: "record 'chr1'", "line 7"
  float value = 0;
  int64_t label = 0;
  bool has_value = true, has_label = true;   ///< false: the field is empty, and the record is left out
};

/// Letters, record by record.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  /// The next record; what was not read of the one before is skipped. False at the end.
  virtual bool next(SequenceRecord& record) = 0;
  /// Up to `size` letters of the record, without blanks and line ends; fewer only at its end.
  virtual size_t read(char* out, size_t size) = 0;
  virtual bool has_values() const { return false; }
  virtual bool has_labels() const { return false; }
  virtual std::vector<std::string> label_names() const { return {}; }
  virtual std::vector<double> class_thresholds() const { return {}; }
};

/// Items of a RecordSource: whole records of one length, or windows of them; one strand or both; with or without repeats. Holds
/// one item at a time, and with --unique 16 bytes of a digest for each item that was given.
class SequenceImporter : public Importer {
 public:
  /// Reads the first record, if its length is to be that of all. Throws Error(kUsage) for options that do not fit.
  SequenceImporter(const ImportOptions& options, std::unique_ptr<RecordSource> source);
  Space space() const override { return space_; }
  int64_t count() const override { return ended_ ? given_ : -1; }
  bool has_labels() const override { return source_->has_labels(); }
  bool has_values() const override { return source_->has_values(); }
  std::vector<std::string> label_names() const override { return source_->label_names(); }
  std::vector<double> class_thresholds() const override { return source_->class_thresholds(); }
  std::vector<std::string> files() const override { return paths_; }
  std::map<std::string, int64_t> tally() const override;
  std::vector<std::string> remarks() const override;
  const std::vector<float>& values() const override { return values_; }
  const std::vector<int64_t>& groups() const override { return groups_; }
  int64_t next(int64_t max, std::vector<uint8_t>& items, std::vector<int64_t>& labels) override;

 private:
  using Codes = std::vector<uint8_t>;
  struct DigestHash {
    size_t operator()(const std::array<uint64_t, 2>& digest) const { return digest[0]; }
  };
  struct Counts {
    int64_t records = 0, other_length = 0, too_short = 0, unknown = 0, without_value = 0, without_label = 0, repeats = 0;
  };
  bool fill_waiting();
  bool open_record();
  size_t read_codes(uint8_t* out, size_t size);
  void load_record();
  void take_record();
  void take_window();
  void take_item();
  void add_item(const Codes& codes);
  [[noreturn]] void refuse_lengths();
  [[noreturn]] void refuse_all() const;

  std::vector<std::string> paths_;
  Alphabet alphabet_;
  std::unique_ptr<RecordSource> source_;
  Space space_;
  Codes complements_;                // empty: the strand that is given only
  size_t window_ = 0, stride_ = 0;   // 0: whole records
  bool length_asked_ = false, unique_ = false;
  SequenceRecord record_;
  bool open_ = false, loaded_ = false;
  Codes codes_;                      // of the record so far, or from the start of the next window
  int64_t length_ = 0;               // letters of the record that was loaded, also those that were not kept
  size_t skip_ = 0;                  // letters before the next window
  bool windows_ = false;             // whether the record had one
  std::vector<Codes> waiting_;       // made and not yet given, the next one last
  std::unordered_set<std::array<uint64_t, 2>, DigestHash> seen_;
  std::vector<float> values_;
  std::vector<int64_t> groups_;
  Counts counts_;
  int64_t given_ = 0;
  bool ended_ = false;
};

}  // namespace plumb::io
