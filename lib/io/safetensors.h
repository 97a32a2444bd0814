// The safetensors format: named tensors behind a JSON header. Source: huggingface/safetensors README, "Format".
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace plumb::io {

/// Where one tensor lies in an open file.
struct TensorView {
  std::string dtype;             ///< F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL F8_E4M3 F8_E5M2
  std::vector<int64_t> shape;    ///< {} = scalar
  const uint8_t* data = nullptr; ///< little-endian, not aligned; valid as long as the reader
  size_t bytes = 0;
};

/// Maps a file into memory and checks its header (at most 100 MB), bounds, sizes, overlaps and holes.
/// All errors are Error(kBadInput, path, ...).
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::string& path);
  ~SafetensorsReader();
  SafetensorsReader(SafetensorsReader&&) noexcept;
  const std::map<std::string, TensorView>& tensors() const;
  const std::map<std::string, std::string>& metadata() const;
  /// Throws Error(kBadInput) if there is no tensor of that name.
  const TensorView& tensor(const std::string& name) const;
  /// Any float type (F64 F32 F16 BF16) as float32.
  std::vector<float> read_f32(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Bytes of one element of a dtype; 0 if unknown.
size_t safetensors_item_size(const std::string& dtype);

/// A tensor to write; `data` must stay valid until the call returns.
struct TensorToWrite {
  std::string name, dtype;
  std::vector<int64_t> shape;
  const void* data = nullptr;
  size_t bytes = 0;
};
/// Writes atomically: tensors sorted by element size (largest first), then by name, as the reference implementation
/// does; header padded to 8 bytes. Equal tensors make equal bytes.
void write_safetensors(const std::string& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace plumb::io
