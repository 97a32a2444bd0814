// The read side of h5.h.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "io/h5_handle.h"
#include "io/h5_layout.h"

namespace plumb::io {
using h5::Guard;
using h5::Handle;

namespace {

constexpr uint64_t kDeflateGain = 1100;             // deflate cannot shrink below 1/1032
constexpr uint64_t kCacheBytes = uint64_t{32} << 20;  // decompressed chunks kept per dataset
constexpr int kMaxNesting = 32;                     // groups in groups

/// Only whole standard numbers: a damaged type (odd precision or offset) makes HDF5's conversions overrun.
bool standard_number(hid_t type) {
  for (const hid_t known : {H5T_STD_U8LE, H5T_STD_I8LE, H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_I64LE, H5T_STD_U64LE,
                            H5T_STD_I32LE, H5T_STD_U32LE, H5T_STD_I16LE, H5T_STD_U16LE, H5T_IEEE_F32BE, H5T_IEEE_F64BE,
                            H5T_STD_I64BE, H5T_STD_U64BE, H5T_STD_I32BE, H5T_STD_U32BE, H5T_STD_I16BE, H5T_STD_U16BE}) {
    if (H5Tequal(type, known) > 0) return true;
  }
  return false;
}

struct Opened {
  Handle id;
  DatasetInfo info;
  uint64_t row_elements = 1;
  bool is_text = false;
  size_t text_size = 0;  // bytes of a fixed-length string, 0 if of variable length
  std::vector<H5Z_filter_t> filters;
  std::vector<uint64_t> chunk;             // rows, ..., bytes of an element; empty if contiguous
  mutable std::set<int64_t> checked;       // first rows of the packed chunk layers known to be sound
};

uint64_t product(const std::vector<int64_t>& shape, size_t from, bool* overflow) {
  uint64_t result = 1;
  for (size_t i = from; i < shape.size(); ++i) {
    if (__builtin_mul_overflow(result, static_cast<uint64_t>(shape[i]), &result)) *overflow = true;
  }
  return result;
}

}  // namespace

struct H5Reader::State {
  std::string path;
  uint64_t file_size = 0;
  Handle file;
  std::map<std::string, Opened> datasets;
  mutable std::map<haddr_t, std::optional<h5::Layout>> layouts;  // by object address, looked at before HDF5 opens it

  [[noreturn]] void fail(const std::string& object, const std::string& what) const {
    throw Error(Exit::kBadInput, path, (object.empty() ? "" : "'" + object + "' ") + what,
                "copy or make the file again");
  }

