// A folder that lives as long as a test, and small helpers of the io tests.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.h"
#include "io/atomic_file.h"

namespace plumb::test {

class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "plumb-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string operator/(const std::string& name) const { return folder_ + "/" + name; }
  const std::string& folder() const { return folder_; }
  size_t entries() const {
    size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) n += !entry.path().empty();
    return n;
  }

 private:
  std::string folder_;
};

/// A file of tests/unit/io/data.
inline std::string data_file(const std::string& name) {
  return (std::filesystem::path(__FILE__).parent_path() / "data" / name).string();
}

inline void put(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(io::folder_of(path));
  std::ofstream(path, std::ios::binary) << bytes;
}

/// The message and exit code of the Error that `action` throws; "" if it throws none. Anything else fails the test.
template <typename Action>
std::string error_of(const Action& action, Exit* exit = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (exit) *exit = error.exit();
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// CHECKs that `action` throws Error(exit) whose one line names `subject` and says `what`.
template <typename Action>
void check_error(const Action& action, Exit exit, const std::string& subject, const std::string& what) {
  Exit found = Exit::kDone;
  const std::string message = error_of(action, &found);
  INFO("message: " << message);
  CHECK(static_cast<int>(found) == static_cast<int>(exit));
  CHECK(contains(message, subject));
  CHECK(contains(message, what));
  CHECK_FALSE(contains(message, "\n"));
}

/// `action` must end in Error(kBadInput) that names `path` for the file cut at every length, and succeed for the whole.
template <typename Action>
void check_every_cut(const std::string& path, const Action& action) {
  const std::string bytes = io::read_file(path);
  for (size_t size = 0; size < bytes.size(); ++size) {
    put(path, bytes.substr(0, size));
    Exit exit = Exit::kDone;
    const std::string message = error_of(action, &exit);
    INFO("cut to " << size << " of " << bytes.size() << ": " << message);
    REQUIRE(exit == Exit::kBadInput);
    REQUIRE(contains(message, path));
  }
  put(path, bytes);
  INFO(path);
  CHECK(error_of(action) == "");
}

}  // namespace plumb::test
