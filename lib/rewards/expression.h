// The language of --reward: names with arguments, numbers, + - * / and parentheses.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "rewards/reward.h"

namespace plumb::rewards {

/// NAME or NAME:ARGUMENT in an expression.
struct RewardTerm {
  std::string name, argument;
  std::string text() const { return argument.empty() ? name : name + ":" + argument; }
  bool operator==(const RewardTerm&) const = default;
};

/// A parsed expression, kept in postfix order.
///
///   text    = [COLUMN "="] ( "exec:" REST | sum )
///   sum     = product { ("+" | "-") product }
///   product = factor { ("*" | "/") factor }
///   factor  = ["-"] factor | NUMBER | "(" sum ")" | NAME [":" ARGUMENT]
///
/// NAME is the longest run of letters, digits, '_' and '-' that starts with a letter, so minus needs a blank before it.
/// ARGUMENT is quoted ('...' or "..."), or runs to the next blank, '+', '*' or parenthesis: '/' and '-' belong to it, since
/// most arguments are paths. A text that starts with "exec:" is one command up to its end.
class Expression {
 public:
  enum class Op { kTerm, kNumber, kAdd, kSubtract, kMultiply, kDivide, kNegate };
  struct Node {
    Op op;
    size_t term = 0;     // kTerm: index into terms()
    double number = 0;   // kNumber
  };

  /// Throws Error(kUsage) that says what is wrong and where. Names are not looked up here.
  static Expression parse(const std::string& text);

  const std::string& text() const { return text_; }            ///< without COLUMN=
  const std::string& column() const { return column_; }        ///< COLUMN, else the text
  const std::vector<RewardTerm>& terms() const { return terms_; }  ///< distinct, in order of appearance
  const std::vector<Node>& nodes() const { return nodes_; }
  bool is_single_term() const { return nodes_.size() == 1 && nodes_[0].op == Op::kTerm; }
  /// The value, from the value of each of terms(): [B] each, any floating type; differentiable.
  Tensor evaluate(const std::vector<Tensor>& term_values) const;

 private:
  friend class ExpressionParser;
  std::string text_, column_;
  std::vector<RewardTerm> terms_;
  std::vector<Node> nodes_;
};

/// Several expressions scored together: a term that occurs more than once is computed once a batch.
class RewardSet {
 public:
  /// Throws what Expression::parse and make_named_reward throw; Error(kUsage) if two expressions have one column name.
  RewardSet(const std::vector<std::string>& expressions, const io::Space& space, at::Device device, double timeout_s);

  size_t size() const { return expressions_.size(); }
  std::string column(size_t i) const;          ///< dataset name below /reward
  /// Values of each expression, [B] float64, all finite: Error(kBadNumbers) naming the reward and the item otherwise.
  std::vector<Tensor> score(const RewardBatch& batch);
  bool differentiable(size_t i) const;
  std::vector<std::string> without_gradient(size_t i) const;
  bool is_conservative(size_t i) const;        ///< whether any of its terms is
  Tensor score_differentiable(size_t i, const Tensor& x0, const Tensor& label);
  io::Json describe(size_t i) const;           ///< {"expression", "terms": [...]}
  int64_t preferred_batch() const;             ///< the largest of its terms'

 private:
  std::vector<Expression> expressions_;
  std::vector<RewardTerm> terms_;                      // distinct over all expressions
  std::vector<std::unique_ptr<Reward>> rewards_;       // of terms_
  std::vector<std::vector<size_t>> term_of_;           // [expression][its term] -> index into terms_
};

}  // namespace plumb::rewards
