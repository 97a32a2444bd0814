// SPDX-License-Identifier: Apache-2.0
#include "nn/linear_predictor.h"

#include <doctest/doctest.h>

#include <ATen/ATen.h>

#include "core/error.h"
#include "nn/denoiser.h"
#include "unit/gradcheck.h"

namespace plumb::nn {
namespace {

/// Model space of a word.
at::Tensor one_hot(const std::string& word, const std::string& alphabet) {
  at::Tensor x = at::full({1, static_cast<int64_t>(alphabet.size()), static_cast<int64_t>(word.size())}, -1.0, at::kDouble);
  for (size_t i = 0; i < word.size(); ++i) x[0][static_cast<int64_t>(alphabet.find(word[i]))][static_cast<int64_t>(i)] = 1.0;
  return x;
}

Exit exit_of(const io::Json& config) {
  try {
    make_predictor({{"type", "linear"}, {"config", config}}, "test");
  } catch (const Error& error) {
    return error.exit();
  }
  return Exit::kDone;
}

}  // namespace

TEST_CASE("linear: counts of words by hand, in the order of their codes") {
  const at::Tensor one = word_counts((one_hot("ABBA", "ABC") + 1) / 2, 1), two = word_counts((one_hot("ABBA", "ABC") + 1) / 2, 2);
  CHECK(at::equal(one.squeeze(0), at::tensor({2.0, 2.0, 0.0}, at::kDouble)));
  CHECK(at::equal(two.squeeze(0), at::tensor({0., 1., 0., 1., 1., 0., 0., 0., 0.}, at::kDouble)));   // AB, BA, BB
  const at::Tensor x = (one_hot("GATTACAGATTA", "ACGT") + 1) / 2, three = word_counts(x, 3).squeeze(0);
  CHECK(three.numel() == 64);
  CHECK(three.sum().item<double>() == 10.0);
  CHECK(three[(2 * 4 + 0) * 4 + 3].item<double>() == 2.0);   // GAT
  CHECK(three[(3 * 4 + 3) * 4 + 0].item<double>() == 2.0);   // TTA
  CHECK(three[(1 * 4 + 0) * 4 + 2].item<double>() == 1.0);   // CAG
  const at::Tensor level = word_counts(at::full({1, 4, 12}, 0.25, at::kDouble), 3);
  CHECK((level - 10.0 / 64).abs().max().item<double>() < 1e-15);
}

TEST_CASE("linear: head on features, batch, gradient") {
  LinearPredictor words({.features = "kmer", .letters = 4, .k = 3});
  CHECK(words.feature_dimension() == 64);
  initialise(words, 3);
  words.to(at::kDouble);
  at::Tensor x = at::arange(2 * 4 * 9, at::kDouble).sin().view({2, 4, 9});
  CHECK(test::gradient_error([&] { return words.forward(x).square().sum(); }, {x}) < 1e-7);
  CHECK((words.forward(x).narrow(0, 1, 1) - words.forward(x.narrow(0, 1, 1))).abs().max().item<double>() < 1e-12);

  LinearPredictor items({.elements = 6, .outputs = 2});
  const at::Tensor weight = at::arange(12, at::kFloat).view({2, 6}), bias = at::tensor({1.0f, -1.0f}), v = at::arange(12, at::kFloat).view({2, 2, 3});
  items.set_head(weight, bias);
  CHECK(at::equal(items.forward(v), at::matmul(v.view({2, 6}), weight.t()) + bias));
}

TEST_CASE("linear: config") {
  const io::Json config{{"type", "linear"}, {"config", {{"features", "kmer"}, {"letters", 4}, {"k", 2}, {"outputs", 3}}}};
  CHECK(make_predictor(config, "test")->config() == config);
  CHECK(exit_of({{"features", "words"}}) == Exit::kUsage);
  CHECK(exit_of({{"features", "kmer"}, {"k", 9}}) == Exit::kUsage);      // 4^9 words
  CHECK(exit_of({{"features", "kmer"}, {"k", 8}}) == Exit::kDone);
  CHECK(exit_of({{"elements", 4}, {"k", 2}}) == Exit::kUsage);
  CHECK(predictor_preset("kmer", {"sequence", {10}, "ACGT"}, 1).at("config").at("letters") == 4);
  CHECK(predictor_preset("linear", {"sequence", {10}, "ACGT"}, 1).at("config").at("elements") == 40);
  CHECK_THROWS_AS(predictor_preset("kmer", {"vector", {10}, ""}, 1), Error);
  CHECK_THROWS_AS(predictor_preset("kmer", {"sequence", {2}, "ACGT"}, 1), Error);
}

}  // namespace plumb::nn
