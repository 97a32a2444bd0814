// SPDX-License-Identifier: Apache-2.0
#include "feedback/plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/philox.h"
#include "core/sha256.h"
#include "core/text.h"

namespace plumb::feedback {
namespace {

constexpr int64_t kMostPairs = 1'000'000;          // of --choose all
constexpr uint32_t kSidesStep = 0x80000000u;       // of (seed, kShuffle): below it, orders of the items
constexpr uint32_t kRestStep = kSidesStep - 1;     // of the sets that were not had when half of all were

int64_t size_of_question(const PlanOptions& o) {
  return o.mode == Mode::kPairs ? 2 : o.mode == Mode::kRank ? o.set_size : 1;
}

std::vector<int64_t> shuffled(const PlanOptions& o, int64_t n, uint32_t round) {
  Philox random(o.seed, Stream::kShuffle, 0, round);
  return permutation(n, random);
}

/// All sets of g of the items.
Plan every_set(int64_t count, int64_t g) {
  Plan sets;
  std::vector<int64_t> set(static_cast<size_t>(g));
  std::iota(set.begin(), set.end(), int64_t{0});
  for (;;) {
    sets.push_back(set);
    int64_t k = g - 1;  // the last place that can still rise
    while (k >= 0 && set[static_cast<size_t>(k)] == count - g + k) --k;
    if (k < 0) return sets;
    ++set[static_cast<size_t>(k)];
    for (int64_t j = k + 1; j < g; ++j) set[static_cast<size_t>(j)] = set[static_cast<size_t>(j - 1)] + 1;
  }
}

Plan every_pair(int64_t count, int64_t group) {
  Plan pairs;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = i + 1; j < std::min(count, group > 1 ? (i / group + 1) * group : count); ++j) pairs.push_back({i, j});
  }
  return pairs;
}

/// The questions there are where items are compared within groups only.
Plan within_groups(const PlanOptions& o, int64_t count, int64_t g) {
  if (o.choose == "diverse") throw Error(Exit::kUsage, "--choose diverse", "would compare samples that do not share a start", "random, or all");
  if (g == 2) return every_pair(count, o.group);
  if (g != o.group) throw Error(Exit::kUsage, "--per-page", cat("is ", g, ", and ", o.group, " samples share a start"), cat("make it ", o.group));
  Plan sets;
  for (int64_t first = 0; first + g <= count; first += g) {
    sets.emplace_back();
    for (int64_t k = 0; k < g; ++k) sets.back().push_back(first + k);
  }
  return sets;
}

Plan in_random_order(const PlanOptions& o, const Plan& questions, int64_t n, uint32_t round) {
  Plan plan;
  const std::vector<int64_t> order = shuffled(o, static_cast<int64_t>(questions.size()), round);
  for (int64_t k = 0; k < n; ++k) plan.push_back(questions[static_cast<size_t>(order[static_cast<size_t>(k)])]);
  return plan;
}

/// Cuts orders of the items into questions of g items, one order after the other, leaving out sets that were had. From half of all
/// `there_are` on, the rest in a random order: drawing until all are had would take long.
Plan random_questions(const PlanOptions& o, int64_t count, int64_t g, int64_t n, double there_are) {
  Plan plan;
  std::set<std::vector<int64_t>> had;
  const bool many = g > 1 && static_cast<double>(n) > there_are / 2;
  if (many && there_are > static_cast<double>(kMostPairs)) {
    throw Error(Exit::kUsage, "--count", cat(n, " is more than half of the ", there_are, " sets there are"), "ask for fewer");
  }
  const int64_t drawn = many ? static_cast<int64_t>(there_are / 2) : n;
  for (uint32_t round = 0; static_cast<int64_t>(plan.size()) < drawn; ++round) {
    const std::vector<int64_t> order = shuffled(o, count, round);
    for (int64_t k = 0; k + g <= count && static_cast<int64_t>(plan.size()) < drawn; k += g) {
      std::vector<int64_t> question(order.begin() + k, order.begin() + k + g), set = question;
      std::sort(set.begin(), set.end());
      if (had.insert(set).second) plan.push_back(std::move(question));
    }
  }
  if (!many) return plan;
  Plan rest;
  for (auto& set : every_set(count, g)) {
    if (!had.count(set)) rest.push_back(std::move(set));
  }
  const Plan more = in_random_order(o, rest, n - drawn, kRestStep);
  plan.insert(plan.end(), more.begin(), more.end());
  return plan;
}

