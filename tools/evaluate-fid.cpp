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
  t.add("save-features", &o.save_features, "also write the input's features, to be a --reference later").metavar("FILE.h5").file().runtime();
  t.add("save-stats", &o.save_stats, "also write the input's mean and covariance: .npz as pytorch-fid's, or .h5").metavar("FILE").file().runtime();
  t.group("Metrics");
  t.add("metric", &o.metrics, "which to compute; see plumb-metrics(7)").one_of(plumb::metrics::metric_names());
  t.add("allow-rank-deficient", &o.settings.frechet.allow_rank_deficient, "compute fid although a side has no more items than dimensions");
  t.add("kid.subsets", &o.settings.kernel_distance.subsets, "random subsets whose mean is kid").range(1, 1e6);
  t.add("kid.subset-size", &o.settings.kernel_distance.subset_size, "items of a subset; 0 = 1000, or the smaller side if that is less")
      .range(0, 1e6);
  t.add("prdc.precision-k", &o.settings.prdc.precision_k, "neighbours of precision and recall").range(1, 1000);
  t.add("prdc.density-k", &o.settings.prdc.density_k, "neighbours of density and coverage").range(1, 1000);
  t.add("inception-score.splits", &o.settings.inception_score.splits, "splits of split_mean and split_std").range(1, 1000);
  t.add("seed", &o.seed, "seed of the random subsets");
  plumb::cli::describe_common(t, o.common, {.precision = false});
}

}  // namespace

#ifndef PLUMB_FRONT
#include <filesystem>

#include "core/log.h"
#include "core/sha256.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "metrics/evaluation.h"
#include "nn/data.h"

namespace {

using namespace plumb;

/// Refuses to write `path` over an input, or over what is no earlier result of this option, unless --force. "" is fine.
void check_target(const std::string& option, const std::string& path, bool force, const std::vector<io::Manifest>& inputs) {
  namespace fs = std::filesystem;
  std::error_code none;
  if (path.empty() || !fs::exists(path, none)) return;
  for (const io::Manifest& input : inputs) {
    if (!input.path().empty() && fs::equivalent(path, input.path(), none)) {
      throw Error(Exit::kUsage, option, path + " is an input of this command and would be replaced", "name another file");
    }
  }
  if (force) return;
  bool ours = false;
  try {
    ours = path.ends_with(".npz") ? !io::read_npz(path, "mu").bytes.empty() : io::Manifest::read(path).kind() == "features";
  } catch (const Error&) {
  }
  if (!ours) throw Error(Exit::kUsage, option, path + " is there and holds something else", "name another file, or replace it with --force");
}

/// A features artefact of the input in `path`, by `write`. Returns its manifest as printed.
template <typename Write>
io::Manifest save(cli::Context& ctx, const std::string& path, const io::Manifest& items, const metrics::Features& features, Write write) {
  io::Manifest manifest = ctx.manifest("features", {{"items", items}});
  manifest.json()["count"] = features.features.size(0);
  manifest.json()["extractor"] = metrics::extractor_json(features);
  io::H5Writer writer(path);
  write(writer);
  return io::commit_artefact(writer, manifest);
}

/// Writes what --save-features and --save-stats name; returns the last artefact's manifest.
io::Manifest save_all(cli::Context& ctx, const EvaluateOptions& o, const io::Manifest& items, const metrics::Features& features) {
  io::Manifest saved;
  if (!o.save_stats.empty()) {
    const metrics::Gaussian fit = metrics::fit_gaussian(features.features);
    if (o.save_stats.ends_with(".npz")) {
      metrics::write_statistics_npz(o.save_stats, fit);
      saved = ctx.manifest("features", {{"items", items}});
      saved.json().update({{"count", fit.n}, {"extractor", metrics::extractor_json(features)},
                           {"path", io::absolute_path(o.save_stats)}, {"sha256", sha256_of_file(o.save_stats)}});
    } else {
      saved = save(ctx, o.save_stats, items, features, [&](io::H5Writer& w) { metrics::write_statistics(w, fit); });
    }
  }
  if (!o.save_features.empty()) {
    saved = save(ctx, o.save_features, items, features, [&](io::H5Writer& w) { metrics::write_features(w, features); });
  }
  return saved;
}

int run(cli::Context& ctx, const EvaluateOptions& o) {
  const at::Device device = nn::parse_device(o.common.device);
  nn::setup_torch(ctx.threads());
  const bool saving = !o.save_features.empty() || !o.save_stats.empty();
  if (o.reference.empty() && !saving) {
    throw Error(Exit::kUsage, "--reference", "is needed: what should the samples be compared with?", "--reference DATASET.h5, or only --save-stats FILE");
  }
  if (!o.save_features.empty() && o.save_features == o.save_stats) {
    throw Error(Exit::kUsage, "--save-stats", "names the same file as --save-features");
  }
  const io::Manifest input = ctx.input();
  const io::Manifest items = metrics::find_items(input);
  const bool npz = o.reference.ends_with(".npz");
  std::optional<io::Manifest> reference_manifest;
  if (!o.reference.empty() && !npz) reference_manifest = ctx.read(o.reference, "");
  std::vector<io::Manifest> read{input, items};
  if (reference_manifest) read.push_back(metrics::find_items(*reference_manifest));
  check_target("--save-features", o.save_features, o.common.force, read);
  check_target("--save-stats", o.save_stats, o.common.force, read);
  if (ctx.dry_run()) {
    io::Json plan{{"items", items.count()}, {"features", o.features}, {"metrics", o.metrics}};
    if (reference_manifest) plan["reference_items"] = read.back().count();
    return ctx.finish_dry_run(plan);
  }

  metrics::Extractor extractor(o.features, device, o.batch_size, o.limit);
  const metrics::Features samples = extractor.features(items);
  io::Manifest saved;
  if (saving) saved = save_all(ctx, o, items, samples);
  if (o.reference.empty()) return ctx.pass_on(saved);

  const metrics::Reference reference =
      npz ? metrics::load_statistics(o.reference, samples) : metrics::load_reference(*reference_manifest, extractor, samples);
  metrics::Settings settings = o.settings;
  settings.kernel_distance.seed = settings.vendi.seed = o.seed;
  const metrics::MetricInput in{samples, reference.features ? &*reference.features : nullptr,
                                reference.statistics ? &*reference.statistics : nullptr};
  const io::Json results = metrics::evaluate_metrics(o.metrics, ctx.was_set("metric"), in, settings);

  // `samples` first: the next command in a pipe takes the nearest samples, which must not be the reference.
  std::vector<std::pair<std::string, io::Manifest>> inputs{{"samples", items}};
  if (input.json() != items.json()) inputs.emplace_back("previous", input);
  inputs.emplace_back("reference", reference.manifest);
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
