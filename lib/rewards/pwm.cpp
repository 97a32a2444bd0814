// pwm: how well the best site of a DNA or RNA sequence matches a transcription factor's position weight matrix.
// Source: Wasserman and Sandelin 2004, "Applied bioinformatics for the identification of regulatory elements".
// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/sha256.h"
#include "core/text.h"
#include "rewards/sequence_reward.h"

namespace plumb::rewards {
namespace {

constexpr const char* kBases = "ACGT";
constexpr const char* kUsageText = "pwm:FILE[,ID][,pseudocount=0.8][,gc=0.5][,overlap=COLUMNS]";

/// Counts of the four bases at each column of a motif, as JASPAR gives them.
struct CountMatrix {
  std::string id, name;
  std::vector<std::vector<double>> counts;  // [base][column]
  int64_t width() const { return static_cast<int64_t>(counts[0].size()); }
};

/// JASPAR's text formats: ">ID NAME" and four lines of counts, either "A [ 0 3 79 ]" in any order (.jaspar) or bare numbers in the order
/// A C G T (.pfm, where the line with the ID may be missing).
class JasparReader {
 public:
  explicit JasparReader(const std::string& path) : path_(path) {
    each_line(path, [this](const std::string& line, int64_t number) { take(line, number); });
    close();
    if (matrices_.empty()) throw Error(Exit::kBadInput, path, "holds no matrix", "JASPAR's .jaspar or .pfm is known");
  }
  const std::vector<CountMatrix>& matrices() const { return matrices_; }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Exit::kBadInput, path_, what, "JASPAR's .jaspar or .pfm is known");
  }

  void take(const std::string& line, int64_t number) {
    std::string text = trim(line);
    if (text.empty()) return;
    if (text[0] == '>') {
      close();
      const std::string head = trim(text.substr(1));
      const size_t blank = head.find_first_of(" \t");
      open_.id = head.substr(0, blank);
      open_.name = blank == std::string::npos ? "" : trim(head.substr(blank));
      return;
    }
    for (char& c : text) {
      if (c == '[' || c == ']' || c == '\t' || c == ',') c = ' ';
    }
    std::vector<std::string> fields = split(text, ' ');
    std::erase(fields, "");
    size_t base = rows_seen_;
    if (!fields.empty() && fields[0].size() == 1 && std::isalpha(static_cast<unsigned char>(fields[0][0]))) {
      const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(fields[0][0])));
      base = std::string(kBases).find(letter == 'U' ? 'T' : letter);
      if (base == std::string::npos) fail(cat("line ", number, " is of '", letter, "', not of A, C, G or T"));
      fields.erase(fields.begin());
    }
    if (base >= 4) fail(cat("line ", number, " is a fifth line of counts"));
    if (open_.counts.empty()) open_.counts.resize(4);
    if (!open_.counts[base].empty()) fail(cat("line ", number, " gives the counts of ", kBases[base], " twice"));
    if (fields.empty()) fail(cat("line ", number, " has no counts"));
    for (const std::string& field : fields) {
      double value = -1;
      try {
        value = parse_double(field, path_);
      } catch (const Error&) {
      }
      if (value < 0) fail(cat("line ", number, ": '", field, "' is no count"));
      open_.counts[base].push_back(value);
    }
    ++rows_seen_;
  }

  void close() {
    if (rows_seen_ == 0 && open_.id.empty()) return;
    const std::string which = open_.id.empty() ? "the matrix" : "matrix " + open_.id;
    if (rows_seen_ != 4) fail(cat(which, " has ", rows_seen_, " lines of counts, not 4"));
    for (const auto& row : open_.counts) {
      if (row.size() != open_.counts[0].size()) fail(cat(which, " has lines of ", open_.counts[0].size(), " and ", row.size(), " columns"));
    }
    matrices_.push_back(std::move(open_));
    open_ = {};
    rows_seen_ = 0;
  }

  std::string path_;
  std::vector<CountMatrix> matrices_;
  CountMatrix open_;
  size_t rows_seen_ = 0;
};

