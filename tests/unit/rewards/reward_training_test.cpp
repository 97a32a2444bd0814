// SPDX-License-Identifier: Apache-2.0
#include "rewards/reward_training.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "artefacts.h"
#include "core/signals.h"
#include "rewards/labelled_items.h"
#include "rewards/prediction_quality.h"

namespace plumb::rewards {
using namespace test;

namespace {

/// 12x12 pictures of two classes: bright left half, bright right half, with noise; `value` = how bright that half is.
struct Toy {
  at::Tensor images, label, value;
  explicit Toy(int64_t n) : images(random_images(n, 1, 12, 12, 11)), label(at::zeros({n}, at::kLong)), value(at::zeros({n}, at::kDouble)) {
    images.div_(8, "floor");  // noise 0..31
    Philox random(2, Stream::kSubset);
    for (int64_t i = 0; i < n; ++i) {
      const auto side = static_cast<int64_t>(random.below(2));
      const auto bright = static_cast<int64_t>(random.below(200));
      label[i] = side;
      value[i] = static_cast<double>(bright) / 10 + 100;
      images[i].narrow(2, side * 6, 6).add_(20 + bright);
    }
  }
};

/// One training run on the toy, up to `until` steps, optionally from a checkpoint.
struct Run {
  Folder folder;
  io::Manifest manifest;
  std::unique_ptr<io::H5Reader> file;
  std::unique_ptr<ItemRows> rows;
  std::unique_ptr<nn::Codec> codec;
  std::unique_ptr<nn::Predictor> predictor;
  std::unique_ptr<RewardTrainer> trainer;
  Split split;

