// Rows of HDF5 datasets as tensors, and noise.   SPDX-License-Identifier: Apache-2.0
#include "nn/data.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"

namespace plumb::nn {
namespace {

at::ScalarType scalar_of(io::Type type, const std::string& where) {
  switch (type) {
    case io::Type::kU8: return at::kByte;
    case io::Type::kI64: return at::kLong;
    case io::Type::kF32: return at::kFloat;
    case io::Type::kF64: return at::kDouble;
    case io::Type::kU64: break;
  }
  throw Error(Exit::kFailed, where, cat("a dataset of ", io::name_of(type), " cannot be a tensor"));
}

io::Type type_of(const Tensor& tensor, const std::string& where) {
  switch (tensor.scalar_type()) {
    case at::kByte: return io::Type::kU8;
    case at::kLong: return io::Type::kI64;
    case at::kFloat: return io::Type::kF32;
    case at::kDouble: return io::Type::kF64;
    default: throw Error(Exit::kFailed, where, cat("a tensor of ", c10::toString(tensor.scalar_type()), " cannot be written"));
  }
}

Tensor on_cpu(const Tensor& tensor) { return tensor.detach().to(at::kCPU).contiguous(); }

}  // namespace

Tensor read_rows(const io::H5Reader& file, const std::string& dataset, int64_t first, int64_t count) {
  const io::DatasetInfo info = file.info(dataset);
  if (info.shape.empty()) throw Error(Exit::kBadInput, file.path(), "dataset '" + dataset + "' is a scalar, rows were expected");
  if (first < 0 || count < 0 || first > info.shape[0] - count) {
    throw Error(Exit::kBadInput, file.path(), cat("dataset '", dataset, "' has ", info.shape[0], " rows, ", first, "..", first + count, " were asked for"));
  }
  std::vector<int64_t> shape = info.shape;
  shape[0] = count;
  Tensor rows = at::empty(shape, scalar_of(info.type, file.path()));
  if (rows.numel() > 0) file.read(dataset, info.type, first, count, rows.mutable_data_ptr());
  return rows;
}

Tensor read_all(const io::H5Reader& file, const std::string& dataset) {
  const io::DatasetInfo info = file.info(dataset);
  if (!info.shape.empty()) return read_rows(file, dataset, 0, info.shape[0]);
  Tensor scalar = at::empty({}, scalar_of(info.type, file.path()));
  file.read(dataset, info.type, 0, 1, scalar.mutable_data_ptr());
  return scalar;
}

void append_rows(io::H5Writer& file, const std::string& dataset, const Tensor& rows) {
  const Tensor values = on_cpu(rows);
  file.append(dataset, type_of(values, file.path()), values.size(0), values.const_data_ptr());
}

void write_tensor(io::H5Writer& file, const std::string& dataset, const Tensor& tensor) {
  const Tensor values = on_cpu(tensor);
  file.write(dataset, type_of(values, file.path()), values.sizes().vec(), values.const_data_ptr());
}

Tensor normal_noise(uint64_t seed, int stream, const std::vector<int64_t>& items, uint32_t step,
                    const std::vector<int64_t>& item_shape, at::Device device) {
  std::vector<int64_t> shape = item_shape;
  shape.insert(shape.begin(), static_cast<int64_t>(items.size()));
  Tensor noise = at::empty(shape, at::kFloat);
  const int64_t row = items.empty() ? 0 : noise.numel() / noise.size(0);
  float* out = noise.mutable_data_ptr<float>();
  at::parallel_for(0, static_cast<int64_t>(items.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Philox random(seed, static_cast<Stream>(stream), static_cast<uint64_t>(items[static_cast<size_t>(i)]), step);
      random.fill_normal(out + i * row, row);
    }
  });
  return noise.to(device);
}

}  // namespace plumb::nn
