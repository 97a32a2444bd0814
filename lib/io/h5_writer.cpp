// The write side of h5.h.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/text.h"
#include "io/h5_handle.h"

namespace plumb::io {
using h5::Guard;
using h5::Handle;

namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kAttributeBytes = 60000;  // the format's limit for a value kept in the object header is 65535 in all

/// A dataset that grows. Its first rows wait in memory until they fill a chunk or the file is committed, so that a
/// short dataset gets a chunk of its own length and not 1 MiB.
struct Growing {
  Type type = Type::kU8;
  std::vector<hsize_t> shape;        // shape[0]: rows written so far
  size_t row_bytes = 1;
  hsize_t full_chunk = 1;            // rows of a chunk of about 1 MiB
  std::vector<uint8_t> waiting;      // rows in memory order of `type`
  std::vector<std::pair<std::string, std::string>> attributes;
  Handle id;                         // opened when the first rows are written
};

Handle text_type(size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, size);
  H5Tset_cset(type, H5T_CSET_UTF8);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  return type;
}

}  // namespace

struct H5Writer::State {
  explicit State(const std::string& path) : target(path) {}
  AtomicFile target;  // declared first: the temporary file is removed after HDF5 has closed it
  Handle file;
  std::map<std::string, Growing> growing;
  std::vector<std::string> order;  // names of `growing` as they were created
  bool compress = false;

  void open_growing(const std::string& name, Growing& series, hsize_t chunk_rows);
  void write_rows(const std::string& name, Growing& series, Type type, hsize_t count, const void* data);
  void write_attribute(hid_t owner, const std::string& name, const std::string& value) const;

  [[noreturn]] void fail(const std::string& object) const {
    const std::string why = h5::reason("HDF5 could not write");
    throw Error(Exit::kFailed, target.path(), (object.empty() ? "" : "'" + object + "': ") + why);
  }
  void require(bool good, const std::string& object) const {
    if (!good) fail(object);
  }

  /// Makes the groups on the way to `name`, without times.
  void make_parents(const std::string& name) const {
    for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
      const std::string group = name.substr(0, slash);
      if (H5Lexists(file, group.c_str(), H5P_DEFAULT) > 0) continue;
      const Handle properties(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
      H5Pset_obj_track_times(properties, false);
      const Handle made(H5Gcreate2(file, group.c_str(), H5P_DEFAULT, properties, H5P_DEFAULT), H5Gclose);
      require(made.ok(), group);
    }
  }

  Handle create_dataset(const std::string& name, hid_t type, hid_t space, hid_t properties, hid_t access) const {
    require(file.ok(), name);
    make_parents(name);
    H5Pset_obj_track_times(properties, false);
    // No byte of the file is left to chance: a chunk's tail is zero; a contiguous dataset is written whole at once.
    H5Pset_fill_time(properties, H5Pget_layout(properties) == H5D_CHUNKED ? H5D_FILL_TIME_ALLOC : H5D_FILL_TIME_NEVER);
    Handle id(H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, properties, access), H5Dclose);
    require(id.ok(), name);
    return id;
  }
};

H5Writer::H5Writer(const std::string& path, bool compress) {
  const Guard guard;
  state_ = std::make_unique<State>(path);
  state_->compress = compress;
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose), access = h5::access_properties();
  H5Pset_obj_track_times(creation, false);
  state_->file = Handle(H5Fcreate(state_->target.temporary().c_str(), H5F_ACC_TRUNC, creation, access), H5Fclose);
  state_->require(state_->file.ok(), "");
}

H5Writer::~H5Writer() {
  if (!state_) return;
  const Guard guard;
  state_.reset();
}
H5Writer::H5Writer(H5Writer&&) noexcept = default;
const std::string& H5Writer::path() const { return state_->target.path(); }

void H5Writer::create(const std::string& dataset, Type type, const std::vector<int64_t>& row) {
  const Guard guard;
  const std::string name = h5::clean_name(dataset);
  Growing growing;
  growing.type = type;
  growing.row_bytes = size_of(type);
  growing.shape = {0};
  for (const int64_t size : row) {
    if (size < 1) throw Error(Exit::kFailed, path(), "'" + name + "' cannot have rows of shape " + shape_text(row));
    growing.row_bytes *= static_cast<size_t>(size);
    growing.shape.push_back(static_cast<hsize_t>(size));
  }
  growing.full_chunk = std::max<size_t>(1, kChunkBytes / growing.row_bytes);
  const bool is_new = !name.empty() && H5Lexists(state_->file, name.c_str(), H5P_DEFAULT) <= 0;
  if (!is_new || !state_->growing.emplace(name, std::move(growing)).second) {
    throw Error(Exit::kFailed, path(), "'" + name + "' is created twice");
  }
  state_->order.push_back(name);
}

