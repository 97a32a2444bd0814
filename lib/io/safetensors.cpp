// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "io/atomic_file.h"
#include "io/half.h"

namespace plumb::io {
using Json = nlohmann::ordered_json;
namespace {

constexpr uint64_t kMaxHeader = 100000000;  // the reference implementation's limit

/// JSON nesting outside strings; a header needs 3.
bool nested_too_deep(const char* text, size_t size) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < size; ++i) {
    if (quoted) {
      if (text[i] == '\\') ++i;
      else quoted = text[i] != '"';
    } else if (text[i] == '"') {
      quoted = true;
    } else if (text[i] == '{' || text[i] == '[') {
      if (++depth > 8) return true;
    } else if (text[i] == '}' || text[i] == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

size_t safetensors_item_size(const std::string& dtype) {
  static const std::map<std::string, size_t> sizes{
      {"F64", 8}, {"I64", 8}, {"U64", 8}, {"F32", 4}, {"I32", 4}, {"U32", 4}, {"F16", 2}, {"BF16", 2},
      {"I16", 2}, {"U16", 2}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

struct SafetensorsReader::State {
  std::string path;
  void* map = MAP_FAILED;
  size_t size = 0;
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;

  ~State() {
    if (map != MAP_FAILED) ::munmap(map, size);
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Exit::kBadInput, path, what, "copy or download it again");
  }
  void open_map();
  void parse();
  void parse_tensor(const std::string& name, const Json& json, const uint8_t* data, uint64_t data_size);
};

void SafetensorsReader::State::open_map() {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw Error(Exit::kBadInput, path, std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  size = regular ? static_cast<size_t>(status.st_size) : 0;
  if (size > 0) map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int problem = errno;
  ::close(descriptor);
  if (!regular) throw Error(Exit::kBadInput, path, "is not a regular file");
  if (size == 0) throw Error(Exit::kBadInput, path, "is empty");
  if (map == MAP_FAILED) throw Error(Exit::kBadInput, path, std::strerror(problem));
}

void SafetensorsReader::State::parse_tensor(const std::string& name, const Json& json, const uint8_t* data,
                                            uint64_t data_size) {
  const std::string who = "tensor '" + name + "' ";
  if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() || !json.contains("shape") ||
      !json["shape"].is_array() || !json.contains("data_offsets") || !json["data_offsets"].is_array() ||
      json["data_offsets"].size() != 2) {
    fail(who + "lacks dtype, shape or data_offsets");
  }
  TensorView view;
  view.dtype = json["dtype"].get<std::string>();
  uint64_t bytes = safetensors_item_size(view.dtype);
  if (bytes == 0) fail(who + "has the unknown dtype " + view.dtype);
  bool zero = false;
  for (const Json& n : json["shape"]) {
    if (!n.is_number_unsigned() || n.get<uint64_t>() > uint64_t{1} << 48) fail(who + "has a bad shape");
    const uint64_t value = n.get<uint64_t>();
    zero = zero || value == 0;
    if (value != 0 && __builtin_mul_overflow(bytes, value, &bytes)) fail(who + "has a bad shape");
    view.shape.push_back(static_cast<int64_t>(value));
  }
  if (zero) bytes = 0;
  for (const Json& n : json["data_offsets"]) {
    if (!n.is_number_unsigned()) fail(who + "has bad offsets");
  }
  const uint64_t begin = json["data_offsets"][0].get<uint64_t>(), end = json["data_offsets"][1].get<uint64_t>();
  if (begin > end || end > data_size)
    fail(cat("is truncated or damaged: ", who, "lies at ", begin, " to ", end, " of ", data_size, " bytes"));
  if (end - begin != bytes)
    fail(cat(who, "is ", view.dtype, " ", shape_text(view.shape), " but takes ", end - begin, " bytes"));
  view.data = data + begin;
  view.bytes = static_cast<size_t>(bytes);
  tensors[name] = view;
}

void SafetensorsReader::State::parse() {
  const uint8_t* bytes = static_cast<const uint8_t*>(map);
  if (size < 8) fail(cat("is truncated: ", size, " bytes"));
  uint64_t header = 0;
  for (int i = 8; i-- > 0;) header = header << 8 | bytes[i];
  if (header > kMaxHeader) fail(cat("is not a safetensors file: it promises a header of ", header, " bytes"));
  if (header > size - 8) fail(cat("is truncated: ", size, " bytes, its header alone is ", header));
  const char* text = reinterpret_cast<const char*>(bytes) + 8;
  if (header == 0 || text[0] != '{' || nested_too_deep(text, header)) fail("is not a safetensors file");
  const Json json = Json::parse(text, text + header, nullptr, false);
  if (!json.is_object()) fail("has a header that is not valid JSON");
  const uint8_t* data = bytes + 8 + header;
  const uint64_t data_size = size - 8 - header;
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      if (tensors.count(name)) fail("names tensor '" + name + "' twice");
      parse_tensor(name, value, data, data_size);
      continue;
    }
    if (!value.is_object()) fail("has metadata that is not an object");
    for (const auto& [key, entry] : value.items()) {
      if (!entry.is_string()) fail("has metadata '" + key + "' that is not text");
      metadata[key] = entry.get<std::string>();
    }
  }
  std::vector<const TensorView*> order;
  for (const auto& [name, view] : tensors) order.push_back(&view);
  std::sort(order.begin(), order.end(), [](const TensorView* a, const TensorView* b) {
    return std::pair(a->data, a->bytes) < std::pair(b->data, b->bytes);
  });
  const uint8_t* expected = data;
  for (const TensorView* view : order) {
    if (view->data != expected) fail("has tensors that overlap or leave holes");
    expected += view->bytes;
  }
  if (expected != data + data_size) fail(cat("has ", data + data_size - expected, " bytes that belong to no tensor"));
}

SafetensorsReader::SafetensorsReader(const std::string& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->open_map();
  state_->parse();
}
SafetensorsReader::~SafetensorsReader() = default;
SafetensorsReader::SafetensorsReader(SafetensorsReader&&) noexcept = default;
const std::map<std::string, TensorView>& SafetensorsReader::tensors() const { return state_->tensors; }
const std::map<std::string, std::string>& SafetensorsReader::metadata() const { return state_->metadata; }

const TensorView& SafetensorsReader::tensor(const std::string& name) const {
  const auto found = state_->tensors.find(name);
  if (found != state_->tensors.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [key, view] : state_->tensors) names.push_back(key);
  const std::string near = nearest(name, names);
  throw Error(Exit::kBadInput, state_->path, "has no tensor '" + name + "'",
              near.empty() ? "" : "did you mean '" + near + "'?");
}

std::vector<float> SafetensorsReader::read_f32(const std::string& name) const {
  const TensorView& view = tensor(name);
  const size_t item = safetensors_item_size(view.dtype);
  std::vector<float> values(view.bytes / item);
  const auto each = [&](auto sample, const auto& to_float) {
    for (size_t i = 0; i < values.size(); ++i) {
      std::memcpy(&sample, view.data + i * item, item);
      values[i] = to_float(sample);
    }
  };
  if (view.dtype == "F32") std::memcpy(values.data(), view.data, view.bytes);
  else if (view.dtype == "F64") each(double{}, [](double x) { return static_cast<float>(x); });
  else if (view.dtype == "F16") each(uint16_t{}, float_from_f16);
  else if (view.dtype == "BF16") each(uint16_t{}, float_from_bf16);
  else
    throw Error(Exit::kBadInput, state_->path,
                "tensor '" + name + "' is " + view.dtype + ", a float type was expected");
  return values;
}

void write_safetensors(const std::string& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
    const size_t size_a = safetensors_item_size(a.dtype), size_b = safetensors_item_size(b.dtype);
    return size_a != size_b ? size_a > size_b : a.name < b.name;
  });
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    size_t bytes = safetensors_item_size(tensor.dtype);
    for (const int64_t n : tensor.shape) bytes *= static_cast<size_t>(n);
    if (safetensors_item_size(tensor.dtype) == 0 || bytes != tensor.bytes || header.contains(tensor.name) ||
        tensor.name == "__metadata__") {
      throw Error(Exit::kFailed, path,
                  "tensor '" + tensor.name + "' cannot be written: " + tensor.dtype + " " + shape_text(tensor.shape));
    }
    header[tensor.name] =
        Json{{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string prefix;
  for (int i = 0; i < 8; ++i) prefix += static_cast<char>(text.size() >> (8 * i) & 255);
  AtomicFile file(path);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file.temporary().c_str(), "wb"), std::fclose);
  const auto put = [&](const void* data, size_t size) {
    if (!out || (size > 0 && std::fwrite(data, 1, size, out.get()) != size))
      throw Error(Exit::kFailed, path, std::strerror(errno));
  };
  put(prefix.data(), prefix.size());
  put(text.data(), text.size());
  for (const TensorToWrite& tensor : tensors) put(tensor.data, tensor.bytes);
  if (std::fclose(out.release()) != 0) throw Error(Exit::kFailed, path, std::strerror(errno));
  file.commit();
}

}  // namespace plumb::io