/// Puts the second time of a share of the questions among the others.
Plan with_repeats(const PlanOptions& o, const Plan& once) {
  const int64_t n = static_cast<int64_t>(once.size()), again = std::llround(o.repeats * static_cast<double>(n));
  Philox random(o.seed, Stream::kSubset);
  const std::vector<int64_t> chosen = permutation(n, random);
  std::vector<std::pair<double, int64_t>> order;  // place, question
  for (int64_t q = 0; q < n; ++q) order.emplace_back(static_cast<double>(q), q);
  for (int64_t k = 0; k < again; ++k) {
    const int64_t q = chosen[static_cast<size_t>(k)];
    const double earliest = static_cast<double>(q + kMostShown) + 0.5;
    order.emplace_back(earliest + random.uniform() * std::max(0.0, static_cast<double>(n) - earliest), q);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Plan plan;
  for (const auto& [place, q] : order) plan.push_back(once[static_cast<size_t>(q)]);
  return plan;
}

/// How many different questions of g items there are, at most the budget's own limit.
double questions_there_are(int64_t count, int64_t g) {
  double number = 1;
  for (int64_t k = 0; k < g; ++k) number = number * static_cast<double>(count - k) / static_cast<double>(k + 1);
  return number;
}

float squared_distance(const float* a, const float* b, size_t d) {
  float part[8] = {};  // partial sums: the compiler may use vector instructions without reordering anything
  size_t k = 0;
  for (; k + 8 <= d; k += 8) {
    for (size_t j = 0; j < 8; ++j) part[j] += (a[k + j] - b[k + j]) * (a[k + j] - b[k + j]);
  }
  for (; k < d; ++k) part[0] += (a[k] - b[k]) * (a[k] - b[k]);
  return ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7]));
}

}  // namespace

int64_t set_size(int64_t per_page) { return per_page > 0 ? per_page : 4; }

Plan plan_by_value(const PlanOptions& o, const std::vector<double>& values) {
  const int64_t n = o.budget > 0 ? o.budget : static_cast<int64_t>(values.size());
  const auto count = static_cast<int64_t>(values.size());
  if (n > count) throw Error(Exit::kUsage, "--count", cat(n, " questions were asked for; there are ", count, " items"));
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)]; });
  Plan plan;
  for (int64_t k = 0; k < n; ++k) plan.push_back({order[static_cast<size_t>(k)]});
  return o.repeats > 0 ? with_repeats(o, plan) : plan;
}

std::vector<int64_t> farthest_points(const std::vector<float>& points, int64_t count, int64_t n, int64_t first) {
  const size_t d = points.size() / static_cast<size_t>(count);
  std::vector<float> nearest(static_cast<size_t>(count), std::numeric_limits<float>::infinity());
  std::vector<int64_t> chosen;
  int64_t next = first;
  while (static_cast<int64_t>(chosen.size()) < n) {
    chosen.push_back(next);
    nearest[static_cast<size_t>(next)] = -1;  // never again
    const float* const centre = points.data() + static_cast<size_t>(next) * d;
    int64_t farthest = -1;
    for (int64_t i = 0; i < count; ++i) {
      float& distance = nearest[static_cast<size_t>(i)];
      if (distance < 0) continue;
      distance = std::min(distance, squared_distance(points.data() + static_cast<size_t>(i) * d, centre, d));
      if (farthest < 0 || distance > nearest[static_cast<size_t>(farthest)]) farthest = i;
    }
    next = farthest;
  }
  return chosen;
}

