// SPDX-License-Identifier: Apache-2.0
#include "io/h5_handle.h"

#include <H5PLpublic.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <cerrno>
#include <sys/stat.h>

#include "core/error.h"
#include "core/text.h"

namespace plumb::io {
namespace {
std::atomic<bool> g_locking{true};
}  // namespace

void set_file_locking(bool on) { g_locking = on; }

size_t size_of(Type type) { return type == Type::kU8 ? 1 : type == Type::kF32 ? 4 : 8; }

const char* name_of(Type type) {
  switch (type) {
    case Type::kU8: return "uint8";
    case Type::kI64: return "int64";
    case Type::kU64: return "uint64";
    case Type::kF32: return "float32";
    case Type::kF64: return "float64";
  }
  return "?";
}

namespace h5 {
namespace {

std::recursive_mutex& mutex() {
  static std::recursive_mutex one;
  return one;
}

extern "C" herr_t keep_text(unsigned, const H5E_error2_t* entry, void* out) {
  std::string& text = *static_cast<std::string*>(out);
  const std::string description = entry->desc ? entry->desc : "";
  static const std::string key = "error message = '";
  if (const size_t at = description.find(key); at != std::string::npos) {
    const size_t begin = at + key.size();
    text = description.substr(begin, description.find('\'', begin) - begin);
    return 1;
  }
  if (text.empty()) text = description;
  return 0;
}

}  // namespace

Guard::Guard() : lock_(mutex()) {
  static const bool ready = [] {
    H5dont_atexit();  // commit() flushes; at exit there is nothing left to write, and a full disk must not be tried
                      // again
    H5open();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
    return true;
  }();
  static_cast<void>(ready);
}

std::string reason(const std::string& otherwise) {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_text, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? otherwise : text;
}

Handle access_properties() {
  Handle properties(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(properties, g_locking, true);  // true: go on where the file system has no locks
  H5Pset_fclose_degree(properties, H5F_CLOSE_STRONG);
  return properties;
}

hid_t file_type(Type type) {
  switch (type) {
    case Type::kU8: return H5T_STD_U8LE;
    case Type::kI64: return H5T_STD_I64LE;
    case Type::kU64: return H5T_STD_U64LE;
    case Type::kF32: return H5T_IEEE_F32LE;
    case Type::kF64: return H5T_IEEE_F64LE;
  }
  return -1;
}

hid_t memory_type(Type type) {
  switch (type) {
    case Type::kU8: return H5T_NATIVE_UINT8;
    case Type::kI64: return H5T_NATIVE_INT64;
    case Type::kU64: return H5T_NATIVE_UINT64;
    case Type::kF32: return H5T_NATIVE_FLOAT;
    case Type::kF64: return H5T_NATIVE_DOUBLE;
  }
  return -1;
}

std::string clean_name(const std::string& name) {
  const size_t begin = name.find_first_not_of('/');
  if (begin == std::string::npos) return "";
  return name.substr(begin, name.find_last_not_of('/') - begin + 1);
}

}  // namespace h5

void check_h5_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw Error(Exit::kBadInput, path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) throw Error(Exit::kBadInput, path, "is a folder");
  if (!S_ISREG(status.st_mode))
    throw Error(Exit::kBadInput, path, "is not a regular file", "HDF5 cannot be read from a pipe");
  const uint64_t size = static_cast<uint64_t>(status.st_size);
  if (size == 0) throw Error(Exit::kBadInput, path, "is empty");
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw Error(Exit::kBadInput, path, std::strerror(errno));
  static const unsigned char kSignature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  unsigned char head[64];
  size_t got = 0;
  bool found = false;
  for (uint64_t at = 0; !found && at < size && at <= (uint64_t{1} << 30); at = at ? at * 2 : 512) {  // format 3.0, II.A
    std::fseek(file.get(), static_cast<long>(at), SEEK_SET);
    got = std::fread(head, 1, sizeof head, file.get());
    found = got > 0 && std::memcmp(head, kSignature, std::min<size_t>(got, 8)) == 0;
  }
  if (!found) throw Error(Exit::kBadInput, path, "is not an HDF5 file");
  const auto truncated = [&](const std::string& of) {
    throw Error(Exit::kBadInput, path, cat("is truncated: ", size, of, " bytes"), "copy or make it again");
  };
  if (got < 48) truncated("");
  const int version = head[8];
  const bool old = version <= 1;
  const size_t width = head[old ? 13 : 9];
  const size_t base_at = version == 0 ? 24 : version == 1 ? 28 : 12;
  if (version > 3 || width != 8 || head[old ? 14 : 10] != 8)
    throw Error(Exit::kBadInput, path, "has a damaged HDF5 superblock");
  const auto number = [&](size_t at) {
    uint64_t value = 0;
    for (size_t i = width; i-- > 0;) value = value << 8 | (at + i < got ? head[at + i] : 0);
    return value;
  };
  const uint64_t base = number(base_at), end = number(base_at + 2 * width);
  if (base != 0) throw Error(Exit::kBadInput, path, "is HDF5 with a user block, not a plumb artefact");
  if (end > size) truncated(cat(" of ", end));
}

}  // namespace plumb::io
