// A simulated user: prefers some classes, or items of high reward, and errs at a known rate. What papers put in a person's place
// (PAPA, arXiv 2607.00486: a classifier's class in the preference set; D3PO: the higher reward wins).
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "feedback/asker.h"

namespace plumb::feedback {
namespace {

constexpr const char* kForm = "oracle:label=5,7,9, oracle:reward=COLUMN>=X or oracle:pareto=A;B, then ,error=P and ,seed=S; see feedback(1)";

struct OracleSpec {
  std::vector<std::string> labels, pareto;
  std::string reward, comparison;
  double threshold = 0, error = 0;
  uint64_t seed = 0;
};

[[noreturn]] void refuse(const std::string& what) { throw Error(Exit::kUsage, "--ask oracle", what, kForm); }

/// Takes ",KEY=VALUE" off the end of `text`, if it stands there.
bool take_last(std::string& text, const std::string& key, std::string& value) {
  const size_t at = text.rfind("," + key + "=");
  if (at == std::string::npos || text.find(',', at + 1) != std::string::npos) return false;
  value = text.substr(at + key.size() + 2);
  text.resize(at);
  return true;
}

OracleSpec parse(std::string text) {
  OracleSpec spec;
  bool had_error = false, had_seed = false;
  for (std::string value;;) {  // a reward's name may hold commas and equal signs: the other keys are taken off from behind
    if (!had_error && take_last(text, "error", value)) had_error = true, spec.error = parse_double(value, "--ask oracle: error");
    else if (!had_seed && take_last(text, "seed", value)) {
      const int64_t seed = parse_int(value, "--ask oracle: seed");
      if (seed < 0) refuse("seed is negative");
      had_seed = true, spec.seed = static_cast<uint64_t>(seed);
    } else break;
  }
  if (!(spec.error >= 0 && spec.error <= 1)) refuse(cat("error is ", spec.error, ", should be from 0 to 1"));
  if (text.rfind("label=", 0) == 0) {
    for (const std::string& label : split(text.substr(6), ',')) {
      if (trim(label).empty() || label.find('=') != std::string::npos) refuse("'" + label + "' is no class");
      spec.labels.push_back(trim(label));
    }
    return spec;
  }
  if (text.rfind("pareto=", 0) == 0) {
    for (const std::string& name : split(text.substr(7), ';')) spec.pareto.push_back(trim(name));
    return spec;
  }
  if (text.rfind("reward=", 0) != 0) refuse("'" + text + "' is neither label= nor reward= nor pareto=");
  spec.reward = text.substr(7);
  const size_t at = spec.reward.find_last_of("<>");
  if (at != std::string::npos && at > 0) {
    const bool equal = spec.reward.compare(at + 1, 1, "=") == 0;
    spec.comparison = spec.reward.substr(at, equal ? 2 : 1);
    spec.threshold = parse_double(spec.reward.substr(at + spec.comparison.size()), "--ask oracle: threshold");
    spec.reward.resize(at);
  }
  spec.reward = trim(spec.reward);
  return spec;
}

std::vector<double> column_of(const AskerInput& in, const std::string& name) {
  return in.score ? in.score(name, *in.items) : score_column(*in.input, *in.items, name);
}

std::set<int64_t> classes_of(const AskerInput& in, const std::vector<std::string>& wanted) {
  std::vector<std::string> names;
  for (const char* kind : {"samples", "dataset", "model"}) {
    const auto from = in.items->manifest().find(kind);
    if (names.empty() && from && from->json().contains("classes")) names = from->json()["classes"].get<std::vector<std::string>>();
  }
  std::set<int64_t> classes;
  for (const std::string& label : wanted) {
    const auto named = std::find(names.begin(), names.end(), label);
    if (named != names.end()) classes.insert(named - names.begin());
    else if (label.find_first_not_of("0123456789") == std::string::npos) {
      const int64_t number = parse_int(label, "--ask oracle: label");
      if (!names.empty() && number >= static_cast<int64_t>(names.size())) refuse(cat("there is no class ", number, ": they are 0 to ", names.size() - 1));
      classes.insert(number);
    } else refuse("there is no class '" + label + "' of these");
  }
  return classes;
}

class Oracle : public Asker {
 public:
  Oracle(OracleSpec spec, std::vector<std::vector<double>> columns, bool thresholded, int64_t first_item)
      : spec_(std::move(spec)), columns_(std::move(columns)), thresholded_(thresholded), first_item_(first_item) {}

  Reply ask(QuestionSource& source, int64_t first, int64_t, bool) override {
    Reply reply{Reply::What::kAnswers, {}, {}};
    for (int64_t q = first; q < std::min(first + kAtOnce, source.total()); ++q) reply.answers.push_back(answer(source.mode(), source.items(q)));
    return reply;
  }

