// Variable-length texts of h5_layout.h, out of the global heap. Source: HDF5 File Format Specification 3.0, III.E
// (global heap), IV.A.2.m (attribute message), VII.C (variable-length data).   SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "io/h5_layout.h"
#include "io/h5_raw.h"

namespace plumb::io::h5 {
namespace {

constexpr int kAttribute = 0x0c;
constexpr size_t kReference = 16;  // length (4), address of the heap collection (8), index of the object in it (4)

/// The text behind the reference at `at` of `bytes`.
std::string text_of(const RawFile& file, const std::string& bytes, size_t at) {
  const uint64_t length = file.number(bytes, at, 4), address = file.number(bytes, at + 4, 8);
  const uint64_t wanted = file.number(bytes, at + 12, 4);
  if (length == 0 || address == 0) return "";
  const std::string head = file.bytes_at(address, 16);
  const uint64_t size = file.number(head, 8, 8);
  if (head.compare(0, 4, "GCOL") != 0 || size < 16 || size > file.file_size()) file.fail("has a damaged heap");
  uint64_t offset = 16;
  while (offset + 16 <= size) {
    const std::string object = file.bytes_at(address + offset, 16);
    const uint64_t index = file.number(object, 0, 2), held = file.number(object, 8, 8);
    if (index == 0 || held > size - offset - 16) break;  // 0: free space, to the end
    if (index == wanted) {
      if (length > held) break;
      const std::string text = file.bytes_at(address + offset + 16, length);
      return text.substr(0, text.find('\0'));
    }
    offset += 16 + (held + 7) / 8 * 8;
  }
  file.fail("has a damaged heap");
}

}  // namespace

std::string read_long_attribute(const std::string& path, uint64_t address, const std::string& attribute) {
  const RawFile file(path, attribute);
  std::string text;
  bool found = false;
  for_each_message(file, address, [&](int type, const std::string& data) {
    if (type != kAttribute || found) return;
    const uint64_t version = file.number(data, 0, 1);
    if (version < 1 || version > 3) file.fail("has a damaged attribute");
    const auto padded = [&](uint64_t size) { return version == 1 ? (size + 7) / 8 * 8 : size; };
    const uint64_t name_size = file.number(data, 2, 2), begin = version == 3 ? 9 : 8;
    if (begin + name_size > data.size()) file.fail("has a damaged attribute");
    const std::string name = data.substr(begin, name_size);
    if (name.substr(0, name.find('\0')) != attribute) return;
    text = text_of(file, data,
                   begin + padded(name_size) + padded(file.number(data, 4, 2)) + padded(file.number(data, 6, 2)));
    found = true;
  });
  if (!found) file.fail("is a variable-length attribute in dense storage, which is not read here");
  return text;
}

std::vector<std::string> read_long_texts(const std::string& path, const std::string& name, const Layout& layout,
                                         size_t count) {
  const RawFile file(path, name);
  if (layout.chunked) file.fail("is variable-length text in chunks, which is not read here");
  std::vector<std::string> texts(count);
  if (layout.data == UINT64_MAX) return texts;  // never written
  const std::string references = file.bytes_at(layout.data, uint64_t{count} * kReference);
  uint64_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    texts[i] = text_of(file, references, i * kReference);
    total += texts[i].size();
    if (total > 16 * file.file_size())
      file.fail("is damaged: its texts are longer than the file");  // one object, many times
  }
  return texts;
}

}  // namespace plumb::io::h5
