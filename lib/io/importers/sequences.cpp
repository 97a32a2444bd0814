// SPDX-License-Identifier: Apache-2.0
#include "io/importers/sequences.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/sha256.h"
#include "core/text.h"

namespace plumb::io {
namespace {

struct NamedAlphabet {
  const char* name;
  const char* letters;
  const char* unknown;   // codes for several residues or an unknown one, and rare residues
};

// One-letter codes: IUPAC nucleotides, Cornish-Bowden, Nucleic Acids Res. 13 (1985) 3021; amino acids, IUPAC-IUB JCBN, Eur. J.
// Biochem. 138 (1984) 9, with O and U (pyrrolysine, selenocysteine), J (Leu or Ile), and * for a stop.
constexpr NamedAlphabet kNamed[] = {{"dna", "ACGT", "RYSWKMBDHVN"},
                                    {"rna", "ACGU", "RYSWKMBDHVN"},
                                    {"protein", "ACDEFGHIKLMNPQRSTVWY", "BJOUXZ"}};
constexpr size_t kBlock = 1 << 12;

bool is_printable(char c) { return c > ' ' && c < 127; }

/// Both halves of the first 128 bits of SHA-256: two of 2^32 different items are taken for repeats with a chance of 2^-65.
std::array<uint64_t, 2> digest_of(const std::vector<uint8_t>& codes) {
  Sha256 sha;
  sha.update(codes.data(), codes.size());
  const std::string hex = sha.hex();
  std::array<uint64_t, 2> digest{};
  for (size_t i = 0; i < 2; ++i) std::from_chars(hex.data() + 16 * i, hex.data() + 16 * (i + 1), digest[i], 16);
  return digest;
}

}  // namespace

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Alphabet::Alphabet(const std::string& name) : letters_(name) {
  std::string unknown;
  bool named = false;
  for (const NamedAlphabet& known : kNamed) {
    if (lower_case(name.empty() ? "dna" : name) != known.name) continue;
    letters_ = known.letters;
    unknown = known.unknown;
    named = true;
  }
  if (!named) {
    if (name.size() > 4 && nearest(name, {"protein"}) == "protein") {
      throw Error(Exit::kUsage, "--alphabet", "unknown name '" + name + "'", "did you mean 'protein'?");
    }
    const std::unordered_set<char> distinct(name.begin(), name.end());
    if (name.size() < 2 || distinct.size() != name.size() || !std::all_of(name.begin(), name.end(), is_printable)) {
      throw Error(Exit::kUsage, "--alphabet", "'" + name + "' is not two or more different letters", "or give dna, rna or protein");
    }
  }
  codes_.fill(kForeign);
  const bool fold = std::none_of(letters_.begin(), letters_.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  const auto set = [&](char letter, uint8_t code) {
    codes_[static_cast<unsigned char>(letter)] = code;
    if (fold && letter >= 'A' && letter <= 'Z') codes_[static_cast<unsigned char>(letter - 'A' + 'a')] = code;
  };
  for (char c = '!'; !named && c < 127; ++c) codes_[static_cast<unsigned char>(c)] = kUnknown;
  for (const char c : unknown) set(c, kUnknown);
  if (unknown.find('X') != std::string::npos) set('*', kStop);
  for (size_t i = 0; i < letters_.size(); ++i) set(letters_[i], static_cast<uint8_t>(i));
}

std::vector<uint8_t> Alphabet::complements() const {
  const bool rna = letters_.find('U') != std::string::npos;
  const std::string bases = rna ? "ACGUN" : "ACGTN", partners = rna ? "UGCAN" : "TGCAN";
  std::vector<uint8_t> codes;
  for (const char letter : letters_) {
    const size_t base = bases.find(letter);
    const size_t partner = base == std::string::npos ? base : letters_.find(partners[base]);
    if (partner == std::string::npos) return {};
    codes.push_back(static_cast<uint8_t>(partner));
  }
  return codes.size() < 4 ? std::vector<uint8_t>{} : codes;
}

void Alphabet::refuse(const std::string& file, const std::string& record, char letter) const {
  const std::string what = is_printable(letter) ? cat("the letter '", letter, "'") : cat("a byte ", int{static_cast<unsigned char>(letter)});
  std::string hint = "give the right --alphabet";
  if (letter == '-' || letter == '.') hint = "take the gaps of an alignment out, or name their sign in --alphabet LETTERS";
  else if (letters_ == "ACGT") hint = "give --alphabet rna, protein or its letters";
  else if (letters_ == "ACGU") hint = "give --alphabet dna, protein or its letters";
  throw Error(Exit::kBadInput, file, cat(record, " has ", what, ", which does not stand for any of ", letters_), hint);
}

SequenceImporter::SequenceImporter(const ImportOptions& options, std::unique_ptr<RecordSource> source)
    : paths_(options.paths), alphabet_(options.alphabet), source_(std::move(source)), window_(static_cast<size_t>(options.window)),
      stride_(static_cast<size_t>(options.stride > 0 ? options.stride : options.window)), length_asked_(options.length > 0),
      unique_(options.unique) {
  if (options.window > 0 && options.length > 0) {
    throw Error(Exit::kUsage, "--length", "does not go with --window, which cuts records of any length", "leave one of them out");
  }
  if (options.stride > 0 && options.window == 0) throw Error(Exit::kUsage, "--stride", "needs --window", "leave it out");
  if (options.strands == "both") {
    complements_ = alphabet_.complements();
    if (complements_.empty()) {
      throw Error(Exit::kUsage, "--strands", "both is for DNA and RNA, not for the letters " + alphabet_.letters(), "leave it out");
    }
  }
  space_.type = "sequence";
  space_.alphabet = alphabet_.letters();
  space_.shape = {options.window > 0 ? options.window : options.length};
  if (space_.shape[0] > 0) return;
  if (!open_record()) refuse_all();
  load_record();
  if (length_ == 0) throw Error(Exit::kBadInput, record_.file, record_.title + ", the first, has no letters", "give --length or --window");
  if (length_ > kLongestSequence) {
    throw Error(Exit::kBadInput, record_.file, cat(record_.title, " has ", length_, " letters, an item at most ", kLongestSequence),
                "cut it by --window");
  }
  space_.shape = {length_};
}

int64_t SequenceImporter::next(int64_t max, std::vector<uint8_t>& items, std::vector<int64_t>& labels) {
  items.clear();
  labels.clear();
  values_.clear();
  groups_.clear();
  int64_t got = 0;
  for (; got < max && fill_waiting(); ++got) {
    items.insert(items.end(), waiting_.back().begin(), waiting_.back().end());
    waiting_.pop_back();
    if (has_labels()) labels.push_back(record_.label);
    if (has_values()) values_.push_back(record_.value);
    groups_.push_back(counts_.records - 1);
  }
  given_ += got;
  if (ended_ && given_ == 0) refuse_all();
  return got;
}

/// Makes sure that an item waits. False at the end.
bool SequenceImporter::fill_waiting() {
  while (waiting_.empty()) {
    if (ended_ || (!open_ && !open_record())) {
      ended_ = true;
      return false;
    }
    if (window_ > 0) take_window();
    else take_record();
  }
  return true;
}

bool SequenceImporter::open_record() {
  if (!source_->next(record_)) return false;
  ++counts_.records;
  open_ = true;
  windows_ = false;
  skip_ = 0;
  codes_.clear();
  return true;
}

/// The next letters of the record as codes; fewer than `size` only at its end.
size_t SequenceImporter::read_codes(uint8_t* out, size_t size) {
  char* letters = reinterpret_cast<char*>(out);
  const size_t got = source_->read(letters, size);
  for (size_t i = 0; i < got; ++i) {
    const uint8_t code = alphabet_.code(letters[i]);
    if (code == Alphabet::kForeign) alphabet_.refuse(record_.file, record_.title, letters[i]);
    out[i] = code;
  }
  return got;
}

/// A whole record into codes_, as far as an item may go, and its length.
void SequenceImporter::load_record() {
  const size_t limit = static_cast<size_t>(space_.shape[0] > 0 ? space_.shape[0] : kLongestSequence);
  std::array<uint8_t, kBlock> block;
  length_ = 0;
  uint8_t last = 0;
  for (size_t got = 0; (got = read_codes(block.data(), block.size())) > 0;) {
    last = block[got - 1];
    length_ += static_cast<int64_t>(got);
    codes_.insert(codes_.end(), block.data(), block.data() + std::min(got, limit - codes_.size()));
  }
  if (last == Alphabet::kStop) --length_;
  if (static_cast<int64_t>(codes_.size()) > length_) codes_.pop_back();
  loaded_ = true;
}

/// A whole record as an item, if it can be one.
void SequenceImporter::take_record() {
  if (!loaded_) load_record();
  open_ = loaded_ = false;
  if (!record_.has_value) ++counts_.without_value;
  else if (!record_.has_label) ++counts_.without_label;
  else if (length_ == space_.shape[0]) take_item();
  else if (length_asked_) ++counts_.other_length;
  else refuse_lengths();
}

/// The next window of the record as an item, if it can be one. Those that the record's end cuts off are left out.
void SequenceImporter::take_window() {
  if (!record_.has_value || !record_.has_label) {
    ++(record_.has_value ? counts_.without_label : counts_.without_value);
    open_ = false;
    return;
  }
  std::array<uint8_t, kBlock> passed;
  while (skip_ > 0) {
    const size_t got = read_codes(passed.data(), std::min(skip_, passed.size()));
    if (got == 0) break;
    skip_ -= got;
  }
  const size_t held = codes_.size();
  codes_.resize(window_);
  if (skip_ > 0 || read_codes(codes_.data() + held, window_ - held) < window_ - held) {
    if (!windows_) ++counts_.too_short;
    open_ = false;
    return;
  }
  windows_ = true;
  take_item();
  codes_.erase(codes_.begin(), codes_.begin() + static_cast<std::ptrdiff_t>(std::min(stride_, window_)));
  skip_ = stride_ - std::min(stride_, window_);
}

/// codes_, and its reverse complement, as items; nothing if a residue is not known.
void SequenceImporter::take_item() {
  if (std::any_of(codes_.begin(), codes_.end(), [](uint8_t code) { return code >= Alphabet::kStop; })) {
    ++counts_.unknown;
    return;
  }
  Codes reverse;
  for (auto code = codes_.rbegin(); !complements_.empty() && code != codes_.rend(); ++code) reverse.push_back(complements_[*code]);
  add_item(codes_);
  if (!reverse.empty()) add_item(reverse);
  std::reverse(waiting_.begin(), waiting_.end());
}

void SequenceImporter::add_item(const Codes& codes) {
  if (unique_ && !seen_.insert(digest_of(codes)).second) ++counts_.repeats;
  else waiting_.push_back(codes);
}

/// Says how long the records are, to the last one, so that a length or a window can be chosen.
void SequenceImporter::refuse_lengths() {
  const std::string file = record_.file, odd = cat(record_.title, " has ", length_, " letters, the first record ", space_.shape[0]);
  int64_t shortest = std::min(length_, space_.shape[0]), longest = std::max(length_, space_.shape[0]);
  while (open_record()) {
    load_record();
    shortest = std::min(shortest, length_);
    longest = std::max(longest, length_);
  }
  throw Error(Exit::kBadInput, file, cat(odd, ": lengths go from ", shortest, " to ", longest),
              cat("cut windows with --window ", std::max<int64_t>(shortest, 1), ", say, or keep one length with --length ", space_.shape[0]));
}

std::map<std::string, int64_t> SequenceImporter::tally() const {
  std::map<std::string, int64_t> tally{{"records", counts_.records}};
  if (length_asked_) tally["records_other_length"] = counts_.other_length;
  if (window_ > 0) tally["records_too_short"] = counts_.too_short;
  tally[window_ > 0 ? "windows_unknown_letters" : "records_unknown_letters"] = counts_.unknown;
  if (has_values()) tally["records_without_value"] = counts_.without_value;
  if (has_labels()) tally["records_without_label"] = counts_.without_label;
  if (unique_) tally["repeats"] = counts_.repeats;
  return tally;
}

std::vector<std::string> SequenceImporter::remarks() const {
  std::vector<std::string> lines;
  const auto remark = [&](int64_t count, const std::string& what) {
    if (count > 0) lines.push_back(cat(count, what));
  };
  const std::string of = cat(" of ", counts_.records, " records ");
  remark(counts_.other_length, cat(of, "have another length than ", space_.shape[0]));
  remark(counts_.too_short, cat(of, "are shorter than a window of ", space_.shape[0]));
  remark(counts_.unknown, cat(window_ > 0 ? " windows " : of, "have letters besides ", alphabet_.letters()));
  remark(counts_.without_value, of + "have no value");
  remark(counts_.without_label, of + "have no class");
  return lines;
}

/// At the end, without a single item.
void SequenceImporter::refuse_all() const {
  const std::vector<std::string> why = remarks();
  if (why.empty()) throw Error(Exit::kBadInput, paths_[0], "holds no sequence");
  throw Error(Exit::kBadInput, paths_[0], "no sequence is left: " + join(why, ", "), "look at --alphabet, --length and --window");
}

}  // namespace plumb::io