 private:
  double value(int64_t item) const { return columns_[0].at(static_cast<size_t>(item)); }
  std::vector<double> values(int64_t item) const {
    std::vector<double> all;
    for (const auto& column : columns_) all.push_back(column.at(static_cast<size_t>(item)));
    return all;
  }
  bool likes(int64_t item) const {
    const double v = value(item);
    if (!thresholded_) return v > 0;
    return spec_.comparison == ">=" ? v >= spec_.threshold : spec_.comparison == ">" ? v > spec_.threshold
           : spec_.comparison == "<=" ? v <= spec_.threshold : v < spec_.threshold;
  }
  /// What is compared: with a threshold, only on which side of it an item lies.
  double standing(int64_t item) const { return thresholded_ ? (likes(item) ? 1 : 0) : value(item); }
  /// The draw of an item, or of two: a function of the seed and of their numbers among all samples, so that neither order nor budget
  /// changes it.
  bool errs(int64_t item) const { return drawn(first_item_ + item, 0); }
  bool errs_between(int64_t a, int64_t b) const {
    return drawn(first_item_ + std::min(a, b), static_cast<uint32_t>(first_item_ + std::max(a, b)) + 1);
  }
  bool drawn(int64_t item, uint32_t other) const {
    return Philox(spec_.seed, Stream::kLabelNoise, static_cast<uint64_t>(item), other).uniform() < spec_.error;
  }

  Answer answer(Mode mode, const std::vector<int64_t>& items) const {
    Answer answer;
    if (mode == Mode::kPairs) {
      const double by = standing(items[0]) - standing(items[1]);
      answer.y = columns_.size() > 1 ? pareto_preference(values(items[0]), values(items[1])) : by > 0 ? 1 : by < 0 ? -1 : 0;
      if (answer.y != 0 && errs_between(items[0], items[1])) answer.y = -answer.y;  // a tie has no sign, not even in its bits
    } else if (mode == Mode::kRank) {
      answer.ranks = ranks(items);
    } else {
      const bool like = likes(items[0]) != errs(items[0]);
      answer.y = like ? 1 : -1;
      answer.rating = like ? kTopRating : 1;
    }
    return answer;
  }

  /// Best first, equal standing equal rank; then, from the best down, each two neighbours change places with the error rate.
  std::vector<int64_t> ranks(const std::vector<int64_t>& items) const {
    std::vector<size_t> order(items.size());
    for (size_t k = 0; k < order.size(); ++k) order[k] = k;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return standing(items[a]) > standing(items[b]); });
    std::vector<int64_t> result(items.size());
    for (size_t k = 0; k < order.size(); ++k) {
      const bool tie = k > 0 && standing(items[order[k]]) == standing(items[order[k - 1]]);
      result[order[k]] = tie ? result[order[k - 1]] : static_cast<int64_t>(k) + 1;
    }
    for (size_t k = 1; k < order.size(); ++k) {
      if (errs_between(items[order[k - 1]], items[order[k]])) std::swap(result[order[k - 1]], result[order[k]]), std::swap(order[k - 1], order[k]);
    }
    return result;
  }

  OracleSpec spec_;
  std::vector<std::vector<double>> columns_;   // of rewards, or 1 for a preferred class and 0 for another: [N] each
  bool thresholded_;
  int64_t first_item_;
};

}  // namespace

void check_oracle(const std::string& argument, Mode mode) {
  const OracleSpec spec = parse(argument);
  if (!spec.pareto.empty() && (mode != Mode::kPairs || spec.pareto.size() < 2)) refuse("pareto compares two items by two rewards or more: --mode pairs");
  if (!spec.reward.empty() && spec.comparison.empty() && (mode == Mode::kSingle || mode == Mode::kRating)) {
    refuse("--mode " + name_of(mode) + " needs a threshold: reward=" + spec.reward + ">=X");
  }
}

std::unique_ptr<Asker> make_oracle(const AskerInput& input) {
  check_oracle(input.argument, input.mode);
  OracleSpec spec = parse(input.argument);
  const int64_t first = input.items->first();
  if (!spec.pareto.empty()) {
    std::vector<std::vector<double>> columns;
    for (const std::string& name : spec.pareto) columns.push_back(column_of(input, name));
    return std::make_unique<Oracle>(std::move(spec), std::move(columns), false, first);
  }
  std::vector<double> value;
  if (!spec.reward.empty()) {
    value = column_of(input, spec.reward);
    const bool thresholded = !spec.comparison.empty();
    return std::make_unique<Oracle>(std::move(spec), std::vector<std::vector<double>>{std::move(value)}, thresholded, first);
  }
  const std::vector<int64_t> labels = input.items->labels();
  if (static_cast<int64_t>(labels.size()) != input.items->count()) {
    throw Error(Exit::kBadInput, input.items->manifest().label(), "has no labels for the simulated user to go by",
                "sample with --class, or give scores and oracle:reward=COLUMN>=X");
  }
  const std::set<int64_t> preferred = classes_of(input, spec.labels);
  for (const int64_t label : labels) value.push_back(preferred.count(label) ? 1 : 0);
  return std::make_unique<Oracle>(std::move(spec), std::vector<std::vector<double>>{std::move(value)}, false, first);
}

}  // namespace plumb::feedback