  /// Whether the name leads, by hard links only, to an object. Links into other files are never followed.
  bool exists(const std::string& name) const {
    std::string prefix;
    for (const std::string& part : split(name, '/')) {
      if (part.empty()) return false;
      prefix += (prefix.empty() ? "" : "/") + part;
      H5L_info_t link;
      if (H5Lexists(file, prefix.c_str(), H5P_DEFAULT) <= 0 ||
          H5Lget_info(file, prefix.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) {
        H5Eclear2(H5E_DEFAULT);
        return false;
      }
      layout_at(link.u.address, prefix);
    }
    return true;
  }

  const std::optional<h5::Layout>& layout_at(haddr_t address, const std::string& name) const {
    const auto known = layouts.find(address);
    return known != layouts.end() ? known->second
                                  : layouts.emplace(address, h5::read_layout(path, address, name)).first->second;
  }

  Handle open_object(const std::string& raw) const {
    const std::string name = h5::clean_name(raw);
    if (!name.empty() && !exists(name)) return {};
    return Handle(H5Oopen(file, name.empty() ? "/" : name.c_str(), H5P_DEFAULT), H5Oclose);
  }

  Opened& dataset(const std::string& raw);
  void check_layout(const std::string& name, Opened& opened, hid_t properties, size_t element) const;
  void check_packed(const std::string& name, const Opened& opened, int64_t first, int64_t count) const;
  void list(hid_t group, const std::string& prefix, int depth, std::set<haddr_t>& seen,
            std::vector<std::string>& out) const;
};

/// Refuses layouts that reach outside the file, and sizes that the file cannot hold.
void H5Reader::State::check_layout(const std::string& name, Opened& opened, hid_t properties, size_t element) const {
  const H5D_layout_t layout = H5Pget_layout(properties);
  if (layout == H5D_VIRTUAL || H5Pget_external_count(properties) != 0) fail(name, "keeps its data in another file");
  const int filters = H5Pget_nfilters(properties);
  if (filters > 3) fail(name, "has too many filters");
  bool deflated = false;
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32) {
      fail(name, cat("uses HDF5 filter ", filter, ", which is not read here"));
    }
    if (filter == H5Z_FILTER_DEFLATE && std::exchange(deflated, true)) fail(name, "is compressed twice");
    opened.filters.push_back(filter);
  }
  const uint64_t ceiling = deflated ? file_size * kDeflateGain : file_size;
  bool overflow = false;
  uint64_t bytes = product(opened.info.shape, 0, &overflow);
  overflow = overflow || __builtin_mul_overflow(bytes, static_cast<uint64_t>(element), &bytes);
  if (overflow || bytes > ceiling)
    fail(name, cat("says it is ", shape_text(opened.info.shape), ", more than the file's ", file_size, " bytes hold"));
  H5L_info_t link;
  if (H5Lget_info(file, name.c_str(), &link, H5P_DEFAULT) < 0) fail(name, "cannot be read: " + h5::reason("damaged"));
  const std::optional<h5::Layout>& stored = layout_at(link.u.address, name);
  if (!stored || stored->chunked != (layout == H5D_CHUNKED)) fail(name, "has a damaged layout");
  if (!stored->chunked) return;
  const bool is_reference = opened.is_text && opened.text_size == 0;  // a heap address of 16 bytes
  uint64_t chunk_bytes = 1;
  for (const uint64_t size : stored->chunk)
    overflow = overflow || __builtin_mul_overflow(chunk_bytes, size, &chunk_bytes);
  if (stored->chunk.size() != opened.info.shape.size() + 1 || stored->chunk.back() != (is_reference ? 16 : element) ||
      overflow || (chunk_bytes > (uint64_t{4} << 20) && chunk_bytes > ceiling)) {
    fail(name, "has damaged chunk sizes");
  }
  h5::check_chunk_tree(path, name, *stored, filters > 0);
  opened.chunk = stored->chunk;
}

/// Unpacks, once, the filtered chunks that hold these rows: HDF5 trusts the size that comes out of a filter.
void H5Reader::State::check_packed(const std::string& name, const Opened& opened, int64_t first, int64_t count) const {
  if (opened.filters.empty() || opened.chunk.empty()) return;
  const std::vector<int64_t>& shape = opened.info.shape;
  const uint64_t rows = opened.chunk[0];
  uint64_t bytes = 1;
  for (const uint64_t size : opened.chunk) bytes *= size;
  for (uint64_t row = static_cast<uint64_t>(first) / rows * rows; row < static_cast<uint64_t>(first + count);
       row += rows) {
    if (opened.checked.count(static_cast<int64_t>(row))) continue;
    std::vector<hsize_t> at(shape.size(), 0);
    at[0] = row;
    for (bool more = true; more;) {
      hsize_t stored = 0;
      if (H5Dget_chunk_storage_size(opened.id, at.data(), &stored) < 0) stored = 0;  // never written: HDF5 fills it
      if (stored > file_size) fail(name, "has a damaged chunk");
      if (stored > 0) {
        std::vector<uint8_t> packed(stored);
        uint32_t mask = 0;
        if (H5Dread_chunk(opened.id, H5P_DEFAULT, at.data(), &mask, packed.data()) < 0)
          fail(name, "has a damaged chunk");
        h5::check_chunk(path, name, packed, opened.filters, mask, bytes);
      }
      more = false;  // the next chunk of this layer
      for (size_t axis = shape.size(); axis-- > 1 && !more;) {
        at[axis] += opened.chunk[axis];
        more = at[axis] < static_cast<hsize_t>(shape[axis]);
        if (!more) at[axis] = 0;
      }
    }
    opened.checked.insert(static_cast<int64_t>(row));
  }
  H5Eclear2(H5E_DEFAULT);
}

