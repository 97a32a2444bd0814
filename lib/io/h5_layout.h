// Private to h5_reader.cpp: looks at what a file says of an object's storage before HDF5 acts on it. HDF5 1.10 divides
// by chunk sizes and copies by element sizes that it has not checked, so a damaged file could end the process. Source:
// HDF5 File Format Specification 3.0, IV.A (object headers) and IV.A.2.i (data layout message).
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <hdf5.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace plumb::io::h5 {

struct Layout {
  bool chunked = false;
  std::vector<uint64_t> chunk;   // rows, ..., and last the bytes of one element
  uint64_t tree = UINT64_MAX;    // address of the version 1 B-tree that finds the chunks, if there is one
  uint64_t data = UINT64_MAX;    // address of contiguous data, if any was written
};

/// The layout in the object header at `address` of the file; nothing if the object is no dataset (a group). On the way,
/// all messages that HDF5 would copy from are checked for what they promise.
/// Throws Error(kBadInput, path, "'name' ...") for a damaged header, zero chunk sizes, or storage other than contiguous
/// and chunked.
std::optional<Layout> read_layout(const std::string& path, uint64_t address, const std::string& name);

/// Variable-length texts, read past HDF5, which copies heap objects by sizes that it has not checked. Both throw
/// Error(kBadInput). The attribute `attribute` of the object whose header is at `address`:
std::string read_long_attribute(const std::string& path, uint64_t address, const std::string& attribute);
/// `count` texts of a contiguous dataset.
std::vector<std::string> read_long_texts(const std::string& path, const std::string& name, const Layout& layout,
                                         size_t count);

/// Walks the B-tree of chunks: each must lie in the file, and be of the layout's size unless filters made it another.
void check_chunk_tree(const std::string& path, const std::string& name, const Layout& layout, bool filtered);

/// Unpacks one chunk as HDF5 will and throws Error(kBadInput) unless it holds exactly `bytes`. `filters`: as in the
/// file, first applied first; `mask`: those that this chunk skipped.
void check_chunk(const std::string& path, const std::string& name, const std::vector<uint8_t>& packed,
                 const std::vector<H5Z_filter_t>& filters, uint32_t mask, uint64_t bytes);

}  // namespace plumb::io::h5