  Run(const Toy& toy, const RewardTrainingOptions& options) {
    manifest = write_dataset(folder / "toy.h5", toy.images, toy.label);
    file = std::make_unique<io::H5Reader>(manifest.path());
    rows = std::make_unique<ItemRows>(*file, "images");
    codec = nn::make_codec(manifest.space(), "toy");
    const bool classifier = options.type == "classifier";
    predictor = nn::make_predictor(small_resnet(classifier ? 2 : 1), "toy");
    nn::initialise(*predictor, options.seed);
    split = split_items(toy.images.size(0), options);
    trainer = std::make_unique<RewardTrainer>(*predictor, *rows, *codec, classifier ? toy.label : toy.value, split, options, at::kCPU);
  }
};

RewardTrainingOptions quick(const std::string& type) {
  RewardTrainingOptions options;
  options.type = type;
  options.steps = 60;
  options.batch_size = 16;
  options.lr = 5e-3;
  options.lr_warmup = 5;
  options.held_out = 0.25;
  options.evaluate_every = 10;
  options.seed = 4;
  return options;
}

}  // namespace

TEST_CASE("split: disjoint, about the share asked for, an item's side does not depend on the others") {
  RewardTrainingOptions options;
  options.held_out = 0.2;
  const Split some = split_items(1000, options), more = split_items(2000, options);
  CHECK(some.train.size() + some.held_out.size() == 1000);
  CHECK(std::abs(static_cast<double>(some.held_out.size()) - 200) < 5 * std::sqrt(1000 * .2 * .8));
  CHECK(std::includes(more.held_out.begin(), more.held_out.end(), some.held_out.begin(), some.held_out.end()));
  options.seed = 1;
  CHECK(split_items(1000, options).held_out != some.held_out);
}

TEST_CASE("split: a label budget counts both sides; errors") {
  RewardTrainingOptions options;
  options.labels = 50;
  options.held_out = 0.3;
  const Split split = split_items(1000, options);
  CHECK(split.train.size() + split.held_out.size() == 50);
  CHECK(split.train.back() > 500);  // not the first fifty
  options.labels = 1001;
  CHECK(exit_of([&] { split_items(1000, options); }) == Exit::kBadInput);
  options.labels = 2;
  CHECK(exit_of([&] { split_items(1000, options); }) == Exit::kBadInput);
}

TEST_CASE("label noise: moments of the noise on rewards, share of changed classes") {
  RewardTrainingOptions options;
  options.label_noise = 0.5;
  const at::Tensor values = at::full({4000}, 7.0, at::kDouble);
  const at::Tensor noise = add_label_noise(values, 0, options) - values;
  CHECK(std::abs(noise.mean().item<double>()) < 5 * 0.5 / std::sqrt(4000.0));
  CHECK(std::abs(noise.std().item<double>() - 0.5) < 5 * 0.5 / std::sqrt(8000.0));
  const at::Tensor classes = at::full({4000}, 3, at::kLong);
  const double changed = add_label_noise(classes, 10, options).ne(3).to(at::kDouble).mean().item<double>();
  CHECK(std::abs(changed - 0.45) < 5 * std::sqrt(.45 * .55 / 4000));  // redrawn with 1/2, other than 3 with 9/10
  CHECK(at::equal(add_label_noise(values, 0, RewardTrainingOptions()), values));
  options.label_noise = 1.5;
  CHECK(exit_of([&] { add_label_noise(classes, 10, options); }) == Exit::kUsage);
}

TEST_CASE("shift: whole pixels, both ways, edges repeated") {
  const at::Tensor x = at::arange(36, at::kFloat).view({1, 1, 6, 6}).expand({64, 1, 6, 6}).contiguous();
  const at::Tensor moved = shift_images(x, 2, 0, 100);
  std::set<std::pair<int64_t, int64_t>> seen;
  for (int64_t i = 0; i < 64; ++i) {
    bool found = false;
    for (int64_t dy = -2; dy <= 2; ++dy) {
      for (int64_t dx = -2; dx <= 2; ++dx) {
        bool same = true;
        for (int64_t p = 0; p < 36; ++p) {
          const int64_t row = std::clamp<int64_t>(p / 6 + dy, 0, 5), column = std::clamp<int64_t>(p % 6 + dx, 0, 5);
          same = same && moved[i].view(-1)[p].item<int64_t>() == row * 6 + column;
        }
        if (same) seen.insert({dy, dx});
        found = found || same;
      }
    }
    CHECK(found);
  }
  CHECK(seen.size() > 15);  // of 25
  CHECK(at::equal(shift_images(x.narrow(0, 3, 1), 2, 0, 103), moved.narrow(0, 3, 1)));
}

TEST_CASE("training: a classifier learns the toy and is scored on held-out items") {
  const Toy toy(200);
  Run run(toy, quick("classifier"));
  double first = 0, last = 0;
  while (!run.trainer->done()) {
    const RewardTrainingRecord record = run.trainer->step();
    if (record.step == 1) first = record.loss;
    last = record.loss;
    CHECK(std::isnan(record.held_out_loss) == (record.step % 10 != 0));
  }
  CHECK(last < 0.3 * first);
  run.trainer->use_best();
  const at::Tensor rows = at::tensor(run.split.held_out, at::kLong);
  const at::Tensor outputs = predict(*run.predictor, *run.rows, *run.codec, run.split.held_out, at::kCPU);
  CHECK(classifier_quality(outputs, toy.label.index_select(0, rows)).accuracy > 0.95);
}

TEST_CASE("training: a regressor learns raw rewards") {
  const Toy toy(200);
  RewardTrainingOptions options = quick("regressor");
  options.steps = 150;
  Run run(toy, options);
  while (!run.trainer->done()) run.trainer->step();
  run.trainer->use_best();
  const at::Tensor rows = at::tensor(run.split.held_out, at::kLong);
  const at::Tensor outputs = predict(*run.predictor, *run.rows, *run.codec, run.split.held_out, at::kCPU);
  const io::Json quality = quality_json(outputs, toy.value.index_select(0, rows), {1.0, run.trainer->scale().mean, run.trainer->scale().std});
  CHECK(quality["spearman"].get<double>() > 0.9);
  CHECK(quality["r2"].get<double>() > 0.8);
  CHECK(quality["count"].get<size_t>() == run.split.held_out.size());
}

TEST_CASE("training: stops when the held-out loss has not improved, and keeps the best weights, not the last") {
  const Toy toy(60);
  RewardTrainingOptions options = quick("regressor");
  options.lr = 0.1;  // too much: the held-out loss goes up and down
  options.steps = 500;
  options.patience = 2;
  Run run(toy, options);
  std::map<int64_t, std::pair<double, nn::NamedTensors>> evaluated;
  while (!run.trainer->done()) {
    const RewardTrainingRecord record = run.trainer->step();
    if (std::isnan(record.held_out_loss)) continue;
    auto& [loss, weights] = evaluated[record.step];
    loss = record.held_out_loss;
    for (const auto& [name, tensor] : run.predictor->state()) weights.emplace_back(name, tensor.detach().clone());
  }
  const int64_t best = run.trainer->best_step(), last = run.trainer->steps_done();
  CHECK(run.trainer->stopped_early());
  CHECK(last == best + 20);
  for (const auto& [step, evaluation] : evaluated) CHECK(evaluation.first >= evaluated.at(best).first);
  run.trainer->use_best();
  const nn::NamedTensors kept = run.predictor->state();
  bool differs = false;
  for (size_t i = 0; i < kept.size(); ++i) {
    CHECK(at::equal(kept[i].second, evaluated.at(best).second[i].second));
    differs = differs || !at::equal(kept[i].second, evaluated.at(last).second[i].second);
  }
  CHECK(differs);
}

TEST_CASE("training: a resumed run equals the uninterrupted one, bit for bit") {
  const Toy toy(100);
  RewardTrainingOptions options = quick("classifier");
  options.flip = true;
  options.shift = 1;
  options.steps = 24;
  Run whole(toy, options), first(toy, options), second(toy, options);
  while (!whole.trainer->done()) whole.trainer->step();
  for (int i = 0; i < 13; ++i) first.trainer->step();
  nn::Checkpoint checkpoint;
  first.trainer->save(checkpoint);
  const std::string path = first.folder / "c.ckpt";
  nn::save_checkpoint(path, checkpoint);
  const auto found = nn::find_checkpoint(path, path, checkpoint.fingerprint, false);
  REQUIRE(found.has_value());
  second.trainer->restore(*found);
  while (!second.trainer->done()) second.trainer->step();
  whole.trainer->use_best();
  second.trainer->use_best();
  CHECK(whole.trainer->best_step() == second.trainer->best_step());
  const nn::NamedTensors a = whole.predictor->state(), b = second.predictor->state();
  for (size_t i = 0; i < a.size(); ++i) CHECK(at::equal(a[i].second, b[i].second));
}

TEST_CASE("training: a TorchScript network trains and comes back from its artefact") {
  Toy toy(80);
  toy.images = toy.images.slice(2, 0, 12, 2).slice(3, 0, 12, 2).contiguous();  // 6x6
  const Folder folder;
  const io::Manifest manifest = write_dataset(folder / "toy.h5", toy.images, toy.label);
  const io::H5Reader file(manifest.path());
  const ItemRows rows(file, "images");
  const auto codec = nn::make_codec(manifest.space(), "toy");
  const std::string script = source_dir() + "/tests/unit/rewards/data/logits.pt";
  auto predictor = nn::make_predictor(nn::predictor_preset(script, manifest.space(), 2), script);
  RewardTrainingOptions options = quick("classifier");
  options.steps = 30;
  auto fixed = nn::make_predictor(nn::predictor_preset(source_dir() + "/tests/unit/rewards/data/mean_square.pt", manifest.space(), 1), "fixed");
  CHECK(exit_of([&] { RewardTrainer(*fixed, rows, *codec, toy.label, split_items(80, options), options, at::kCPU); }) == Exit::kBadInput);
  RewardTrainer trainer(*predictor, rows, *codec, toy.label, split_items(80, options), options, at::kCPU);
  while (!trainer.done()) trainer.step();
  trainer.use_best();
  std::vector<int64_t> all(80);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  const at::Tensor outputs = predict(*predictor, rows, *codec, all, at::kCPU);
  CHECK(classifier_quality(outputs, toy.label).accuracy > 0.95);
  io::H5Writer writer(folder / "r.h5");
  nn::write_predictor(writer, *predictor);
  writer.commit();
  const io::H5Reader stored(folder / "r.h5");
  auto again = nn::read_predictor(stored, predictor->config());
  CHECK(at::equal(predict(*again, rows, *codec, all, at::kCPU), outputs));
}

TEST_CASE("labelled items: what is refused") {
  const Toy toy(6);
  const Folder folder;
  std::string message;
  const io::Manifest plain = write_dataset(folder / "a.h5", toy.images);
  CHECK(exit_of([&] { read_labelled(plain, "classifier", ""); }, &message) == Exit::kBadInput);
  CHECK(message.find("no labels") != std::string::npos);
  CHECK(exit_of([&] { read_labelled(plain, "regressor", ""); }, &message) == Exit::kBadInput);
  const io::Manifest one = write_dataset(folder / "b.h5", toy.images, at::zeros({6}, at::kLong));
  CHECK(exit_of([&] { read_labelled(one, "classifier", ""); }, &message) == Exit::kBadInput);
  CHECK(message.find("one class") != std::string::npos);
  const io::Manifest negative = write_dataset(folder / "c.h5", toy.images, toy.label - 1);
  CHECK(exit_of([&] { read_labelled(negative, "classifier", ""); }) == Exit::kBadInput);
  const io::Manifest good = write_dataset(folder / "d.h5", toy.images, at::arange(6, at::kLong));
  CHECK(read_labelled(good, "classifier", "").classes.size() == 6);

  io::H5Writer writer(folder / "s.h5");
  nn::write_tensor(writer, "reward/a", at::ones({6}));
  nn::write_tensor(writer, "reward/b", at::full({6}, std::nan("")));
  const io::Manifest scores = io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "scores"}, {"count", 6},
                                                                        {"inputs", {{"dataset", good.json()}}}}));
  CHECK(exit_of([&] { read_labelled(scores, "regressor", ""); }, &message) == Exit::kUsage);
  CHECK(message.find("a, b") != std::string::npos);
  CHECK(exit_of([&] { read_labelled(scores, "regressor", "c"); }) == Exit::kUsage);
  CHECK(exit_of([&] { read_labelled(scores, "regressor", "b"); }) == Exit::kBadInput);
  CHECK(read_labelled(scores, "regressor", "a").target.sum().item<double>() == 6);
}

}  // namespace plumb::rewards
