// Samples, questions and answers for the tests of this room.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "../io/scratch.h"
#include "feedback/answer_log.h"
#include "feedback/asker.h"
#include "feedback/items.h"
#include "feedback/plan.h"
#include "feedback/session.h"

namespace plumb::test {

using namespace plumb::feedback;
using io::Json;

/// n grey 2x2 images, item i of label i % classes, pixel value i % 256, as samples number `first` and on of some seed, with a manifest.
inline io::Manifest make_samples(const std::string& path, int64_t n, int64_t classes = 10, int64_t first = 0) {
  io::H5Writer file(path);
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < n; ++i) {
    pixels.insert(pixels.end(), 4, static_cast<uint8_t>(i % 256));
    labels.push_back(i % classes);
  }
  file.write("images", io::Type::kU8, {n, 1, 2, 2}, pixels.data());
  file.write("label", io::Type::kI64, {n}, labels.data());
  return io::commit_artefact(file, io::Manifest(Json{{"format", "plumb/1"}, {"kind", "samples"}, {"count", n}, {"first", first}, {"space", {{"type", "image"}, {"shape", {1, 2, 2}}}}}));
}

/// Scores of the samples: reward/r of item i is value(i).
template <typename Value>
io::Manifest make_scores(const std::string& path, const io::Manifest& samples, const Value& value) {
  std::vector<float> r;
  for (int64_t i = 0; i < samples.count(); ++i) r.push_back(value(i));
  io::H5Writer file(path);
  file.write("reward/r", io::Type::kF32, {samples.count()}, r.data());
  return io::commit_artefact(file, io::Manifest(Json{{"format", "plumb/1"}, {"kind", "scores"}, {"count", samples.count()}, {"inputs", {{"samples", samples.json()}}}}));
}

/// Samples, a plan and its questions.
struct Scene {
  explicit Scene(int64_t n, Mode mode = Mode::kSingle, const std::string& choose = "random", int64_t budget = 0, int64_t first = 0)
      : samples(make_samples(folder / "samples.h5", n, 10, first)), items(samples) {
    const PlanOptions how{mode, choose, budget, 3, 0, 1};
    const Plan plan = make_plan(how, n, choose == "diverse" ? items.points() : std::vector<float>());
    session = {mode, static_cast<int64_t>(plan.size()), items.digest(), digest_of(plan)};
    questions = std::make_unique<PlannedQuestions>(items, plan, mode, "");
  }
  AskerInput input(const io::Manifest* lineage = nullptr) const {
    AskerInput in;
    in.mode = session.mode;
    in.items = &items;
    in.input = lineage ? lineage : &samples;
    in.session = session.plan;
    return in;
  }
  std::string record() const { return folder / "answers.jsonl"; }

  Scratch folder;
  io::Manifest samples;
  Items items;
  AnswerSession session;
  std::unique_ptr<PlannedQuestions> questions;
};

/// Replies from a list, then kStopped.
class Scripted : public Asker {
 public:
  explicit Scripted(std::vector<Reply> replies) : replies_(std::move(replies)) {}
  bool is_person() const override { return true; }
  Reply ask(QuestionSource&, int64_t first, int64_t count, bool may_undo) override {
    asked.push_back({first, count, may_undo});
    return at_ < replies_.size() ? replies_[at_++] : Reply();
  }
  std::vector<std::vector<int64_t>> asked;   ///< first, count, may_undo

 private:
  std::vector<Reply> replies_;
  size_t at_ = 0;
};

inline Answer said(double y) {
  Answer answer;
  answer.y = y;
  return answer;
}
inline Answer skip() {
  Answer answer;
  answer.skip = true;
  return answer;
}
inline Reply reply(std::vector<Answer> answers) { return {Reply::What::kAnswers, std::move(answers), {}}; }

/// The y of each answer that stands, a skip as 9.
inline std::vector<double> standing(const AnswerLog& log) {
  std::vector<double> values;
  for (const LoggedAnswer& a : log.standing()) values.push_back(a.answer.skip ? 9 : a.answer.y);
  return values;
}

}  // namespace plumb::test
