// The items of samples, as they are shown.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "feedback/question.h"
#include "io/artefact.h"

namespace plumb::feedback {

/// Reads items of a samples (or dataset) artefact one by one.
class Items {
 public:
  /// Opens the file and compares its digest. Throws Error(kBadInput) for a layout other than the manifest's.
  explicit Items(const io::Manifest& samples);
  int64_t count() const { return count_; }
  const io::Space& space() const { return space_; }
  const io::Manifest& manifest() const { return samples_; }
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
};

}  // namespace plumb::feedback