struct PwmOptions {
  std::string file, id;
  double pseudocount = 0.8;  // of a column, shared out by the background. Source: Nishida et al. 2009
  double gc = 0.5;           // share of G and C in the background
  int64_t overlap = 0;       // columns that must lie on the sequence; 0: all
};

PwmOptions read_options(const RewardSpec& spec) {
  const std::string subject = "reward '" + spec.name + ":" + spec.argument + "'";
  FileArgument argument = split_file_argument(spec, kUsageText);
  PwmOptions out;
  out.file = argument.file;
  for (const std::string& part : argument.rest) {
    const size_t equals = part.find('=');
    const std::string key = part.substr(0, equals), value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (equals == std::string::npos && out.id.empty() && !part.empty()) {
      out.id = part;
    } else if (key == "pseudocount") {
      out.pseudocount = parse_double(value, subject);
    } else if (key == "gc") {
      out.gc = parse_double(value, subject);
    } else if (key == "overlap") {
      out.overlap = parse_int(value, subject);
      if (out.overlap < 1) throw Error(Exit::kUsage, subject, "overlap is at least 1 column");
    } else {
      throw Error(Exit::kUsage, subject, "'" + part + "' is not understood", kUsageText);
    }
  }
  if (out.pseudocount < 0) throw Error(Exit::kUsage, subject, "the pseudocount is below 0");
  if (out.gc <= 0 || out.gc >= 1) throw Error(Exit::kUsage, subject, "gc is a share between 0 and 1");
  return out;
}

/// By id, by id without its version, or by name; the only one if nothing is named.
const CountMatrix& choose(const std::vector<CountMatrix>& all, const PwmOptions& o) {
  std::vector<std::string> ids;
  for (const CountMatrix& m : all) ids.push_back(m.id);
  if (o.id.empty()) {
    if (all.size() == 1) return all[0];
    throw Error(Exit::kUsage, o.file, cat("holds ", all.size(), " matrices, of which one is to be named"), "pwm:FILE," + ids[0]);
  }
  std::vector<const CountMatrix*> found;
  for (const CountMatrix& m : all) {
    if (m.id == o.id) return m;
    if (m.name == o.id || m.id.substr(0, m.id.rfind('.')) == o.id) found.push_back(&m);
  }
  if (found.size() == 1) return *found[0];
  if (found.size() > 1) throw Error(Exit::kUsage, o.file, "'" + o.id + "' fits several matrices", "name one by its ID, such as " + found[0]->id);
  const std::string near = nearest(o.id, ids);
  throw Error(Exit::kUsage, o.file, "there is no matrix '" + o.id + "'", near.empty() ? "IDs are as " + ids[0] : "did you mean '" + near + "'?");
}

/// Best over sites and both strands of Σ_i log2(p_i(x_i) / b(x_i)), p_i(a) = (n_i(a) + s b(a)) / (N_i + s): bits.
class PwmReward : public SequenceReward {
 public:
  PwmReward(const RewardSpec& spec, const PwmOptions& o, const CountMatrix& matrix)
      : SequenceReward(spec), options_(o), digest_(sha256_of_file(o.file)), id_(matrix.id), name_(matrix.name), width_(matrix.width()) {
    const int64_t length = spec.space.shape.at(0);
    overlap_ = o.overlap == 0 ? width_ : o.overlap;
    if (overlap_ > width_) throw Error(Exit::kUsage, subject(), cat("overlap is ", overlap_, ", the matrix has ", width_, " columns"));
    if (overlap_ > length) {
      throw Error(Exit::kBadInput, subject(), cat("needs ", overlap_, " letters, the items are ", spec.space.text()),
                  "overlap=COLUMNS also counts sites that reach beyond the ends");
    }
    const Tensor odds = log_odds(matrix);  // [4,W]
    for (const bool reverse : {false, true}) {
      Tensor strand = at::zeros({alphabet_.size(), width_}, at::kDouble);  // other letters, such as N: 0, as the background
      for (int64_t base = 0; base < 4; ++base) {
        // The site read on the other strand: its columns turn round, and a letter is scored as its complement, A-T and C-G.
        strand[alphabet_.code(kBases[base])].copy_(reverse ? odds[3 - base].flip({0}) : odds[base]);
      }
      strands_.push_back(strand);
    }
  }