/// Creates the dataset with chunks of `chunk_rows` rows, and writes what waits.
void H5Writer::State::open_growing(const std::string& name, Growing& series, hsize_t chunk_rows) {
  std::vector<hsize_t> limit = series.shape, chunk = series.shape;
  limit[0] = H5S_UNLIMITED;
  const hsize_t rows = series.waiting.size() / series.row_bytes;
  chunk[0] = std::max<hsize_t>(1, chunk_rows);
  const Handle space(H5Screate_simple(static_cast<int>(chunk.size()), series.shape.data(), limit.data()), H5Sclose);
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose), access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data());
  if (compress) H5Pset_deflate(properties, 1);
  H5Pset_chunk_cache(access, 521, 2 * static_cast<size_t>(chunk[0]) * series.row_bytes,
                     1.0);  // 1.0: full chunks go first
  series.id = create_dataset(name, h5::file_type(series.type), space, properties, access);
  for (const auto& [key, value] : series.attributes) write_attribute(series.id, key, value);
  write_rows(name, series, series.type, rows, series.waiting.data());
  series.waiting = {};
}

void H5Writer::State::write_rows(const std::string& name, Growing& series, Type type, hsize_t count,
                                 const void* data) {
  if (count == 0) return;
  std::vector<hsize_t> start(series.shape.size(), 0), size = series.shape;
  start[0] = series.shape[0];
  size[0] = count;
  series.shape[0] += count;
  require(H5Dset_extent(series.id, series.shape.data()) >= 0, name);
  const Handle to(H5Dget_space(series.id), H5Sclose);
  H5Sselect_hyperslab(to, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  const Handle from(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), H5Sclose);
  require(H5Dwrite(series.id, h5::memory_type(type), from, to, H5P_DEFAULT, data) >= 0, name);
}

void H5Writer::append(const std::string& dataset, Type type, int64_t count, const void* data) {
  const Guard guard;
  const std::string name = h5::clean_name(dataset);
  const auto found = state_->growing.find(name);
  if (found == state_->growing.end())
    throw Error(Exit::kFailed, path(), "'" + name + "' was not created before append");
  if (count <= 0) return;
  Growing& growing = found->second;
  const size_t bytes = static_cast<size_t>(count) * growing.row_bytes;
  const bool fits = growing.waiting.size() + bytes <= static_cast<size_t>(growing.full_chunk) * growing.row_bytes;
  if (!growing.id.ok() && type == growing.type && fits) {
    const uint8_t* from = static_cast<const uint8_t*>(data);
    growing.waiting.insert(growing.waiting.end(), from, from + bytes);
    return;
  }
  if (!growing.id.ok()) {
    state_->open_growing(name, growing, growing.full_chunk);
  }
  state_->write_rows(name, growing, type, static_cast<hsize_t>(count), data);
}

void H5Writer::write(const std::string& dataset, Type type, const std::vector<int64_t>& shape, const void* data) {
  const Guard guard;
  const std::string name = h5::clean_name(dataset);
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  const Handle space(shape.empty() ? H5Screate(H5S_SCALAR)
                                   : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose);
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const Handle id = state_->create_dataset(name, h5::file_type(type), space, properties, H5P_DEFAULT);
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return;
  state_->require(H5Dwrite(id, h5::memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0, name);
}

void H5Writer::write_strings(const std::string& dataset, const std::vector<std::string>& values) {
  const Guard guard;
  const std::string name = h5::clean_name(dataset);
  size_t longest = 1;
  for (const std::string& value : values) longest = std::max(longest, value.size());
  const hsize_t count = values.size();
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose), type = text_type(longest);
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const Handle id = state_->create_dataset(name, type, space, properties, H5P_DEFAULT);
  if (values.empty()) return;
  std::string bytes(values.size() * longest, '\0');
  for (size_t i = 0; i < values.size(); ++i) values[i].copy(bytes.data() + i * longest, longest);
  state_->require(H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) >= 0, name);
}

void H5Writer::attribute(const std::string& object, const std::string& name, const std::string& value) {
  const Guard guard;
  const std::string at = h5::clean_name(object);
  if (const auto found = state_->growing.find(at); found != state_->growing.end() && !found->second.id.ok()) {
    found->second.attributes.emplace_back(name, value);
    return;
  }
  const Handle owner(H5Oopen(state_->file, at.empty() ? "/" : at.c_str(), H5P_DEFAULT), H5Oclose);
  state_->require(owner.ok(), object);
  state_->write_attribute(owner, name, value);
}

void H5Writer::State::write_attribute(hid_t owner, const std::string& name, const std::string& value) const {
  if (H5Aexists(owner, name.c_str()) > 0) require(H5Adelete(owner, name.c_str()) >= 0, name);
  // A long text does not fit the object header; as a variable-length string it lives in the file's heap, without limit.
  const bool is_long = value.size() > kAttributeBytes;
  const Handle type = text_type(is_long ? H5T_VARIABLE : std::max<size_t>(1, value.size()));
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle id(H5Acreate2(owner, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  require(id.ok(), name);
  const char* text = value.c_str();
  require(H5Awrite(id, type, is_long ? static_cast<const void*>(&text) : text) >= 0, name);
}

void H5Writer::commit() {
  const Guard guard;
  if (!state_->file.ok()) return;
  for (const std::string& name : state_->order) {
    Growing& growing = state_->growing.at(name);
    if (!growing.id.ok()) state_->open_growing(name, growing, growing.waiting.size() / growing.row_bytes);
  }
  for (auto& [name, growing] : state_->growing) state_->require(growing.id.close(), name);
  state_->require(H5Fflush(state_->file, H5F_SCOPE_GLOBAL) >= 0, "");
  state_->require(state_->file.close(), "");
  state_->target.commit();
}

}  // namespace plumb::io
