// SPDX-License-Identifier: Apache-2.0
#include "align/asking.h"

#include <ATen/ATen.h>

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "align/rollout.h"
#include "core/error.h"
#include "core/log.h"
#include "core/philox.h"
#include "core/signals.h"
#include "core/text.h"
#include "feedback/asker.h"
#include "feedback/session.h"
#include "io/class_names.h"
#include "io/space.h"
#include "rewards/class_reward.h"

namespace plumb::align {
namespace {

const char* const kQuestions[] = {"Which do you like?", "Which is better?", "Order these, the best first.", "How good is it?"};  // by feedback::Mode
const char* const kRecord = "answers.jsonl";
const char* const kRecordRemedy =
    "the --model, --seed, --class, chain and questions it was begun with go on; or name another -o; or set the answers aside with --resume never";
constexpr int64_t kMembers = 16;
constexpr double kRidge = 1.0;  // of standardised features

std::string round_file(const std::string& folder, int64_t round, const char* what) {
  return cat(folder, "/round-", zero_padded(round + 1, 4), "-", what);
}

std::string digest_of(const io::Space& space, const Tensor& stored) {
  feedback::ItemsDigest digest(space, stored.size(0));
  const Tensor rows = stored.contiguous();
  digest.add(rows.const_data_ptr(), static_cast<size_t>(rows.nbytes()));
  return digest.hex();
}

/// A record of answers to other questions is refused, or set aside. `session`: what is asked now; its plan may not be known yet.
void check_record(const AskingContext& asking, const std::string& record, const feedback::AnswerSession& session) {
  const std::optional<feedback::AnswerSession> there = feedback::session_of(record);
  if (!there || (there->samples == session.samples && (session.plan.empty() || *there == session)))
    return;
  if (!asking.anew)
    throw Error(Exit::kUsage, record, there->samples != session.samples ? "holds answers about other samples than the model draws now" : "holds answers to other questions",
                kRecordRemedy);
  log::info("answers to other questions are in ", feedback::set_aside(record));
}

/// Draws the round's samples and writes them as `sample` would, unless there are answers about others.
std::optional<io::Manifest> write_samples(const AskingContext& asking, const AskOptions& o, Policy& policy, const nn::Codec& codec,
                                          uint64_t seed, int64_t batch_size, int64_t round) {
  const int64_t count = samples_per_round(o);
  RolloutRequest request;
  request.items.resize(static_cast<size_t>(count));
  std::iota(request.items.begin(), request.items.end(), round * count);
  request.seed = seed;
  request.classes = policy.options().classes;
  request.batch_size = batch_size;
  request.share_start = o.share_start;
  request.keep_chain = false;
  const std::optional<Rollout> rollout = roll_out(policy, codec, request);
  if (!rollout)
    return std::nullopt;
  const io::Space space = asking.model.space();
  check_record(asking, round_file(asking.folder, round, kRecord), feedback::AnswerSession{{}, 0, digest_of(space, rollout->stored), ""});
  io::H5Writer file(round_file(asking.folder, round, "samples.h5"));
  file.create(space.dataset(), space.stored_as_bytes() ? io::Type::kU8 : io::Type::kF32, space.shape);
  nn::append_rows(file, space.dataset(), rollout->stored);
  if (rollout->condition.label.defined() && !rollout->without_class) {
    file.create("label", io::Type::kI64, {});
    nn::append_rows(file, "label", rollout->condition.label);
  }
  file.create("seed", io::Type::kU64, {});
  const std::vector<uint64_t> seeds(static_cast<size_t>(count), seed);
  file.append("seed", io::Type::kU64, count, seeds.data());
  io::Manifest manifest = asking.new_manifest("samples", {{"model", asking.model}});
  io::Json& json = manifest.json();
  json["count"] = count;
  json["space"] = space.to_json();
  json["seed"] = seed;
  json["first"] = request.items.front();
  if (o.share_start > 1)
    json["share_start"] = o.share_start;
  if (asking.model.json().contains("classes"))
    json["classes"] = asking.model.json().at("classes");
  return io::commit_artefact(file, manifest);
}

feedback::Plan plan_round(const AskingContext& asking, const AskOptions& o, const feedback::Items& items, uint64_t seed, int64_t round,
                          const AnswersSoFar& so_far) {
  const feedback::Mode mode = feedback::parse_mode(o.mode, "--mode");
  const feedback::PlanOptions how{.mode = mode,
                                  .choose = o.choose == "uncertain" ? "random" : o.choose,
                                  .budget = o.per_round,
                                  .set_size = feedback::set_size(o.per_page),
                                  .seed = seed + static_cast<uint64_t>(round),
                                  .group = o.share_start};
  std::vector<float> points;
  if (how.choose == "diverse" || (o.choose == "uncertain" && !so_far.y.empty())) {
    const Tensor stored = nn::read_all(io::open_artefact(items.manifest()), items.space().dataset());
    const Tensor of_candidates = asking.features->extract(stored).features;
    if (o.choose == "uncertain") {
      const Tensor value = disagreement(asking.features->extract(so_far.stored).features, so_far.y, of_candidates, kMembers, seed);
      return feedback::plan_by_value(how, {value.const_data_ptr<double>(), value.const_data_ptr<double>() + value.numel()});
    }
    const Tensor flat = of_candidates.to(at::kFloat).contiguous();
    points.assign(flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel());
  }
  return feedback::make_plan(how, items.count(), points);
}

/// Means of what was said of one item, or of two, by all who said something.
class Means {
 public:
  void add(std::pair<int64_t, int64_t> key, double value) {
    auto& [sum, count] = of_[key];
    sum += value;
    ++count;
  }
  std::map<std::pair<int64_t, int64_t>, double> values() const {
    std::map<std::pair<int64_t, int64_t>, double> means;
    for (const auto& [key, sums] : of_)
      means[key] = sums.first / static_cast<double>(sums.second);
    return means;
  }

