// The part of HDF5 this project uses, behind RAII: files of chunked datasets that grow along their first axis.
// Byte-identical output for identical input (no times), default format bounds.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/atomic_file.h"

namespace plumb::io {

enum class Type { kU8, kI64, kU64, kF32, kF64 };
size_t size_of(Type type);
const char* name_of(Type type);

struct DatasetInfo {
  Type type = Type::kU8;
  std::vector<int64_t> shape;
};

/// Read side. All errors are Error(kBadInput, path, ...). Sizes in the file are checked against what the caller asks
/// for, never trusted for an allocation without a look at the file's own size.
class H5Reader {
 public:
  explicit H5Reader(const std::string& path);
  ~H5Reader();
  H5Reader(H5Reader&&) noexcept;
  const std::string& path() const;

  bool has(const std::string& dataset) const;
  DatasetInfo info(const std::string& dataset) const;
  /// Names of datasets below `group`, relative to it, sorted; recursive ("mid_block.resnets.0.conv1.weight" has no
  /// slash).
  std::vector<std::string> list(const std::string& group) const;
  /// Reads rows [first, first+count) into `out` (count * row elements of `type`). Converts between numeric types.
  void read(const std::string& dataset, Type type, int64_t first, int64_t count, void* out) const;
  /// The whole dataset.
  std::vector<float> read_f32(const std::string& dataset) const;
  std::vector<double> read_f64(const std::string& dataset) const;
  std::vector<int64_t> read_i64(const std::string& dataset) const;
  std::vector<uint8_t> read_u8(const std::string& dataset) const;
  std::vector<std::string> read_strings(const std::string& dataset) const;
  /// A string attribute ("" if absent) of "/" or of an object.
  std::string attribute(const std::string& object, const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Write side: a temporary file until commit().
class H5Writer {
 public:
  /// compress: deflate level 1 on datasets created later.
  explicit H5Writer(const std::string& path, bool compress = false);
  ~H5Writer();
  H5Writer(H5Writer&&) noexcept;
  const std::string& path() const;

  /// Creates a dataset of rows of shape `row` with 0 rows; append() adds. Chunks of about 1 MiB along the first axis,
  /// or of the whole dataset if that is shorter. The dataset appears in the file with its first full chunk, else at
  /// commit().
  void create(const std::string& dataset, Type type, const std::vector<int64_t>& row);
  void append(const std::string& dataset, Type type, int64_t count, const void* data);
  /// A whole dataset at once, contiguous. shape {} = scalar. Parent groups are made.
  void write(const std::string& dataset, Type type, const std::vector<int64_t>& shape, const void* data);
  void write_strings(const std::string& dataset, const std::vector<std::string>& values);
  void attribute(const std::string& object, const std::string& name, const std::string& value);
  /// Flush, close, fsync, rename. Throws Error(kFailed, path, ...) if the disk is full.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether HDF5 locks the files it opens from now on (default: yes, where the file system can). Off for file systems
/// such as some NFS and Lustre mounts whose locks hang or fail. The environment variable HDF5_USE_FILE_LOCKING, if set,
/// wins.
void set_file_locking(bool on);

/// Checks the HDF5 signature and superblock end-of-file address, so that a truncated file is named as such.
void check_h5_file(const std::string& path);

}  // namespace plumb::io
