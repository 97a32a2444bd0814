// score: gives each item of a samples or dataset artefact one value a reward. Man page: score(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "rewards/names.h"

namespace {

struct ScoreOptions {
  std::vector<std::string> reward;
  std::string sum;
  std::vector<double> weights;
  double noise = 0;
  std::optional<int64_t> seed;
  int64_t batch_size = 0;
  double timeout = 300;
  plumb::cli::CommonOptions common;
};

[[maybe_unused]] void describe(plumb::OptionTable& t, ScoreOptions& o) {
  t.add("reward", &o.reward, "what to compute: NAME, NAME:ARGUMENT, an expression of these, or exec:COMMAND; may be repeated. "
        "COLUMN=EXPRESSION names the column; see plumb-rewards(7)").metavar("EXPRESSION").suggest(plumb::rewards::reward_names());
  t.add("sum", &o.sum, "add a column of this name: the weighted sum of all rewards").metavar("COLUMN");
  t.add("weights", &o.weights, "weights of --sum, one a reward, in their order (default: all 1)");
  t.add("noise", &o.noise, "add NU times a standard normal number to each reward of each item, such as for pseudo-labels").metavar("NU").range(0, 1e9);
  t.add("seed", &o.seed, "seed of --noise, which needs it").range(0, 1e18);
  t.add("batch-size", &o.batch_size, "items scored at once; 0 = 256, or 4096 for programs; affects speed and memory only").range(0, 1e6).runtime();
  t.add("timeout", &o.timeout, "seconds that a program may take for a batch; 0 = no limit").range(0, 1e9).runtime();
  plumb::cli::describe_common(t, o.common, {.precision = false, .compress = true});
}

}  // namespace

#ifndef PLUMB_FRONT
#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "core/philox.h"
#include "core/text.h"
#include "io/class_names.h"
#include "io/exporter.h"
#include "nn/data.h"
#include "rewards/class_reward.h"
#include "rewards/expression.h"

