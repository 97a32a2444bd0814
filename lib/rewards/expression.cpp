// SPDX-License-Identifier: Apache-2.0
#include "rewards/expression.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "rewards/registry.h"

namespace plumb::rewards {
namespace {

constexpr int kMaxDepth = 200;  // of parentheses and signs: far above use, far below the stack

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_argument_end(char c) { return c == '+' || c == '*' || c == '(' || c == ')'; }

/// Length of a leading "COLUMN=", 0 if there is none: '=' is reached through name characters and '.' alone.
size_t column_length(const std::string& text) {
  size_t i = 0;
  while (i < text.size() && (is_name_char(text[i]) || text[i] == '.')) ++i;
  return i > 0 && i < text.size() && text[i] == '=' ? i : 0;
}

}  // namespace

/// Recursive descent over one text.
class ExpressionParser {
 public:
  ExpressionParser(const std::string& whole, Expression& out) : whole_(whole), text_(out.text_), out_(out) {}

  void parse() {
    if (text_.rfind("exec:", 0) == 0) {
      const std::string command = trim(text_.substr(5));
      if (command.empty()) fail("the command after 'exec:' is missing");
      add_term({"exec", command});
      return;
    }
    sum();
    skip_blanks();
    if (at_ < text_.size()) {
      fail(text_[at_] == ')' ? "there is a ')' too many" : "expected + - * / before '" + text_.substr(at_) + "'");
    }
    if (out_.terms_.empty()) fail("there is no reward in it");
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Exit::kUsage, "reward '" + whole_ + "'", what, "see plumb-rewards(7)");
  }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void push(Expression::Op op) { out_.nodes_.push_back({op, 0, 0}); }

  void add_term(const RewardTerm& term) {
    const auto found = std::find(out_.terms_.begin(), out_.terms_.end(), term);
    const size_t index = static_cast<size_t>(found - out_.terms_.begin());
    if (found == out_.terms_.end()) out_.terms_.push_back(term);
    out_.nodes_.push_back({Expression::Op::kTerm, index, 0});
  }

  void sum() {
    product();
    for (;;) {
      if (take('+')) {
        product();
        push(Expression::Op::kAdd);
      } else if (take('-')) {
        product();
        push(Expression::Op::kSubtract);
      } else {
        return;
      }
    }
  }

  void product() {
    factor();
    for (;;) {
      if (take('*')) {
        factor();
        push(Expression::Op::kMultiply);
      } else if (take('/')) {
        factor();
        push(Expression::Op::kDivide);
      } else {
        return;
      }
    }
  }

  void factor() {
    if (++depth_ > kMaxDepth) fail("it is nested too deeply");
    if (take('-')) {
      factor();
      push(Expression::Op::kNegate);
    } else if (take('(')) {
      sum();
      if (!take(')')) fail("a '(' is not closed");
    } else if (at_ < text_.size() && is_letter(text_[at_])) {
      name();
    } else if (at_ < text_.size() && (is_digit(text_[at_]) || text_[at_] == '.')) {
      number();
    } else {
      fail(at_ < text_.size() ? "expected a reward, a number or '(' at '" + text_.substr(at_) + "'"
                              : "expected a reward, a number or '(' at its end");
    }
    --depth_;
  }

  void number() {
    double value = 0;
    const auto [end, status] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (status != std::errc() || !std::isfinite(value)) fail("bad number at '" + text_.substr(at_) + "'");
    at_ = static_cast<size_t>(end - text_.data());
    out_.nodes_.push_back({Expression::Op::kNumber, 0, value});
  }

  void name() {
    RewardTerm term;
    while (at_ < text_.size() && is_name_char(text_[at_])) term.name += text_[at_++];
    if (at_ < text_.size() && text_[at_] == ':') {
      ++at_;
      term.argument = argument();
      if (term.argument.empty()) fail("the argument after '" + term.name + ":' is missing");
    }
    add_term(term);
  }