Plan make_plan(const PlanOptions& o, int64_t count, const std::vector<float>& points) {
  const int64_t g = size_of_question(o);
  if (g > count) throw Error(Exit::kUsage, "--mode " + name_of(o.mode), cat("asks about ", g, " items at a time, there are ", count));
  const bool grouped = o.group > 1 && g > 1;
  const Plan groups = grouped ? within_groups(o, count, g) : Plan();
  const double there_are = grouped ? static_cast<double>(groups.size()) : questions_there_are(count, g);
  if (o.choose == "all" && o.mode == Mode::kRank) throw Error(Exit::kUsage, "--choose all", "has no meaning for --mode rank", "give random and --count N");
  if (o.choose == "all" && there_are > static_cast<double>(kMostPairs)) {
    throw Error(Exit::kUsage, "--choose all", cat(count, " items make ", there_are, " pairs; at most ", kMostPairs), "give random and --count N");
  }
  const int64_t n = o.choose == "all" ? static_cast<int64_t>(there_are) : o.budget > 0 ? o.budget : count / g;
  const double most = o.choose == "diverse" ? static_cast<double>(count / g) : there_are;
  if (static_cast<double>(n) > most) {
    throw Error(Exit::kUsage, "--count", cat(n, " questions were asked for; ", count, " items make at most ", most, o.choose == "diverse" ? " that share none" : ""));
  }
  Plan plan;
  if (grouped) {
    plan = in_random_order(o, groups, n, 0);
  } else if (o.choose == "diverse") {
    Philox random(o.seed, Stream::kShuffle, 0, 0);
    const std::vector<int64_t> order = farthest_points(points, count, n * g, static_cast<int64_t>(random.below(static_cast<uint64_t>(count))));
    for (int64_t k = 0; k < n; ++k) plan.emplace_back(order.begin() + k * g, order.begin() + (k + 1) * g);
  } else {
    plan = random_questions(o, count, g, n, there_are);
  }
  if (o.repeats > 0) plan = with_repeats(o, plan);
  for (size_t q = 0; q < plan.size() && g > 1; ++q) {
    Philox random(o.seed, Stream::kShuffle, q, kSidesStep);
    const std::vector<int64_t> place = permutation(g, random), items = plan[q];
    for (size_t k = 0; k < items.size(); ++k) plan[q][k] = items[static_cast<size_t>(place[k])];
  }
  return plan;
}

std::string digest_of(const Plan& plan) {
  std::string text;
  for (const auto& items : plan) text += shape_text(items) + "\n";
  return sha256_of(text);
}

std::vector<float> points_for(const Items& items, const io::Manifest* features) {
  if (!features) return items.points();
  const std::string wanted = items.manifest().sha256(), kind = items.manifest().kind();
  const auto of = features->find(kind);
  if (of && !wanted.empty() && !of->sha256().empty() && of->sha256() != wanted) {
    throw Error(Exit::kBadInput, features->label(), "are features of other " + kind, "compute them again: diversity --save-features");
  }
  const io::H5Reader file = io::open_artefact(*features);
  if (!file.has("features")) throw Error(Exit::kBadInput, features->label(), "holds statistics only, not the features of each item");
  const io::DatasetInfo info = file.info("features");
  if (info.shape.size() != 2 || info.shape[0] != items.count()) {
    throw Error(Exit::kBadInput, features->label(), cat("has features ", shape_text(info.shape), " for ", items.count(), " items"));
  }
  return file.read_f32("features");
}

PlannedQuestions::PlannedQuestions(const Items& items, Plan plan, Mode mode, std::string text)
    : items_(items), plan_(std::move(plan)), mode_(mode), text_(std::move(text)) {}

Question PlannedQuestions::question(int64_t index) {
  Question question;
  question.index = index;
  for (const int64_t item : plan_.at(static_cast<size_t>(index))) question.tiles.push_back(items_.tile(item));
  return question;
}

}  // namespace plumb::feedback
