// SPDX-License-Identifier: Apache-2.0
#include "nn/shuffled_rows.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "nn/data.h"

namespace plumb::nn {

ShuffledRows::ShuffledRows(const io::H5Reader& file, const std::vector<std::string>& datasets, int64_t rows, uint64_t seed,
                           int64_t buffer_bytes)
    : rows_(rows), seed_(seed) {
  if (rows < 1) throw Error(Exit::kBadInput, file.path(), "has no rows to train on");
  for (const std::string& dataset : datasets) add(file, dataset);
  block_rows_ = std::max<int64_t>(1, (int64_t{1} << 20) / std::max<int64_t>(1, row_bytes_));
  blocks_per_group_ = std::max<int64_t>(1, buffer_bytes / (block_rows_ * std::max<int64_t>(1, row_bytes_)));
}

void ShuffledRows::add(const io::H5Reader& file, const std::string& dataset) {
  const io::DatasetInfo info = file.info(dataset);
  if (info.shape.empty() || info.shape.front() != rows_) {
    throw Error(Exit::kBadInput, file.path(), cat("dataset '", dataset, "' has shape ", shape_text(info.shape), ", expected ", rows_, " rows"));
  }
  row_bytes_ += std::accumulate(info.shape.begin() + 1, info.shape.end(), static_cast<int64_t>(io::size_of(info.type)), std::multiplies<>());
  columns_.push_back({&file, dataset});
  group_ = SIZE_MAX;
}

int64_t ShuffledRows::buffer_bytes() const { return std::min(rows_, blocks_per_group_ * block_rows_) * row_bytes_; }

void ShuffledRows::load_epoch(int64_t epoch) {
  const int64_t block_count = (rows_ + block_rows_ - 1) / block_rows_;
  Philox random(seed_, Stream::kShuffle, static_cast<uint64_t>(epoch), 0);
  blocks_ = permutation(block_count, random);
  group_starts_ = {0};
  int64_t position = 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    position += std::min(block_rows_, rows_ - blocks_[i] * block_rows_);
    if ((static_cast<int64_t>(i) + 1) % blocks_per_group_ == 0 || i + 1 == blocks_.size()) group_starts_.push_back(position);
  }
  epoch_ = epoch;
  group_ = SIZE_MAX;
}

void ShuffledRows::load_group(size_t group) {
  const int64_t count = group_starts_[group + 1] - group_starts_[group];
  const size_t first_block = group * static_cast<size_t>(blocks_per_group_);
  const size_t end_block = std::min(blocks_.size(), first_block + static_cast<size_t>(blocks_per_group_));
  Philox random(seed_, Stream::kShuffle, static_cast<uint64_t>(epoch_), static_cast<uint32_t>(group) + 1);
  const std::vector<int64_t> order = permutation(count, random);
  const at::Tensor destination = at::tensor(order, at::kLong);  // where each row goes
  buffers_.clear();
  for (const Column& column : columns_) {
    at::Tensor buffer;
    int64_t position = 0;
    for (size_t i = first_block; i < end_block; ++i) {
      const int64_t first = blocks_[i] * block_rows_;
      const at::Tensor block = read_rows(*column.file, column.dataset, first, std::min(block_rows_, rows_ - first));
      if (!buffer.defined()) {
        std::vector<int64_t> shape = block.sizes().vec();
        shape[0] = count;
        buffer = at::empty(shape, block.options());
      }
      buffer.index_copy_(0, destination.narrow(0, position, block.size(0)), block);
      position += block.size(0);
    }
    buffers_.push_back(buffer);
  }
  group_ = group;
}

std::vector<at::Tensor> ShuffledRows::take(int64_t first, int64_t count) {
  std::vector<std::vector<at::Tensor>> pieces(columns_.size());
  while (count > 0) {
    const int64_t position = first % rows_;
    if (first / rows_ != epoch_) load_epoch(first / rows_);
    const auto next = std::upper_bound(group_starts_.begin(), group_starts_.end(), position);
    const size_t group = static_cast<size_t>(next - group_starts_.begin()) - 1;
    if (group != group_) load_group(group);
    const int64_t here = std::min(count, group_starts_[group + 1] - position);
    for (size_t i = 0; i < columns_.size(); ++i) {
      pieces[i].push_back(buffers_[i].narrow(0, position - group_starts_[group], here));
    }
    first += here;
    count -= here;
  }
  std::vector<at::Tensor> rows;
  for (const auto& list : pieces) rows.push_back(list.size() == 1 ? list.front().clone() : at::cat(list));
  return rows;
}

}  // namespace plumb::nn