Opened& H5Reader::State::dataset(const std::string& raw) {
  const std::string name = h5::clean_name(raw);
  if (const auto found = datasets.find(name); found != datasets.end()) return found->second;
  if (!exists(name))
    throw Error(Exit::kBadInput, path, "has no dataset '" + name + "'", "is it the right kind of file?");
  const Handle probe(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!probe.ok()) fail(name, "cannot be read: " + h5::reason("damaged"));
  const Handle type(H5Dget_type(probe), H5Tclose), space(H5Dget_space(probe), H5Sclose);
  const Handle properties(H5Dget_create_plist(probe), H5Pclose);
  if (!type.ok() || !space.ok() || !properties.ok()) fail(name, "cannot be read: " + h5::reason("damaged"));
  Opened opened;
  hsize_t sizes[H5S_MAX_RANK];
  const int rank = H5Sget_simple_extent_dims(space, sizes, nullptr);
  if (rank < 0 || H5Sget_simple_extent_type(space) == H5S_NULL) fail(name, "has no shape");
  for (int i = 0; i < rank; ++i) {
    if (sizes[i] > static_cast<hsize_t>(INT64_MAX)) fail(name, "has a damaged shape");
    opened.info.shape.push_back(static_cast<int64_t>(sizes[i]));
  }
  const size_t element = H5Tget_size(type);
  const H5T_class_t kind = H5Tget_class(type);
  if (kind == H5T_STRING) {
    opened.is_text = true;
    opened.text_size = H5Tis_variable_str(type) > 0 ? 0 : element;
  } else if (kind == H5T_INTEGER) {
    opened.info.type = H5Tget_sign(type) == H5T_SGN_2 ? Type::kI64 : element == 1 ? Type::kU8 : Type::kU64;
  } else if (kind == H5T_FLOAT) {
    opened.info.type = element <= 4 ? Type::kF32 : Type::kF64;
  } else {
    fail(name, "holds neither numbers nor text");
  }
  if (element == 0 || (!opened.is_text && !standard_number(type))) fail(name, "has a damaged or unusual type");
  check_layout(name, opened, properties, element);
  bool overflow = false;
  opened.row_elements = product(opened.info.shape, 1, &overflow);
  // Without filters, read just the bytes that are asked for; with them, keep some decompressed chunks.
  const Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_chunk_cache(access, 521, H5Pget_nfilters(properties) > 0 ? kCacheBytes : 0, H5D_CHUNK_CACHE_W0_DEFAULT);
  opened.id = Handle(H5Dopen2(file, name.c_str(), access), H5Dclose);
  if (!opened.id.ok()) fail(name, "cannot be read: " + h5::reason("damaged"));
  return datasets.emplace(name, std::move(opened)).first->second;
}

namespace {
extern "C" herr_t keep_name(hid_t, const char* name, const H5L_info_t* link, void* out) {
  if (link->type == H5L_TYPE_HARD) static_cast<std::vector<std::string>*>(out)->emplace_back(name);
  return 0;
}
}  // namespace

void H5Reader::State::list(hid_t group, const std::string& prefix, int depth, std::set<haddr_t>& seen,
                           std::vector<std::string>& out) const {
  std::vector<std::string> names;
  if (depth > kMaxNesting || H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, keep_name, &names) < 0) {
    fail(prefix, "cannot be listed: " + h5::reason("damaged"));
  }
  for (const std::string& name : names) {
    H5O_info_t info;
    H5L_info_t link;
    if (H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT) < 0)
      fail(prefix + name, "cannot be read: " + h5::reason("damaged"));
    layout_at(link.u.address, prefix + name);
    const Handle object(H5Oopen(group, name.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object.ok() || H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0)
      fail(prefix + name, "cannot be read: " + h5::reason("damaged"));
    if (info.type == H5O_TYPE_DATASET) out.push_back(prefix + name);
    if (info.type == H5O_TYPE_GROUP && seen.insert(info.addr).second)
      list(object, prefix + name + "/", depth + 1, seen, out);
  }
}

