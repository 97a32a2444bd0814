// Answers that were given before: another session's record, or lines of one's own. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/text.h"
#include "feedback/answer_log.h"
#include "feedback/asker.h"

namespace plumb::feedback {
namespace {

class Prepared : public Asker {
 public:
  Prepared(std::string path, Mode mode, const std::string& samples) : path_(std::move(path)), mode_(mode) {
    for (LoggedAnswer& a : read_answers(path_, mode, samples)) {
      std::vector<int64_t> key = a.items;
      std::sort(key.begin(), key.end());
      given_[key] = std::move(a);  // a later line wins
    }
  }

  Reply ask(QuestionSource& source, int64_t first, int64_t, bool) override {
    Reply reply{Reply::What::kAnswers, {}, {}};
    for (int64_t q = first; q < std::min(first + kAtOnce, source.total()); ++q) reply.answers.push_back(about(source.items(q)));
    return reply;
  }

 private:
  Answer about(const std::vector<int64_t>& items) const {
    std::vector<int64_t> key = items;
    std::sort(key.begin(), key.end());
    const auto found = given_.find(key);
    if (found == given_.end()) {
      throw Error(Exit::kBadInput, path_, cat("has no answer about item", items.size() > 1 ? "s " : " ", shape_text(items)),
                  "add it, with null for a skip, or ask another");
    }
    return turned(found->second, items);
  }
  /// The answer as it reads for the items in another order.
  Answer turned(const LoggedAnswer& given, const std::vector<int64_t>& items) const {
    Answer answer = given.answer;
    answer.ms = -1;
    if (mode_ == Mode::kPairs && answer.y != 0 && given.items != items) answer.y = -answer.y;
    if (mode_ == Mode::kRank && !answer.skip) {
      for (size_t k = 0; k < items.size(); ++k) {
        const auto at = std::find(given.items.begin(), given.items.end(), items[k]) - given.items.begin();
        answer.ranks[k] = given.answer.ranks[static_cast<size_t>(at)];
      }
    }
    return answer;
  }

  std::string path_;
  Mode mode_;
  std::map<std::vector<int64_t>, LoggedAnswer> given_;
};

}  // namespace

std::unique_ptr<Asker> make_file(const AskerInput& input) {
  return std::make_unique<Prepared>(input.argument, input.mode, input.items->digest());
}

}  // namespace plumb::feedback
