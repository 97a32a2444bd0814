// evaluate-fid: how far samples are from a reference, by features of a fixed network. Man page: evaluate-fid(1).
// SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "metrics/names.h"
#include "metrics/settings.h"

namespace {

struct EvaluateOptions {
  std::string reference;
  std::string features = "default";
  std::vector<std::string> metrics{"fid", "kid", "prdc", "inception-score"};
  std::string save_features, save_stats;
  int64_t batch_size = 64, limit = 0;
  uint64_t seed = 0;
  plumb::metrics::Settings settings;
  plumb::cli::CommonOptions common;
};

[[maybe_unused]] void describe(plumb::OptionTable& t, EvaluateOptions& o) {
  t.group("What is compared");
  t.add("reference", &o.reference, "dataset, samples or features .h5, or statistics .npz (mu, sigma)").short_name('r').file();
  t.add("features", &o.features, "feature network: default, raw, classifier:FILE.h5, efficientnet-lite0[:FILE.safetensors] or "
        "torchscript:FILE.pt[,size=299][,range=255|1|-1]")
      .metavar("SPEC").suggest({"default", "raw", "classifier:", "efficientnet-lite0", "torchscript:"});
  t.add("limit", &o.limit, "use the first N items of each side; 0 = all").metavar("N").range(0, 1e12);
  t.add("batch-size", &o.batch_size, "items in one pass of the network; affects speed and memory").range(1, 65536).runtime();
  t.add("save-features", &o.save_features, "also write the input's features: for commands behind, or to be a --reference").metavar("FILE.h5").file().runtime();
  t.add("save-stats", &o.save_stats, "also write the input's mean and covariance: .npz as pytorch-fid's, or .h5").metavar("FILE").file().runtime();
  t.group("Metrics");
  t.add("metric", &o.metrics, "which to compute; see plumb-metrics(7)").one_of(plumb::metrics::metric_names());
  t.add("allow-rank-deficient", &o.settings.frechet.allow_rank_deficient, "compute fid although a side has no more items than dimensions");
  t.add("kid.subsets", &o.settings.kernel_distance.subsets, "random subsets whose mean is kid").range(1, 1e6);
  t.add("kid.subset-size", &o.settings.kernel_distance.subset_size, "items of a subset; 0 = 1000, or the smaller side if that is less")
      .range(0, 1e6);
  t.add("kid.items", &o.settings.kernel_distance.items, "items of a side, at most, in kid's full estimate and its error; 0 = without")
      .metavar("N").range(0, 1e9);
  t.add("prdc.precision-k", &o.settings.prdc.precision_k, "neighbours of precision and recall").range(1, 1000);
  t.add("prdc.density-k", &o.settings.prdc.density_k, "neighbours of density and coverage").range(1, 1000);
  t.add("inception-score.splits", &o.settings.inception_score.splits, "splits of split_mean and split_std").range(1, 1000);
  t.add("seed", &o.seed, "seed of the random subsets");
  plumb::cli::describe_common(t, o.common, {.printed = true, .precision = false});
}

}  // namespace

#ifndef PLUMB_FRONT
#include <algorithm>

#include "core/log.h"
#include "metrics/evaluation.h"
#include "metrics/option_use.h"
#include "nn/data.h"

