// Private to h5_reader.cpp and h5_writer.cpp: owned HDF5 identifiers, and what the library says when a call fails.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

#include "io/h5.h"

namespace plumb::io::h5 {

/// An HDF5 identifier, closed by the function it came with.
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(closer_, other.closer_);
    return *this;
  }
  ~Handle() { close(); }
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }
  /// Closes now; false if the library could not (disk full).
  bool close() { return id_ < 0 || closer_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  Closer closer_ = nullptr;
};

/// Held by every public call: Debian's HDF5 is not thread-safe. The first use also silences HDF5's own stack traces,
/// keeps it from loading plug-ins that a file may name, and from touching files at exit.
class Guard {
 public:
  Guard();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// The system's reason for the last failed call ("No space left on device"), else HDF5's own, else `otherwise`.
std::string reason(const std::string& otherwise);

Handle access_properties();           ///< of files: the locking that was asked for
hid_t file_type(Type type);           ///< little-endian, as stored
hid_t memory_type(Type type);
std::string clean_name(const std::string& name);  ///< without slashes at the ends

}  // namespace plumb::io::h5
