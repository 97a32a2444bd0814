// SPDX-License-Identifier: Apache-2.0
#include "io/npy.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "io/half.h"
#include "io/zip.h"

namespace plumb::io {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMaxHeader = 65536;

[[noreturn]] void damaged(const ByteSource& source, const std::string& what) {
  throw Error(Exit::kBadInput, source.name(), "has a damaged NPY header: " + what);
}

/// The text after `'key':` in the header's Python dictionary, without leading blanks.
std::string value_of(const ByteSource& source, const std::string& header, const std::string& key) {
  size_t at = header.find("'" + key + "'");
  if (at == std::string::npos) damaged(source, "no " + key);
  at = header.find_first_not_of(" :", at + key.size() + 2);
  return at == std::string::npos ? "" : header.substr(at);
}

template <typename T>
T load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// One number of an array in native byte order.
template <typename Out>
Out convert(const NpyHeader& header, const char* at) {
  const size_t size = header.item_size;
  if (header.kind == 'f') {
    if (size == 2) return static_cast<Out>(float_from_f16(load<uint16_t>(at)));
    return size == 4 ? static_cast<Out>(load<float>(at)) : static_cast<Out>(load<double>(at));
  }
  if (header.kind == 'i') {
    if (size == 1) return static_cast<Out>(load<int8_t>(at));
    if (size == 2) return static_cast<Out>(load<int16_t>(at));
    return size == 4 ? static_cast<Out>(load<int32_t>(at)) : static_cast<Out>(load<int64_t>(at));
  }
  if (size == 1) return static_cast<Out>(load<uint8_t>(at));
  if (size == 2) return static_cast<Out>(load<uint16_t>(at));
  return size == 4 ? static_cast<Out>(load<uint32_t>(at)) : static_cast<Out>(load<uint64_t>(at));
}

template <typename Out>
std::vector<Out> convert_all(const NpyArray& array) {
  std::vector<Out> values(array.header.numel());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = convert<Out>(array.header, array.bytes.data() + i * array.header.item_size);
  return values;
}

/// Reorders from first-axis-fastest to last-axis-fastest.
void to_c_order(NpyArray& array) {
  const auto& shape = array.header.shape;
  const size_t item = array.header.item_size, rank = shape.size();
  std::string out(array.bytes.size(), '\0');
  std::vector<int64_t> index(rank, 0);
  for (size_t to = 0; to < out.size(); to += item) {
    size_t from = 0;
    for (size_t axis = rank; axis-- > 0;)
      from = from * static_cast<size_t>(shape[axis]) + static_cast<size_t>(index[axis]);
    std::memcpy(out.data() + to, array.bytes.data() + from * item, item);
    for (size_t axis = rank; axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  array.bytes = std::move(out);
  array.header.fortran_order = false;
}

}  // namespace

uint64_t NpyHeader::numel() const {
  uint64_t product = 1;
  for (const int64_t size : shape) product *= static_cast<uint64_t>(size);
  return product;
}

std::string NpyHeader::text() const {
  const std::string name = kind == 'f' ? "float" : kind == 'i' ? "int" : kind == 'u' ? "uint" : "bool";
  return (kind == 'b' ? name : cat(name, 8 * item_size)) + " " + shape_text(shape);
}

std::vector<double> NpyArray::as_f64() const { return convert_all<double>(*this); }

std::vector<int64_t> NpyArray::as_i64() const {
  if (header.kind == 'f')
    throw Error(Exit::kBadInput, "array", "is " + header.text() + ", whole numbers were expected");
  return convert_all<int64_t>(*this);
}

NpyHeader read_npy_header(ByteSource& source) {
  char head[12] = {};
  source.read_exact(head, 8, "the NPY header");
  if (std::memcmp(head, kMagic, 6) != 0) throw Error(Exit::kBadInput, source.name(), "is not an NPY array");
  const int version = head[6];
  if (version < 1 || version > 3) damaged(source, cat("version ", version));
  const size_t width = version == 1 ? 2 : 4;
  source.read_exact(head + 8, width, "the NPY header");
  size_t size = 0;
  for (size_t i = width; i-- > 0;) size = size << 8 | static_cast<uint8_t>(head[8 + i]);
  if (size > kMaxHeader) damaged(source, "it is too long");
  std::string text(size, '\0');
  source.read_exact(text.data(), size, "the NPY header");

  NpyHeader header;
  const std::string descr = value_of(source, text, "descr");
  const size_t close = descr.find('\'', 1);
  if (descr.size() < 4 || descr[0] != '\'' || close == std::string::npos || close < 4) {
    throw Error(Exit::kBadInput, source.name(), "holds records or objects, not one kind of number",
                "save a plain numeric array");
  }
  const std::string type = descr.substr(1, close - 1);
  header.big_endian = type[0] == '>';
  header.kind = type[1];
  const std::string digits = type.substr(2);
  header.item_size = digits.size() == 1 ? static_cast<size_t>(digits[0] - '0') : 0;
  const size_t s = header.item_size;
  const bool whole = (header.kind == 'i' || header.kind == 'u') && (s == 1 || s == 2 || s == 4 || s == 8);
  const bool real = header.kind == 'f' && (s == 2 || s == 4 || s == 8);
  if (!(whole || real || (header.kind == 'b' && s == 1)) || !std::strchr("<>|=", type[0])) {
    throw Error(Exit::kBadInput, source.name(), "holds '" + type + "', which is not a number read here",
                "save it as a float or integer array");
  }
  const std::string order = value_of(source, text, "fortran_order");
  if (order.rfind("True", 0) != 0 && order.rfind("False", 0) != 0) damaged(source, "no fortran_order");
  header.fortran_order = order[0] == 'T';
  const std::string shape = value_of(source, text, "shape");
  const size_t end = shape.find(')');
  if (shape.empty() || shape[0] != '(' || end == std::string::npos) damaged(source, "no shape");
  uint64_t bytes = s;
  for (const std::string& part : split(shape.substr(1, end - 1), ',')) {
    const std::string digits_only = trim(part);
    if (digits_only.empty()) continue;
    if (digits_only.size() > 15 || digits_only.find_first_not_of("0123456789") != std::string::npos ||
        header.shape.size() == 8) {
      damaged(source, "shape (" + shape.substr(1, std::min<size_t>(end - 1, 60)) + ")");
    }
    const int64_t value = parse_int(digits_only, source.name());
    header.shape.push_back(value);
    if (value != 0 && __builtin_mul_overflow(bytes, static_cast<uint64_t>(value), &bytes))
      damaged(source, "its shape is too large");
  }
  const bool is_empty = std::find(header.shape.begin(), header.shape.end(), 0) != header.shape.end();
  if (!is_empty && bytes > source.ceiling()) {
    throw Error(Exit::kBadInput, source.name(),
                cat("is truncated: its header promises ", header.text(), ", ", bytes, " bytes"),
                "copy or make it again");
  }
  return header;
}

NpyArray read_npy(ByteSource& source) {
  NpyArray array;
  array.header = read_npy_header(source);
  array.bytes.resize(array.header.numel() * array.header.item_size);
  source.read_exact(array.bytes.data(), array.bytes.size(), "the array " + array.header.text());
  if (array.header.big_endian) {
    const size_t item = array.header.item_size;
    for (size_t at = 0; at < array.bytes.size(); at += item) std::reverse(&array.bytes[at], &array.bytes[at] + item);
    array.header.big_endian = false;
  }
  if (array.header.fortran_order && array.header.shape.size() > 1) to_c_order(array);
  return array;
}

NpyArray read_npy_file(const std::string& path) {
  const auto source = open_source(path);
  NpyArray array = read_npy(*source);
  if (!source->at_end()) throw Error(Exit::kBadInput, path, "has bytes after the array");
  return array;
}

std::string npy_bytes(const std::string& descr, const std::vector<int64_t>& shape, const void* data, size_t size) {
  std::string sizes;
  for (const int64_t n : shape) sizes += std::to_string(n) + (shape.size() == 1 ? "," : ", ");
  if (shape.size() > 1) sizes.resize(sizes.size() - 2);
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
  const size_t unpadded = 10 + header.size() + 1;
  header.append((64 - unpadded % 64) % 64, ' ');  // NEP 1: the data starts at a multiple of 64
  header += '\n';
  std::string bytes(kMagic, 6);
  bytes += {1, 0, static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  bytes += header;
  bytes.append(static_cast<const char*>(data), size);
  return bytes;
}

std::string npy_bytes(const std::vector<int64_t>& shape, const std::vector<double>& values) {
  return npy_bytes("<f8", shape, values.data(), values.size() * sizeof(double));
}

std::vector<std::string> npz_names(const std::string& path) {
  std::vector<std::string> names;
  const ZipReader zip(path);
  for (const ZipEntry& entry : zip.entries()) {
    const size_t size = entry.name.size();
    if (size > 4 && entry.name.compare(size - 4, 4, ".npy") == 0) names.push_back(entry.name.substr(0, size - 4));
  }
  return names;
}

NpyArray read_npz(const std::string& path, const std::string& name) {
  const ZipReader zip(path);
  const ZipEntry* entry = zip.find(name + ".npy");
  if (!entry) {
    throw Error(Exit::kBadInput, path, "has no array '" + name + "'", "it has: " + join(npz_names(path), ", "));
  }
  const auto source = zip.open(*entry);
  return read_npy(*source);
}

void write_npz(const std::string& path, const std::vector<std::pair<std::string, std::string>>& arrays, bool compress) {
  ZipWriter zip(compress);
  for (const auto& [name, bytes] : arrays) zip.add(name + ".npy", bytes);
  write_file(path, zip.finish());
}

}  // namespace plumb::io