 private:
  std::map<std::pair<int64_t, int64_t>, std::pair<double, int64_t>> of_;
};

Means read_means(const io::H5Reader& file, bool pairs) {
  Means means;
  const std::vector<int64_t> item = file.read_i64(pairs ? "pair" : "item");
  const std::vector<double> y = file.read_f64(pairs ? "pair_y" : "y");
  for (size_t k = 0; k < y.size(); ++k) {
    if (!pairs)
      means.add({item[k], item[k]}, y[k]);
    else if (item[2 * k] < item[2 * k + 1])
      means.add({item[2 * k], item[2 * k + 1]}, y[k]);
    else
      means.add({item[2 * k + 1], item[2 * k]}, -y[k]);
  }
  return means;
}

}  // namespace

void end_asking(AskingContext& asking) {
  if (asking.page)
    asking.page->finish(true, "All rounds are answered. Thank you.");
  asking.page.reset();
}

int64_t samples_per_round(const AskOptions& o) {
  if (o.candidates > 0)
    return o.candidates;
  return o.mode == "pairs" ? 2 * o.per_round : o.mode == "rank" ? feedback::set_size(o.per_page) * o.per_round : o.per_round;
}

Judged read_judged(const io::Manifest& manifest, bool as_pairs, const std::string& method) {
  const io::H5Reader file = io::open_artefact(manifest);
  const bool pairs = file.has("pair");
  if (pairs && !as_pairs)
    throw Error(Exit::kUsage, manifest.label(), "compares items, and --method " + method + " learns from judgements of single ones",
                "feedback --mode single or rating; or --method d3po");
  Judged judged;
  for (const auto& [name, input] : manifest.inputs())
    if (judged.samples.path().empty() && (input.kind() == "samples" || input.kind() == "dataset"))
      judged.samples = input;
  if (judged.samples.path().empty())
    throw Error(Exit::kBadInput, manifest.label(), "does not say which samples were judged");
  if (!judged.samples.has_space()) {  // a file names its inputs by path and digest
    const io::Manifest whole = io::Manifest::read(judged.samples.path());
    if (whole.sha256() != judged.samples.sha256())
      throw Error(Exit::kBadInput, whole.label(), "are other samples than those that " + manifest.label() + " judges", "ask again");
    judged.samples = whole;
  }
  const auto means = read_means(file, pairs).values();
  for (const auto& [key, value] : means) {
    judged.item.push_back(key.first);
    judged.item.push_back(key.second);
  }
  std::sort(judged.item.begin(), judged.item.end());
  judged.item.erase(std::unique(judged.item.begin(), judged.item.end()), judged.item.end());
  judged.answers = manifest.count();
  const auto place = [&](int64_t item) { return std::lower_bound(judged.item.begin(), judged.item.end(), item) - judged.item.begin(); };
  if (pairs) {
    for (const auto& [key, value] : means)
      if (value != 0)
        judged.pairs.push_back({place(key.first), place(key.second), value > 0 ? 1.0 : -1.0});
  } else if (as_pairs) {
    std::vector<double> scores(static_cast<size_t>(judged.item.empty() ? 0 : judged.item.back() + 1), std::nan(""));
    for (const auto& [key, value] : means)
      scores[static_cast<size_t>(key.first)] = value;
    const int64_t group = judged.samples.json().value("share_start", int64_t{1});
    for (const JudgedPair& pair : pairs_of_scores({scores}, group > 1 ? group : static_cast<int64_t>(scores.size())))
      judged.pairs.push_back({place(pair.first), place(pair.second), pair.y});
  } else {
    for (const auto& [key, value] : means)
      judged.y.push_back(value);
  }
  const io::H5Reader items = io::open_artefact(judged.samples);
  const Tensor rows = at::tensor(judged.item, at::kLong);
  judged.stored = nn::read_all(items, judged.samples.space().dataset()).index_select(0, rows);
  if (items.has("label"))
    judged.label = nn::read_all(items, "label").index_select(0, rows);
  return judged;
}

void check_judged(const Judged& judged, const io::Space& space, int64_t num_classes) {
  const io::Manifest& about = judged.samples;
  if (about.space() != space)
    throw Error(Exit::kBadInput, about.label(), "which were judged, are items of " + about.space().text() + ", the model's are of " + space.text(),
                "give finetune the model that drew them");
  if (!judged.label.defined() || num_classes == 0 || judged.label.numel() == 0)
    return;
  const int64_t low = judged.label.min().item<int64_t>(), high = judged.label.max().item<int64_t>();
  if (low < 0 || high >= num_classes)
    throw Error(Exit::kBadInput, about.label(), cat("have labels ", low, " to ", high, ", the model's classes are 0 to ", num_classes - 1),
                "give finetune the model that drew them");
}

Tensor disagreement(const Tensor& features, const std::vector<double>& y, const Tensor& candidates, int64_t members, uint64_t seed) {
  const Tensor x = features.to(at::kCPU, at::kDouble), mean = x.mean(0, true), spread = x.std(0, false, true);
  const Tensor scale = at::where(spread > 0, spread, at::ones_like(spread));
  const auto with_one = [&](const Tensor& rows) {
    return at::cat({(rows.to(at::kCPU, at::kDouble) - mean) / scale, at::ones({rows.size(0), 1}, at::kDouble)}, 1);
  };
  const Tensor own = with_one(x), theirs = with_one(candidates), target = at::tensor(y, at::kDouble);
  const int64_t n = own.size(0), d = own.size(1);
  std::vector<Tensor> predictions;
  for (int64_t member = 0; member < members; ++member) {
    Philox random(seed, Stream::kEnsemble, static_cast<uint64_t>(member));
    std::vector<int64_t> drawn;
    for (int64_t i = 0; i < n; ++i)
      drawn.push_back(static_cast<int64_t>(random.below(static_cast<uint64_t>(n))));
    const Tensor rows = at::tensor(drawn, at::kLong), X = own.index_select(0, rows);
    const Tensor gram = X.t().matmul(X) + kRidge * at::eye(d, at::kDouble);
    predictions.push_back(theirs.matmul(at::linalg_solve(gram, X.t().matmul(target.index_select(0, rows)))));
  }
  return at::stack(predictions).std(0, false).contiguous();
}

std::function<std::vector<double>(const std::string&, const feedback::Items&)> reward_scorer(at::Device device, double timeout_s) {
  auto made = std::make_shared<std::map<std::string, std::unique_ptr<rewards::Reward>>>();
  return [made, device, timeout_s](const std::string& expression, const feedback::Items& items) {
    std::unique_ptr<rewards::Reward>& reward = (*made)[expression];
    if (!reward) {
      reward = rewards::make_reward(expression, items.space(), device, timeout_s);
      rewards::check_own_classes(reward->describe(), io::class_names(items.manifest()), items.manifest().label());
    }
    const io::H5Reader file = io::open_artefact(items.manifest());
    const Tensor stored = nn::read_all(file, items.space().dataset()), label = file.has("label") ? nn::read_all(file, "label") : Tensor();
    const Tensor values = reward->score({stored, label, 0}).to(at::kCPU, at::kDouble).contiguous();
    return std::vector<double>(values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel());
  };
}

std::optional<Judged> ask_round(AskingContext& asking, const AskOptions& o, Policy& policy, const nn::Codec& codec, uint64_t seed,
                                int64_t batch_size, int64_t round, bool as_pairs, const AnswersSoFar& so_far) {
  ::mkdir(asking.folder.c_str(), 0777);
  const std::optional<io::Manifest> samples = write_samples(asking, o, policy, codec, seed, batch_size, round);
  if (!samples)
    return std::nullopt;
  const feedback::Items items(*samples);
  const feedback::Mode mode = feedback::parse_mode(o.mode, "--mode");
  const std::string text = cat(o.question.empty() ? kQuestions[static_cast<size_t>(mode)] : o.question, "  (round ", round + 1, " of ", o.rounds, ")");
  feedback::PlannedQuestions questions(items, plan_round(asking, o, items, seed, round, so_far), mode, text);
  const std::string record = round_file(asking.folder, round, kRecord);
  check_record(asking, record, {mode, questions.total(), items.digest(), feedback::digest_of(questions.plan())});
  if (o.who == "page" && !asking.page)
    asking.page = feedback::make_asker(o.who, {.mode = mode, .port = o.port});
  const feedback::SessionOptions session{.ask = o.who,
                                         .rater = o.rater,
                                         .record = record,
                                         .per_page = o.per_page,
                                         .port = o.port,
                                         .score = asking.score,
                                         .remedy = kRecordRemedy};
  std::vector<feedback::LoggedAnswer> answers;
  try {
    answers = feedback::collect(session, items, *samples, questions, asking.page.get());
    if (asking.page)
      asking.page->leave("The model learns from your answers. The next samples come by themselves.", request_stop);
  } catch (const Error& error) {
    if (error.exit() != Exit::kTryAgain)
      throw;
    asking.page.reset();
    return std::nullopt;  // all that was answered is in the record
  }
  io::H5Writer file(round_file(asking.folder, round, "feedback.h5"));
  int64_t count = 0;
  const io::Json told = feedback::write_feedback(file, mode, answers, count);
  io::Manifest manifest = asking.new_manifest("feedback", {{"samples", *samples}});
  manifest.json()["count"] = count;
  manifest.json()["seed"] = seed;
  manifest.json()["feedback"] = told;
  return read_judged(io::commit_artefact(file, manifest), as_pairs, "this");
}

}  // namespace plumb::align
