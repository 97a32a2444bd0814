// Rows of an artefact in random order, for training on data that may not fit memory.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/h5.h"

namespace plumb::nn {

/// An endless sequence of examples: epoch after epoch over all rows, each in its own order, which is a pure function of
/// (seed, kShuffle, epoch). So example number k is the same whatever was read before: a resumed run needs no state.
///
/// The file is cut into blocks of about 1 MiB of rows. An epoch permutes the blocks, joins them to groups of at most
/// `buffer_bytes`, and permutes the rows of each group; one group is in memory at a time, and reading is by whole blocks.
/// Data smaller than the buffer is one group: then the order is a uniformly random permutation.
class ShuffledRows {
 public:
  /// `datasets`: names of the datasets to read in step, e.g. {"images", "label"}; all have `rows` rows. The first
  /// decides the size of a block. The file must outlive this object.
  ShuffledRows(const io::H5Reader& file, const std::vector<std::string>& datasets, int64_t rows, uint64_t seed,
               int64_t buffer_bytes = int64_t{64} << 20);

  /// One more dataset to read in step, of this or another file, which must outlive this object.
  void add(const io::H5Reader& file, const std::string& dataset);

  int64_t rows() const { return rows_; }
  int64_t buffer_bytes() const;   ///< memory of the shuffle buffer, in bytes

  /// Examples [first, first + count) of the sequence: one tensor [count,*] of the stored type for each dataset.
  std::vector<at::Tensor> take(int64_t first, int64_t count);

 private:
  void load_epoch(int64_t epoch);
  void load_group(size_t group);

  struct Column {
    const io::H5Reader* file;
    std::string dataset;
  };
  std::vector<Column> columns_;
  int64_t rows_, block_rows_ = 0, blocks_per_group_ = 0;
  uint64_t seed_;
  int64_t row_bytes_ = 0;
  int64_t epoch_ = -1;                  // the epoch whose order is in blocks_
  std::vector<int64_t> blocks_;         // block numbers in this epoch's order
  std::vector<int64_t> group_starts_;   // position of each group's first row in the epoch; last element: rows_
  size_t group_ = SIZE_MAX;             // the group in buffers_
  std::vector<at::Tensor> buffers_;     // rows of the group, already in order
};

}  // namespace plumb::nn