namespace {

using namespace plumb;

void refuse_without_effect(cli::Context& ctx, const std::vector<std::string>& computed, bool has_reference) {
  EvaluateOptions defaults;
  OptionTable table;
  describe(table, defaults);
  metrics::refuse_without_effect(table, [&](const std::string& option) { return ctx.was_set(option); }, computed, has_reference);
}

/// Writes what --save-features and --save-stats name; returns the last artefact's manifest.
io::Manifest save_all(cli::Context& ctx, const EvaluateOptions& o, const io::Manifest& items, const metrics::Features& features) {
  const io::Manifest fresh = ctx.manifest("features", {{"items", items}});
  io::Manifest saved;
  if (!o.save_stats.empty()) saved = metrics::save_statistics(o.save_stats, fresh, features);
  if (!o.save_features.empty()) saved = metrics::save_features(o.save_features, fresh, features);
  return saved;
}

int run(cli::Context& ctx, const EvaluateOptions& o) {
  const at::Device device = nn::parse_device(o.common.device);
  nn::setup_torch(ctx.threads());
  const bool saving = !o.save_features.empty() || !o.save_stats.empty();
  if (o.reference.empty() && !saving) {
    throw Error(Exit::kUsage, "--reference", "is needed: what should the samples be compared with?", "--reference DATASET.h5, or only --save-stats FILE");
  }
  const bool comparing = !o.reference.empty();
  if (!comparing && ctx.was_set("output")) {
    throw Error(Exit::kUsage, "--output", "has no effect without --reference: only features or statistics are made", "leave it out");
  }
  refuse_without_effect(ctx, comparing ? o.metrics : std::vector<std::string>{}, comparing);
  const io::Manifest input = ctx.input();
  const io::Manifest items = metrics::find_items(input);
  const bool npz = o.reference.ends_with(".npz");
  std::optional<io::Manifest> reference_manifest;
  if (!o.reference.empty() && !npz) reference_manifest = ctx.read(o.reference, "");
  std::vector<io::Manifest> read{input, items};
  if (reference_manifest) read.push_back(metrics::find_items(*reference_manifest));
  metrics::Extractor extractor(o.features, device, o.batch_size, o.limit);
  if (ctx.was_set("features")) extractor.refuse_other_network(items);
  std::optional<io::Manifest> kept = extractor.find_kept(input, items);
  if (kept) read.insert(read.begin(), *kept);
  metrics::check_save_target("--save-features", o.save_features, o.common.force, read);
  metrics::check_save_target("--save-stats", o.save_stats, o.common.force, read);
  ctx.check_printed_output({{"--save-features", o.save_features}, {"--save-stats", o.save_stats}});
  if (ctx.dry_run()) {
    io::Json plan{{"items", items.count()}, {"features", o.features}, {"metrics", o.metrics}};
    if (reference_manifest) plan["reference_items"] = read.back().count();
    return ctx.finish_dry_run(plan);
  }

  const metrics::Features samples = extractor.features(kept ? *kept : items);
  io::Manifest saved;
  if (saving) saved = save_all(ctx, o, items, samples);
  if (!o.save_features.empty()) kept = saved;
  if (o.reference.empty()) return ctx.pass_on(saved);

  const metrics::Reference reference =
      npz ? metrics::load_statistics(o.reference, samples) : metrics::load_reference(*reference_manifest, extractor, samples);
  metrics::Settings settings = o.settings;
  settings.set_seed(o.seed);
  std::optional<metrics::Sequences> sequences, reference_sequences;
  if (std::find(o.metrics.begin(), o.metrics.end(), "sequences") != o.metrics.end()) {
    sequences = metrics::load_sequences(items, o.limit);
    reference_sequences = metrics::load_sequences(reference.manifest, o.limit);
  }
  const metrics::MetricInput in{samples, reference.features ? &*reference.features : nullptr,
                                reference.statistics ? &*reference.statistics : nullptr,
                                sequences ? &*sequences : nullptr, reference_sequences ? &*reference_sequences : nullptr};
  const io::Json results = metrics::evaluate_metrics(o.metrics, ctx.was_set("metric"), in, settings);

  // `samples` first: the next command in a pipe takes the nearest samples, which must not be the reference.
  std::vector<std::pair<std::string, io::Manifest>> inputs{{"samples", items}};
  if (input.json() != items.json()) inputs.emplace_back("previous", input);
  inputs.emplace_back("reference", reference.manifest);
  if (kept) inputs.emplace_back("features", *kept);
  io::Manifest manifest = ctx.manifest("metrics", inputs);
  manifest.json()["metrics"] = results;
  manifest.json()["extractor"] = metrics::extractor_json(samples);
  log::info("features of ", samples.extractor, samples.digest.empty() ? "" : ", sha256 " + samples.digest.substr(0, 16),
            ", resize ", samples.resize_mode, ", ", samples.features.size(0), " samples in ", samples.features.size(1), " dimensions");
  for (const auto& [name, metric] : results.items()) log::info(metrics::summary_line(name, metric));
  return ctx.finish(manifest);
}

}  // namespace
#endif

PLUMB_TOOL(EvaluateOptions, "evaluate-fid", "measure how far samples are from a reference: FID, KID, precision, recall", "samples -> metrics")