  std::string argument() {
    if (at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"')) {
      const char quote = text_[at_];
      const size_t end = text_.find(quote, at_ + 1);
      if (end == std::string::npos) fail(std::string("the quote ") + quote + " is not closed");
      const std::string inside = text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
      return inside;
    }
    const size_t begin = at_;
    while (at_ < text_.size() && !is_blank(text_[at_]) && !is_argument_end(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  const std::string& whole_;
  const std::string& text_;
  Expression& out_;
  size_t at_ = 0;
  int depth_ = 0;
};

Expression Expression::parse(const std::string& text) {
  Expression result;
  const std::string whole = trim(text);
  const size_t column = column_length(whole);
  result.text_ = trim(column ? whole.substr(column + 1) : whole);
  result.column_ = column ? whole.substr(0, column) : result.text_;
  ExpressionParser(whole, result).parse();
  return result;
}

Tensor Expression::evaluate(const std::vector<Tensor>& term_values) const {
  std::vector<Tensor> stack;
  auto pop = [&stack] {
    Tensor top = stack.back();
    stack.pop_back();
    return top;
  };
  for (const Node& node : nodes_) {
    switch (node.op) {
      case Op::kTerm: stack.push_back(term_values.at(node.term)); break;
      case Op::kNumber: stack.push_back(at::scalar_tensor(node.number, at::kDouble)); break;
      case Op::kNegate: stack.push_back(-pop()); break;
      default: {
        const Tensor right = pop(), left = pop();
        stack.push_back(node.op == Op::kAdd        ? left + right
                        : node.op == Op::kSubtract ? left - right
                        : node.op == Op::kMultiply ? left * right
                                                   : left / right);
      }
    }
  }
  return stack.back();
}

RewardSet::RewardSet(const std::vector<std::string>& expressions, const io::Space& space, at::Device device,
                     double timeout_s) {
  for (const std::string& text : expressions) {
    Expression expression = Expression::parse(text);
    for (size_t i = 0; i < expressions_.size(); ++i) {
      if (column(i) == reward_dataset_name(text)) {
        throw Error(Exit::kUsage, "reward '" + text + "'", "there are two columns named '" + column(i) + "'",
                    "name one of them: --reward NAME=EXPRESSION");
      }
    }
    std::vector<size_t> indices;
    for (const RewardTerm& term : expression.terms()) {
      const auto found = std::find(terms_.begin(), terms_.end(), term);
      indices.push_back(static_cast<size_t>(found - terms_.begin()));
      if (found != terms_.end()) continue;
      terms_.push_back(term);
      rewards_.push_back(make_named_reward({term.name, term.argument, space, device, timeout_s}));
    }
    expressions_.push_back(std::move(expression));
    term_of_.push_back(std::move(indices));
  }
}

std::string RewardSet::column(size_t i) const { return reward_dataset_name(expressions_[i].column()); }

namespace {

void check_values(const Tensor& values, const std::string& reward, int64_t first) {
  if (at::isfinite(values).all().item<bool>()) return;
  const double* value = values.const_data_ptr<double>();
  int64_t item = 0;
  while (std::isfinite(value[item])) ++item;
  throw Error(Exit::kBadNumbers, "reward '" + reward + "'", cat("item ", first + item, " has the value ", value[item]),
              "look at that item, or at what the reward divides by");
}

}  // namespace

std::vector<Tensor> RewardSet::score(const RewardBatch& batch) {
  std::vector<Tensor> values;
  for (size_t k = 0; k < terms_.size(); ++k) {
    Tensor value = rewards_[k]->score(batch).to(at::kDouble).contiguous();
    if (value.dim() != 1 || value.size(0) != batch.items.size(0)) {
      throw Error(Exit::kFailed, "reward '" + terms_[k].text() + "'",
                  cat("gave ", shape_text(value.sizes().vec()), " for ", batch.items.size(0), " items"));
    }
    check_values(value, terms_[k].text(), batch.first);
    values.push_back(std::move(value));
  }
  std::vector<Tensor> results;
  for (size_t i = 0; i < expressions_.size(); ++i) {
    std::vector<Tensor> own;
    for (size_t k : term_of_[i]) own.push_back(values[k]);
    results.push_back(expressions_[i].evaluate(own).contiguous());
    check_values(results.back(), expressions_[i].text(), batch.first);
  }
  return results;
}

namespace {

/// Whether the formula's value rises with one of its terms, at a hundred points of either sign.
bool rises_with(const Expression& expression, size_t term, size_t terms) {
  constexpr int64_t kPoints = 100;
  std::vector<Tensor> at_points, above;
  for (size_t k = 0; k < terms; ++k) {
    const Tensor u = at::arange(1, kPoints + 1, at::kDouble) * (0.6180339887 * static_cast<double>(2 * k + 1));
    at_points.push_back((u - u.floor() - 0.5) * 8.0);  // in (-4, 4), spread evenly
    above.push_back(k == term ? at_points.back() + 1e-3 : at_points.back());
  }
  return (expression.evaluate(above) > expression.evaluate(at_points)).all().item<bool>();
}

}  // namespace

bool RewardSet::differentiable(size_t i) const {
  return std::all_of(term_of_[i].begin(), term_of_[i].end(), [this](size_t k) { return rewards_[k]->differentiable(); });
}

std::vector<std::string> RewardSet::without_gradient(size_t i) const {
  std::vector<std::string> parts;
  for (size_t k : term_of_[i]) {
    if (!rewards_[k]->differentiable()) parts.push_back(terms_[k].text());
  }
  return parts;
}

bool RewardSet::is_conservative(size_t i) const {
  bool any = false;
  for (size_t term = 0; term < term_of_[i].size(); ++term) {
    if (!rewards_[term_of_[i][term]]->is_conservative()) continue;
    any = true;
    if (!rises_with(expressions_[i], term, term_of_[i].size())) return false;
  }
  return any;
}

Tensor RewardSet::score_differentiable(size_t i, const Tensor& x0, const Tensor& label) {
  std::vector<Tensor> own;
  for (size_t k : term_of_[i]) own.push_back(rewards_[k]->score_differentiable(x0, label));
  return expressions_[i].evaluate(own);
}

io::Json RewardSet::describe(size_t i) const {
  io::Json terms = io::Json::array();
  for (size_t k : term_of_[i]) terms.push_back(rewards_[k]->describe());
  return {{"expression", expressions_[i].text()}, {"terms", std::move(terms)}};
}

int64_t RewardSet::preferred_batch() const {
  int64_t largest = 0;
  for (const auto& reward : rewards_) largest = std::max(largest, reward->preferred_batch());
  return largest;
}

namespace {

/// One expression as a Reward.
class ExpressionReward : public Reward {
 public:
  explicit ExpressionReward(RewardSet set) : set_(std::move(set)) {}
  Tensor score(const RewardBatch& batch) override { return set_.score(batch)[0]; }
  bool differentiable() const override { return set_.differentiable(0); }
  bool is_conservative() const override { return set_.is_conservative(0); }
  std::vector<std::string> without_gradient() const override { return set_.without_gradient(0); }
  Tensor score_differentiable(const Tensor& x0, const Tensor& label) override {
    return set_.score_differentiable(0, x0, label);
  }
  io::Json describe() const override { return set_.describe(0); }
  int64_t preferred_batch() const override { return set_.preferred_batch(); }

 private:
  RewardSet set_;
};

}  // namespace

std::unique_ptr<Reward> make_reward(const std::string& expression, const io::Space& space, at::Device device,
                                    double timeout_s) {
  return std::make_unique<ExpressionReward>(RewardSet({expression}, space, device, timeout_s));
}

namespace {

/// Files by their names alone, so that a column is called the same wherever the file lies: (a/b:c/d.h5,3)/2 -> (a/b:d.h5,3)/2. A file's
/// name ends where the parser ends a reward's argument, and at a ','.
std::string without_folders(const std::string& text) {
  std::string result;
  bool path = false;   // behind a reward's ':'
  char quote = 0;      // around it, if any
  size_t begin = 0;    // where the file's name begins in result
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (path && c == '/') {
      result.resize(begin);
      continue;
    }
    if (c == ',' || (quote ? c == quote : is_blank(c) || is_argument_end(c))) path = false;
    result += c;
    if (c != ':') continue;
    path = true;
    quote = i + 1 < text.size() && (text[i + 1] == '\'' || text[i + 1] == '"') ? text[++i] : '\0';
    if (quote) result += quote;
    begin = result.size();
  }
  return result;
}

}  // namespace

std::string reward_dataset_name(const std::string& expression) {
  const std::string text = trim(expression);
  std::string name = text.substr(0, column_length(text));
  if (name.empty()) name = without_folders(text);
  for (char& c : name) {
    if (c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '_';
  }
  return name == "." || name == ".." ? "_" : name;
}

}  // namespace plumb::rewards