H5Reader::H5Reader(const std::string& path) : state_(std::make_unique<State>()) {
  const Guard guard;
  check_h5_file(path);
  std::error_code ignored;
  state_->path = path;
  state_->file_size = std::filesystem::file_size(path, ignored);
  const Handle access = h5::access_properties();
  state_->file = Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (!state_->file.ok()) state_->fail("", "cannot be opened as HDF5: " + h5::reason("damaged"));
  H5O_info_t root;
  if (H5Oget_info2(state_->file, &root, H5O_INFO_BASIC) < 0)
    state_->fail("", "is damaged: " + h5::reason("no root group"));
  state_->layout_at(root.addr, "/");
}

H5Reader::~H5Reader() {
  if (!state_) return;
  const Guard guard;
  state_.reset();
}
H5Reader::H5Reader(H5Reader&&) noexcept = default;
const std::string& H5Reader::path() const { return state_->path; }

bool H5Reader::has(const std::string& dataset) const {
  const Guard guard;
  const std::string name = h5::clean_name(dataset);
  return !name.empty() && state_->exists(name);
}

DatasetInfo H5Reader::info(const std::string& dataset) const {
  const Guard guard;
  const Opened& opened = state_->dataset(dataset);
  if (opened.is_text) state_->fail(dataset, "holds text, not numbers");
  return opened.info;
}

std::vector<std::string> H5Reader::list(const std::string& group) const {
  const Guard guard;
  std::vector<std::string> names;
  const Handle object = state_->open_object(group);
  if (!object.ok() || H5Iget_type(object) != H5I_GROUP) return names;
  std::set<haddr_t> seen;
  state_->list(object, "", 0, seen, names);
  std::sort(names.begin(), names.end());
  return names;
}

