// SPDX-License-Identifier: Apache-2.0
#include "nn/linear_predictor.h"

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/text.h"
#include "nn/config_keys.h"
#include "nn/mlp.h"

namespace plumb::nn {
namespace {

constexpr int64_t kMostWords = 65536;

}  // namespace

int64_t LinearPredictorOptions::dimension() const {
  if (features == "items") return elements;
  int64_t words = 1;
  for (int64_t i = 0; i < k && words <= kMostWords; ++i) words *= letters;
  return words;
}

io::Json LinearPredictorOptions::to_json() const {
  if (features == "items") return {{"features", features}, {"elements", elements}, {"outputs", outputs}};
  return {{"features", features}, {"letters", letters}, {"k", k}, {"outputs", outputs}};
}

LinearPredictorOptions LinearPredictorOptions::from_json(const io::Json& json, const std::string& where) {
  LinearPredictorOptions o;
  ConfigKeys keys(json, where);
  keys.read("features", o.features);
  keys.one_of("features", o.features, {"items", "kmer"});
  if (o.features == "items") {
    keys.read("elements", o.elements);
  } else {
    keys.read("letters", o.letters);
    keys.read("k", o.k);
  }
  keys.read("outputs", o.outputs);
  keys.done();
  keys.at_least("elements", static_cast<double>(o.elements), 1);
  keys.at_least("letters", static_cast<double>(o.letters), 1);
  keys.at_least("k", static_cast<double>(o.k), 1);
  if (o.features == "kmer" && o.dimension() > kMostWords) {
    keys.refuse("k", cat("there are more than ", kMostWords, " words of ", o.k, " out of ", o.letters, " letters"));
  }
  keys.size("outputs", o.outputs);
  return o;
}

LinearPredictor::LinearPredictor(const LinearPredictorOptions& options) : options_(options), head_(options.dimension(), options.outputs) {
  register_module("head", head_);
}

Tensor LinearPredictor::features(const Tensor& x) {
  if (options_.features == "items") return flat_items(x, options_.elements);
  if (x.dim() != 3 || x.size(1) != options_.letters) {
    throw Error(Exit::kBadInput, "x", cat("is ", shape_text(x.sizes().vec()), ", the network takes sequences of ", options_.letters, " letters"));
  }
  return word_counts((x + 1) / 2, options_.k);
}

void LinearPredictor::set_head(const Tensor& weight, const Tensor& bias) {
  const at::NoGradGuard no_grad;
  head_.weight().copy_(weight);
  head_.bias().copy_(bias);
}

Tensor word_counts(const Tensor& p, int64_t k) {
  const int64_t places = p.size(2) - k + 1;
  if (places < 1) throw Error(Exit::kBadInput, "x", cat("has ", p.size(2), " positions, a word has ", k));
  if (k == 1) return p.sum(2);
  Tensor words = p.narrow(2, 0, places);   // [B,K^j,places], those that begin at each place
  for (int64_t j = 1; j + 1 < k; ++j) {
    words = (words.unsqueeze(2) * p.narrow(2, j, places).unsqueeze(1)).flatten(1, 2);
  }
  // The last letter as a product of matrices, which sums over the places.
  return at::matmul(words, p.narrow(2, k - 1, places).transpose(1, 2)).flatten(1);   // [B,K^(k-1),K]
}

}  // namespace plumb::nn