namespace {

using namespace plumb;
using at::Tensor;

constexpr int64_t kBatch = 256, kBatchBytes = int64_t{256} << 20;

/// Checks what can be wrong on the command line alone.
void check(cli::Context& ctx, const ScoreOptions& o) {
  if (o.reward.empty()) {
    throw Error(Exit::kUsage, "--reward", "is needed", "one of " + join(rewards::reward_names(), ", ") + "; see plumb-rewards(7)");
  }
  if (o.sum.empty() && !o.weights.empty()) throw Error(Exit::kUsage, "--weights", "needs --sum COLUMN");
  if (!o.weights.empty() && o.weights.size() != o.reward.size()) {
    throw Error(Exit::kUsage, "--weights", cat("has ", o.weights.size(), " numbers for ", o.reward.size(), " rewards"));
  }
  if (ctx.was_set("noise") && o.noise == 0) throw Error(Exit::kUsage, "--noise", "of 0 adds nothing", "leave it out");
  if (o.noise > 0 && !o.seed) throw Error(Exit::kUsage, "--noise", "needs --seed N");
  if (o.noise == 0 && o.seed) throw Error(Exit::kUsage, "--seed", "has no meaning without --noise");
  if (o.sum.find('/') != std::string::npos) throw Error(Exit::kUsage, "--sum", "a column's name has no '/'");
}

/// Adds nu xi to the values [B] of reward `column`, xi of item `first` + i the draw of (seed, kPseudoLabel, first + i, column). Source of
/// yhat = fhat(x) + nu xi: Yuan et al. 2023, "Reward-directed conditional diffusion", algorithm 1.
void add_noise(Tensor& values, double nu, uint64_t seed, int64_t first, size_t column) {
  values = values.clone();
  auto* value = values.mutable_data_ptr<double>();
  for (int64_t i = 0; i < values.size(0); ++i) {
    value[i] += nu * Philox(seed, Stream::kPseudoLabel, static_cast<uint64_t>(first + i), static_cast<uint32_t>(column)).normal();
  }
}

/// {n, mean, std (n - 1), min, max, quantiles} of one column.
io::Json summary(const Tensor& values) {
  const Tensor sorted = std::get<0>(values.sort());
  const int64_t n = values.size(0);
  auto quantile = [&](double q) {  // linear between order statistics, as numpy's default
    const double at = q * static_cast<double>(n - 1);
    const auto low = static_cast<int64_t>(std::floor(at));
    const double left = sorted[low].item<double>(), right = sorted[std::min(low + 1, n - 1)].item<double>();
    return left + (at - std::floor(at)) * (right - left);
  };
  io::Json quantiles = io::Json::object();
  for (const auto& [name, q] : {std::pair{"0.05", .05}, {"0.25", .25}, {"0.5", .5}, {"0.75", .75}, {"0.95", .95}}) quantiles[name] = quantile(q);
  return {{"n", n}, {"mean", values.mean().item<double>()}, {"std", n > 1 ? io::Json(values.std().item<double>()) : io::Json(nullptr)},
          {"min", sorted[0].item<double>()}, {"max", sorted[n - 1].item<double>()}, {"quantiles", std::move(quantiles)}};
}

int run(cli::Context& ctx, const ScoreOptions& o) {
  check(ctx, o);
  const at::Device device = nn::parse_device(o.common.device);
  nn::setup_torch(ctx.threads());
  const io::Manifest incoming = ctx.input();
  const io::Manifest items = io::items_of(incoming);
  const io::H5Reader file = io::open_artefact(items);
  const io::Space space = items.space();
  const int64_t count = items.count();
  if (count < 1) throw Error(Exit::kBadInput, items.label(), "holds no items");
  const io::DatasetInfo info = file.info(space.dataset());
  std::vector<int64_t> expected = space.shape;
  expected.insert(expected.begin(), count);
  if (info.shape != expected) {
    throw Error(Exit::kBadInput, items.label(), cat("dataset '", space.dataset(), "' is ", shape_text(info.shape),
                                                    ", its manifest says ", shape_text(expected)));
  }
  rewards::RewardSet set(o.reward, space, device, o.timeout);
  std::vector<std::string> columns;
  for (size_t i = 0; i < set.size(); ++i) {
    columns.push_back(set.column(i));
    rewards::check_own_classes(set.describe(i), io::class_names(items), items.label());
  }
  if (!o.sum.empty()) {
    if (std::find(columns.begin(), columns.end(), o.sum) != columns.end()) {
      throw Error(Exit::kUsage, "--sum", "a reward has the column '" + o.sum + "' already");
    }
    columns.push_back(o.sum);
  }
  const int64_t item_bytes = std::max<int64_t>(1, space.numel() * (space.stored_as_bytes() ? 1 : 4));
  int64_t batch_size = o.batch_size;
  if (batch_size == 0) batch_size = std::clamp<int64_t>(kBatchBytes / item_bytes, 1, std::max(kBatch, set.preferred_batch()));
  if (ctx.dry_run()) {
    return ctx.finish_dry_run({{"items", count}, {"space", space.text()}, {"columns", columns}, {"batch_size", batch_size},
                               {"batches", (count + batch_size - 1) / batch_size}, {"batch_bytes", batch_size * item_bytes}});
  }

  io::H5Writer output = ctx.create("scores");
  const bool labelled = file.has("label");
  std::vector<std::vector<Tensor>> values(columns.size());
  for (const std::string& column : columns) output.create("reward/" + column, io::Type::kF32, {});
  if (labelled) output.create("label", io::Type::kI64, {});
  Progress progress("scoring", count);
  for (int64_t first = 0; first < count; first += batch_size) {
    const int64_t here = std::min(batch_size, count - first);
    rewards::RewardBatch batch;
    batch.items = nn::read_rows(file, space.dataset(), first, here);
    if (labelled) batch.label = nn::read_rows(file, "label", first, here);
    batch.first = first;
    std::vector<Tensor> scores = set.score(batch);
    for (size_t i = 0; o.noise > 0 && i < set.size(); ++i) add_noise(scores[i], o.noise, static_cast<uint64_t>(*o.seed), first, i);
    if (!o.sum.empty()) {
      Tensor sum = at::zeros({here}, at::kDouble);
      for (size_t i = 0; i < set.size(); ++i) sum += scores[i] * (o.weights.empty() ? 1.0 : o.weights[i]);
      scores.push_back(sum);
    }
    for (size_t i = 0; i < columns.size(); ++i) {
      const Tensor stored = scores[i].to(at::kFloat);
      if (!at::isfinite(stored).all().item<bool>()) {
        throw Error(Exit::kBadNumbers, "reward '" + columns[i] + "'", cat("a value of items ", first, "..", first + here - 1, " does not fit float32"));
      }
      nn::append_rows(output, "reward/" + columns[i], stored);
      values[i].push_back(stored);
    }
    if (labelled) nn::append_rows(output, "label", batch.label);
    progress.update(first + here);
  }

  const std::string name = incoming.kind().empty() ? "samples" : incoming.kind();
  io::Manifest manifest = ctx.manifest("scores", {{name, incoming}});
  manifest.json()["count"] = count;
  io::Json summaries = io::Json::object();
  for (size_t i = 0; i < columns.size(); ++i) {
    io::Json row = i < set.size() ? set.describe(i) : io::Json{{"sum_of", std::vector<std::string>(columns.begin(), columns.end() - 1)},
                                                               {"weights", o.weights.empty() ? std::vector<double>(set.size(), 1.0) : o.weights}};
    if (o.noise > 0 && i < set.size()) row["noise"] = {{"std", o.noise}, {"seed", *o.seed}};
    row.update(summary(at::cat(values[i]).to(at::kDouble)));
    summaries[columns[i]] = std::move(row);
  }
  manifest.json()["rewards"] = std::move(summaries);
  return ctx.finish(output, manifest);
}

}  // namespace
#endif

PLUMB_TOOL(ScoreOptions, "score", "gives samples one value per reward", "samples -> scores")
