// Layout: root attribute `checkpoint` = {"format","fingerprint"}; /state = the JSON as bytes (attributes end at 64 KB); /names = the
// tensors' names in order; /tensors/<i> = their values.   SPDX-License-Identifier: Apache-2.0
#include "nn/checkpoint.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "core/error.h"
#include "core/log.h"
#include "core/signals.h"
#include "core/text.h"
#include "core/version.h"
#include "nn/data.h"

namespace plumb::nn {
namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string format_text() { return "plumb-checkpoint/" + std::to_string(kFormatVersion); }

Checkpoint load(const std::string& path) {
  const io::H5Reader file(path);
  const io::Json head = io::Json::parse(file.attribute("/", "checkpoint"), nullptr, false);
  if (head.is_discarded() || !head.is_object() || head.value("format", "") != format_text()) {
    const bool other = head.is_object() && head.contains("format");
    throw Error(Exit::kBadInput, path, other ? "is a checkpoint of another version" : "is no checkpoint", "start anew with --resume never");
  }
  Checkpoint checkpoint = read_checkpoint(file, "");
  checkpoint.fingerprint = head.value("fingerprint", "");
  return checkpoint;
}

/// "GROUP/", or "" for the root.
std::string prefix_of(const std::string& group) { return group.empty() ? "" : group + "/"; }

}  // namespace

const Tensor& Checkpoint::tensor(const std::string& name) const {
  for (const auto& [key, value] : tensors) {
    if (key == name) return value;
  }
  throw Error(Exit::kBadInput, "checkpoint", "has no tensor '" + name + "'", "it was written by another version");
}

NamedTensors Checkpoint::with_prefix(const std::string& prefix) const {
  NamedTensors found;
  for (const auto& [key, value] : tensors) {
    if (key.starts_with(prefix)) found.emplace_back(key.substr(prefix.size()), value);
  }
  return found;
}

void Checkpoint::add(const std::string& prefix, const NamedTensors& values) {
  for (const auto& [key, value] : values) tensors.emplace_back(prefix + key, value.detach());
}

std::string checkpoint_path(const std::string& output) { return output + ".ckpt"; }

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  io::H5Writer file(path);
  file.attribute("/", "checkpoint", io::Json{{"format", format_text()}, {"fingerprint", checkpoint.fingerprint}}.dump());
  write_checkpoint(file, "", checkpoint);
  file.commit();
}

void write_checkpoint(io::H5Writer& file, const std::string& group, const Checkpoint& checkpoint) {
  const std::string prefix = prefix_of(group), text = checkpoint.state.dump();
  file.write(prefix + "state", io::Type::kU8, {static_cast<int64_t>(text.size())}, text.data());
  std::vector<std::string> names;
  for (size_t i = 0; i < checkpoint.tensors.size(); ++i) {
    names.push_back(checkpoint.tensors[i].first);
    write_tensor(file, prefix + "tensors/" + std::to_string(i), checkpoint.tensors[i].second);
  }
  if (!names.empty()) file.write_strings(prefix + "names", names);
}

Checkpoint read_checkpoint(const io::H5Reader& file, const std::string& group) {
  const std::string prefix = prefix_of(group);
  Checkpoint checkpoint;
  const std::vector<uint8_t> text = file.read_u8(prefix + "state");
  checkpoint.state = io::Json::parse(text.begin(), text.end(), nullptr, false);
  if (checkpoint.state.is_discarded()) throw Error(Exit::kBadInput, file.path(), "its state is damaged", "is the file whole?");
  if (!file.has(prefix + "names")) return checkpoint;
  const std::vector<std::string> names = file.read_strings(prefix + "names");
  for (size_t i = 0; i < names.size(); ++i) {
    checkpoint.tensors.emplace_back(names[i], read_all(file, prefix + "tensors/" + std::to_string(i)));
  }
  return checkpoint;
}

std::optional<Checkpoint> find_checkpoint(const std::string& resume, const std::string& path, const std::string& fingerprint,
                                          bool force) {
  if (resume == "never") return std::nullopt;
  const bool named = resume != "auto";
  const std::string source = named ? resume : path;
  std::error_code ignored;
  if (!std::filesystem::exists(source, ignored)) {
    if (named) throw Error(Exit::kBadInput, source, "there is no such checkpoint", "use --resume auto, or the path that a stopped run printed");
    log::verbose("no checkpoint at ", source, ": starting anew");
    return std::nullopt;
  }
  Checkpoint checkpoint = load(source);
  if (checkpoint.fingerprint != fingerprint) {
    if (!force) {
      throw Error(Exit::kBadInput, source, "is the checkpoint of another command, configuration or input",
                  "run that command again, or start anew with --force or --resume never");
    }
    log::warn(source, ": is the checkpoint of another command; starting anew (--force)");
    return std::nullopt;
  }
  log::info("resuming from ", source);
  return checkpoint;
}

void remove_checkpoint(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
}

CheckpointClock::CheckpointClock(double every_s) : every_s_(every_s), last_s_(now_s()) {}

bool CheckpointClock::due() {
  const double now = now_s();
  if (!stop_requested() && (every_s_ <= 0 || now - last_s_ < every_s_)) return false;
  last_s_ = now;
  return true;
}

}  // namespace plumb::nn
