// NumPy's NPY and NPZ. Source: NEP 1, format versions 1.0 to 3.0. Numbers only; objects (pickles) are refused.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/byte_source.h"

namespace plumb::io {

/// What an NPY header says.
struct NpyHeader {
  char kind = 'f';             ///< f float, i signed, u unsigned, b bool
  size_t item_size = 4;        ///< bytes of one number
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  uint64_t numel() const;
  std::string text() const;    ///< "float32 [10,3]"
};

/// A whole array in C order, native byte order.
struct NpyArray {
  NpyHeader header;
  std::string bytes;
  std::vector<double> as_f64() const;     ///< from any kind
  std::vector<int64_t> as_i64() const;    ///< Error(kBadInput) for floats
};

/// Reads the header, leaving `source` at the first number. Refuses sizes that the source cannot hold.
NpyHeader read_npy_header(ByteSource& source);
/// The rest of the array after its header; Fortran order is turned to C order.
NpyArray read_npy(ByteSource& source);
NpyArray read_npy_file(const std::string& path);

/// The bytes of an NPY 1.0 file. descr: "<f8", "<f4", "<i8", "|u1".
std::string npy_bytes(const std::string& descr, const std::vector<int64_t>& shape, const void* data, size_t size);
std::string npy_bytes(const std::vector<int64_t>& shape, const std::vector<double>& values);   // "<f8"

/// An array of an NPZ archive by name (without ".npy"). Throws Error(kBadInput) naming the arrays that are there.
NpyArray read_npz(const std::string& path, const std::string& name);
std::vector<std::string> npz_names(const std::string& path);
/// Writes named arrays (made by npy_bytes) atomically; equal arrays make equal bytes.
void write_npz(const std::string& path, const std::vector<std::pair<std::string, std::string>>& arrays,
               bool compress = false);

}  // namespace plumb::io