  io::Json describe() const override {
    return {{"name", "pwm"}, {"sha256", digest_}, {"id", id_}, {"matrix", name_}, {"width", width_}, {"pseudocount", options_.pseudocount},
            {"gc", options_.gc}, {"overlap", overlap_}, {"unit", "bits"}};
  }

 protected:
  /// The maximum itself, not a smooth one: its gradient is that of the best site, shared among sites that tie (a word that is its own
  /// reverse complement), so the value is the one that is reported.
  Tensor of_letters(const Tensor& p) const override {
    const int64_t beyond = width_ - overlap_;
    const Tensor padded = beyond > 0 ? at::constant_pad_nd(p, {beyond, beyond}) : p;  // columns beyond the ends count 0
    const int64_t sites = padded.size(2) - width_ + 1;
    std::vector<Tensor> scores;
    for (const Tensor& strand : strands_) {
      const Tensor weights = strand.to(p.options());
      Tensor sum;  // [B,sites]; column by column, so that a value does not depend on the batch
      for (int64_t i = 0; i < width_; ++i) {
        for (int64_t k = 0; k < alphabet_.size(); ++k) {
          const Tensor term = padded.select(1, k).narrow(1, i, sites) * weights[k][i];
          sum = sum.defined() ? sum + term : term;
        }
      }
      scores.push_back(sum);
    }
    return at::cat(scores, 1).amax(1);
  }

 private:
  std::string subject() const { return "reward 'pwm:" + options_.file + (id_.empty() ? "" : "," + id_) + "'"; }

  Tensor log_odds(const CountMatrix& matrix) const {
    Tensor odds = at::empty({4, width_}, at::kDouble);
    bool shares = true;
    for (int64_t i = 0; i < width_; ++i) {
      const auto column = static_cast<size_t>(i);
      double total = 0;
      for (size_t base = 0; base < 4; ++base) total += matrix.counts[base][column];
      shares = shares && std::abs(total - 1) < 0.01;
      for (size_t base = 0; base < 4; ++base) {
        const double background = (base == 1 || base == 2 ? options_.gc : 1 - options_.gc) / 2;
        const double share = (matrix.counts[base][column] + options_.pseudocount * background) / (total + options_.pseudocount);
        if (!(share > 0)) {
          throw Error(Exit::kUsage, subject(), cat("column ", i + 1, " has no ", kBases[base], ", whose log-odds are minus infinity"),
                      "give a pseudocount above 0");
        }
        odds[static_cast<int64_t>(base)][i] = std::log2(share / background);
      }
    }
    if (shares && options_.pseudocount > 0) {
      throw Error(Exit::kBadInput, options_.file, "its columns sum to 1: these are probabilities, not counts",
                  "multiply by the number of sites behind them");
    }
    return odds;
  }

  PwmOptions options_;
  std::string digest_, id_, name_;
  int64_t width_, overlap_ = 0;
  std::vector<Tensor> strands_;  // [K,W] each
};

}  // namespace

std::unique_ptr<Reward> make_pwm(const RewardSpec& spec) {
  need_nucleic(spec);
  const PwmOptions options = read_options(spec);
  const JasparReader reader(options.file);
  return std::make_unique<PwmReward>(spec, options, choose(reader.matrices(), options));
}

}  // namespace plumb::rewards