void H5Reader::read(const std::string& dataset, Type type, int64_t first, int64_t count, void* out) const {
  const Guard guard;
  const Opened& opened = state_->dataset(dataset);
  if (opened.is_text) state_->fail(dataset, "holds text, not numbers");
  const std::vector<int64_t>& shape = opened.info.shape;
  const int64_t rows = shape.empty() ? 1 : shape[0];
  if (first < 0 || count < 0 || first > rows || count > rows - first) {
    throw Error(Exit::kBadInput, state_->path,
                cat("'", dataset, "' has ", rows, " rows; rows ", first, " to ", first + count - 1, " were asked for"));
  }
  if (count == 0 || opened.row_elements == 0) return;
  state_->check_packed(dataset, opened, first, count);
  herr_t status = -1;
  if (shape.empty()) {
    status = H5Dread(opened.id, h5::memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  } else {
    std::vector<hsize_t> start(shape.size(), 0), size(shape.begin(), shape.end());
    start[0] = static_cast<hsize_t>(first);
    size[0] = static_cast<hsize_t>(count);
    const Handle from(H5Dget_space(opened.id), H5Sclose);
    H5Sselect_hyperslab(from, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
    const Handle to(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), H5Sclose);
    status = H5Dread(opened.id, h5::memory_type(type), to, from, H5P_DEFAULT, out);
  }
  if (status < 0) state_->fail(dataset, "cannot be read: " + h5::reason("damaged"));
}

namespace {
template <typename T>
std::vector<T> read_all(const H5Reader& reader, const std::string& dataset, Type type) {
  const DatasetInfo info = reader.info(dataset);  // checked against the size of the file
  size_t total = 1;
  for (const int64_t size : info.shape) total *= static_cast<size_t>(size);
  std::vector<T> values(total);
  reader.read(dataset, type, 0, info.shape.empty() ? 1 : info.shape[0], values.data());
  return values;
}
}  // namespace

std::vector<float> H5Reader::read_f32(const std::string& name) const {
  return read_all<float>(*this, name, Type::kF32);
}
std::vector<double> H5Reader::read_f64(const std::string& name) const {
  return read_all<double>(*this, name, Type::kF64);
}
std::vector<int64_t> H5Reader::read_i64(const std::string& name) const {
  return read_all<int64_t>(*this, name, Type::kI64);
}
std::vector<uint8_t> H5Reader::read_u8(const std::string& name) const {
  return read_all<uint8_t>(*this, name, Type::kU8);
}

std::vector<std::string> H5Reader::read_strings(const std::string& dataset) const {
  const Guard guard;
  const Opened& opened = state_->dataset(dataset);
  if (!opened.is_text) state_->fail(dataset, "holds numbers, not text");
  bool overflow = false;
  const size_t count = product(opened.info.shape, 0, &overflow);
  std::vector<std::string> values(count);
  if (count == 0) return values;
  state_->check_packed(dataset, opened, 0, opened.info.shape.empty() ? 1 : opened.info.shape[0]);
  if (opened.text_size == 0) {
    H5O_info_t object;
    if (H5Oget_info2(opened.id, &object, H5O_INFO_BASIC) < 0) state_->fail(dataset, "cannot be read: damaged");
    const std::optional<h5::Layout>& layout = state_->layout_at(object.addr, dataset);
    if (!layout) state_->fail(dataset, "has a damaged layout");
    return h5::read_long_texts(state_->path, dataset, *layout, count);
  }
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_cset(type, H5T_CSET_UTF8);
  H5Tset_size(type, opened.text_size);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  std::vector<char> bytes(count * opened.text_size);
  if (H5Dread(opened.id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) < 0) {
    state_->fail(dataset, "cannot be read: " + h5::reason("damaged"));
  }
  for (size_t i = 0; i < count; ++i) {
    const char* begin = bytes.data() + i * opened.text_size;
    values[i].assign(begin, std::find(begin, begin + opened.text_size, '\0'));
  }
  return values;
}

std::string H5Reader::attribute(const std::string& object, const std::string& name) const {
  const Guard guard;
  const Handle owner = state_->open_object(object);
  if (!owner.ok() || H5Aexists(owner, name.c_str()) <= 0) {
    H5Eclear2(H5E_DEFAULT);
    return "";
  }
  const Handle attribute(H5Aopen(owner, name.c_str(), H5P_DEFAULT), H5Aclose);
  const Handle type(attribute.ok() ? H5Aget_type(attribute) : -1, H5Tclose);
  const Handle space(attribute.ok() ? H5Aget_space(attribute) : -1, H5Sclose);
  const std::string what = "attribute '" + name + "' ";
  if (!type.ok() || !space.ok()) state_->fail(object, what + "cannot be read: " + h5::reason("damaged"));
  if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1)
    state_->fail(object, what + "is not one text");
  if (H5Tis_variable_str(type) > 0) {
    H5O_info_t info;
    if (H5Oget_info2(owner, &info, H5O_INFO_BASIC) < 0) state_->fail(object, what + "cannot be read: damaged");
    return h5::read_long_attribute(state_->path, info.addr, name);
  }
  const Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_cset(memory, H5T_CSET_UTF8);
  const size_t size = H5Tget_size(type);
  if (size == 0 || size > state_->file_size) state_->fail(object, what + "has a damaged size");
  H5Tset_size(memory, size);
  H5Tset_strpad(memory, H5T_STR_NULLPAD);
  std::string value(size, '\0');
  if (H5Aread(attribute, memory, value.data()) < 0)
    state_->fail(object, what + "cannot be read: " + h5::reason("damaged"));
  value.resize(std::min(value.find('\0'), value.size()));
  return value;
}

}  // namespace plumb::io
