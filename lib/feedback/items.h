// The items of samples, as they are shown.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/sha256.h"
#include "feedback/question.h"
#include "io/artefact.h"

namespace plumb::feedback {

/// What answers are about: the SHA-256 of items as they are stored. Neither how they were made nor where they lie is part of it, so that
/// an answer holds for the same items in another file.
class ItemsDigest {
 public:
  ItemsDigest(const io::Space& space, int64_t count);
  void add(const void* rows, size_t bytes) { sha_.update(rows, bytes); }   ///< in their order
  void add(const std::vector<std::string>& prompts);                       ///< last, if there are any
  std::string hex() { return sha_.hex(); }

 private:
  Sha256 sha_;
};

/// Reads items of a samples (or dataset) artefact one by one.
class Items {
 public:
  /// Opens the file and compares its digest. Throws Error(kBadInput) for a layout other than the manifest's.
  explicit Items(const io::Manifest& samples);
  int64_t count() const { return count_; }
  /// Number of item 0 among all samples of its seed: the manifest's `first`.
  int64_t first() const { return samples_.json().value("first", int64_t{0}); }
  const io::Space& space() const { return space_; }
  const io::Manifest& manifest() const { return samples_; }
  /// ItemsDigest of all; computed once.
  const std::string& digest() const;
  /// Grey images stay grey; of other channel counts the first three (or the first) are shown.
  Tile tile(int64_t item) const;
  /// Labels; empty if there are none.
  std::vector<int64_t> labels() const;
  /// All items as vectors [count * space.numel()], as stored: what `--choose diverse` measures distances in by default.
  std::vector<float> points() const;

 private:
  io::Manifest samples_;
  io::H5Reader file_;
  io::Space space_;
  int64_t count_ = 0;
  std::vector<std::string> prompts_;
  mutable std::string digest_;
};

/// Values of a column of the nearest scores of `items` on the lineage of `input`, which a command was given. Throws Error(kBadInput)
/// naming the columns there are.
std::vector<double> score_column(const io::Manifest& input, const Items& items, const std::string& name);

/// A reward's values of all items, by its expression.
using ScoreItems = std::function<std::vector<double>(const std::string& expression, const Items& items)>;

}  // namespace plumb::feedback
