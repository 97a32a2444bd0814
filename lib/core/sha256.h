// SHA-256 of bytes and files, equal to sha256sum's.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <memory>
#include <string>

namespace plumb {

/// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(const void* data, size_t size);
  std::string hex();  ///< lower-case digest; ends the computation

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of(const std::string& bytes);

/// Throws Error(kBadInput) if the file cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace plumb
