// diversity: how varied samples are, by features of a fixed network, and whether they copy the training set.
// Man page: diversity(1).   SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"
#include "metrics/names.h"
#include "metrics/settings.h"

namespace {

struct DiversityOptions {
  std::string reference;
  std::string features = "default";
  std::vector<std::string> metrics{"vendi", "pairwise", "spectral", "memorisation", "sequences"};
  std::string save_features;
  bool per_class = true;
  int64_t batch_size = 64, limit = 0;
  uint64_t seed = 0;
  plumb::metrics::Settings settings;
  plumb::cli::CommonOptions common;
};

[[maybe_unused]] void describe(plumb::OptionTable& t, DiversityOptions& o) {
  t.group("What is measured");
  t.add("reference", &o.reference, "training set (dataset, samples or features .h5) for spectral and memorisation").short_name('r').file();
  t.add("features", &o.features, "feature network: default, raw, classifier:FILE.h5, efficientnet-lite0[:FILE.safetensors] or "
        "torchscript:FILE.pt[,size=299][,range=255|1|-1]")
      .metavar("SPEC").suggest({"default", "raw", "classifier:", "efficientnet-lite0", "torchscript:"});
  t.add("limit", &o.limit, "use the first N items of each side; 0 = all").metavar("N").range(0, 1e12);
  t.add("batch-size", &o.batch_size, "items in one pass of the network; affects speed and memory").range(1, 65536).runtime();
  t.add("save-features", &o.save_features, "also write the input's features: for commands behind, or to be a --reference").metavar("FILE.h5").file().runtime();
  t.group("Metrics");
  t.add("metric", &o.metrics, "which to compute; see plumb-metrics(7)").one_of(plumb::metrics::metric_names());
  t.add("per-class", &o.per_class, "also within each class, where the items have labels");
  t.add("vendi.order", &o.settings.vendi.orders, "orders of the entropy, above 0, or inf").metavar("Q").suggest({"0.5", "1", "2", "inf"});
  t.add("vendi.kernel", &o.settings.vendi.kernels, "similarity of two items").one_of({"cosine", "rbf"});
  t.add("vendi.bandwidth", &o.settings.vendi.bandwidth, "sigma of the rbf kernel; 0 = the median pairwise distance").range(0, 1e12);
  t.add("vendi.frequencies", &o.settings.vendi.frequencies, "random frequencies that stand for the rbf kernel beyond 4096 items; 0 = its matrix, items squared")
      .metavar("N").range(0, 1e5);
  t.add("bootstrap", &o.settings.vendi.bootstrap, "resamples behind the intervals of vendi, which else are taken where they cost little; 0 = no intervals")
      .range(0, 1e5);
  t.add("memorisation.ratio", &o.settings.memorisation.ratio,
        "near-duplicate: the nearest training item is nearer than this share of the distance to the second nearest").range(0, 1);
  t.add("memorisation.list", &o.settings.memorisation.list, "how many of the closest pairs to name").range(0, 1e6);
  t.add("sequences.k", &o.settings.sequences.k, "letters of the words that are compared with the reference's").range(1, 24);
  t.add("sequences.edit-pairs", &o.settings.sequences.edit_pairs, "pairs of sequences, at most, whose edit distance is taken; 0 = none")
      .metavar("N").range(0, 1e7);
  t.add("subspace", &o.settings.subspace.file, "metric subspace: the true subspace, an array A [D,d] whose columns span it, in an NPZ archive or a table with columns A1, A2, ...").metavar("FILE").file();
  t.add("class-coverage.classes", &o.settings.class_coverage.classes, "metric class-coverage: the wanted classes, by name or number, comma-separated; by default all")
      .metavar("CLASS,...");
  t.add("class-coverage.classifier", &o.settings.class_coverage.classifier, "metric class-coverage: the classifier that says of which class an item is; by default the feature network").metavar("FILE.h5").file();
  t.add("seed", &o.seed, "seed of the resamples");
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
  DiversityOptions defaults;
  OptionTable table;
  describe(table, defaults);
  metrics::refuse_without_effect(table, [&](const std::string& option) { return ctx.was_set(option); }, computed, has_reference);
}

int run(cli::Context& ctx, const DiversityOptions& o) {
  const at::Device device = nn::parse_device(o.common.device);
  nn::setup_torch(ctx.threads());
  for (const char* option : {"vendi.bandwidth", "vendi.frequencies"}) {
    const std::vector<std::string>& kernels = o.settings.vendi.kernels;
    if (ctx.was_set(option) && std::find(kernels.begin(), kernels.end(), "rbf") == kernels.end()) {
      throw Error(Exit::kUsage, std::string("--") + option, "has no effect without --vendi.kernel rbf");
    }
  }
  if (o.settings.vendi.bootstrap == 1) throw Error(Exit::kUsage, "--bootstrap", "1 resample gives no interval", "0 or at least 2");
  const io::Manifest input = ctx.input();
  const io::Manifest items = metrics::find_items(input);
  std::vector<std::string> wanted = o.metrics;
  const bool letters = items.has_space() && items.space().type == "sequence";
  if (!letters && !ctx.was_set("metric")) std::erase(wanted, "sequences");  // nothing to say about other items
  refuse_without_effect(ctx, wanted, !o.reference.empty());
  const bool npz = o.reference.ends_with(".npz");
  std::optional<io::Manifest> reference_manifest;
  if (!o.reference.empty() && !npz) reference_manifest = ctx.read(o.reference, "");
  metrics::Extractor extractor(o.features, device, o.batch_size, o.limit);
  if (ctx.was_set("features")) extractor.refuse_other_network(items);
  std::optional<io::Manifest> kept = extractor.find_kept(input, items);
  std::vector<io::Manifest> read{input, items};
  if (reference_manifest) read.push_back(metrics::find_items(*reference_manifest));
  if (kept) read.push_back(*kept);
  metrics::check_save_target("--save-features", o.save_features, o.common.force, read);
  ctx.check_printed_output({{"--save-features", o.save_features}});
  if (ctx.dry_run()) return ctx.finish_dry_run({{"items", items.count()}, {"features", o.features}, {"metrics", o.metrics}});

  const metrics::Features samples = extractor.features(kept ? *kept : items);
  if (!o.save_features.empty()) kept = metrics::save_features(o.save_features, ctx.manifest("features", {{"items", items}}), samples);
  std::optional<metrics::Reference> reference;
  if (npz) reference = metrics::load_statistics(o.reference, samples);
  if (reference_manifest) reference = metrics::load_reference(*reference_manifest, extractor, samples);
  metrics::Settings settings = o.settings;
  settings.set_seed(o.seed);
  settings.vendi.bootstrap_chosen = ctx.was_set("bootstrap");
  settings.vendi.per_class = settings.pairwise.per_class = settings.sequences.per_class = o.per_class;
  std::optional<metrics::Sequences> sequences, reference_sequences;
  if (std::find(wanted.begin(), wanted.end(), "sequences") != wanted.end()) {
    sequences = metrics::load_sequences(items, o.limit);
    if (reference_manifest) reference_sequences = metrics::load_sequences(reference->manifest, o.limit);
  }
  std::optional<at::Tensor> basis;
  if (std::find(wanted.begin(), wanted.end(), "subspace") != wanted.end()) basis = metrics::load_basis(items);
  std::optional<metrics::Predictions> predictions;
  if (std::find(wanted.begin(), wanted.end(), "class-coverage") != wanted.end()) {
    predictions = metrics::load_predictions(o.settings.class_coverage, o.features, items, samples, device, o.batch_size, o.limit);
  }
  const metrics::MetricInput in{samples, reference && reference->features ? &*reference->features : nullptr,
                                reference && reference->statistics ? &*reference->statistics : nullptr,
                                sequences ? &*sequences : nullptr, reference_sequences ? &*reference_sequences : nullptr, basis ? &*basis : nullptr, predictions ? &*predictions : nullptr};
  const io::Json results = metrics::evaluate_metrics(wanted, ctx.was_set("metric"), in, settings);

  // `samples` first: the next command in a pipe takes the nearest samples, which must not be the reference.
  std::vector<std::pair<std::string, io::Manifest>> inputs{{"samples", items}};
  if (input.json() != items.json()) inputs.emplace_back("previous", input);
  if (reference) inputs.emplace_back("reference", reference->manifest);
  if (kept) inputs.emplace_back("features", *kept);
  io::Manifest manifest = ctx.manifest("metrics", inputs);
  manifest.json()["metrics"] = results;
  manifest.json()["extractor"] = metrics::extractor_json(samples);
  log::info("features of ", samples.extractor, samples.digest.empty() ? "" : ", sha256 " + samples.digest.substr(0, 16),
            ", ", samples.features.size(0), " samples in ", samples.features.size(1), " dimensions");
  for (const auto& [name, metric] : results.items()) log::info(metrics::summary_line(name, metric));
  return ctx.finish(manifest);
}

}  // namespace
#endif

PLUMB_TOOL(DiversityOptions, "diversity", "measure how varied samples are, and whether they copy the training set", "samples -> metrics")
