// Checkpoints of long runs: one HDF5 file, replaced atomically.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "io/h5.h"
#include "io/manifest.h"
#include "nn/module.h"

namespace plumb::nn {

/// Everything a run needs to go on bit for bit: tensors by name, and a JSON of counters and small state. `fingerprint` is
/// the digest of the resolved config and input digests: a checkpoint of another command is not resumed.
struct Checkpoint {
  std::string fingerprint;
  io::Json state = io::Json::object();
  NamedTensors tensors;                        // float32, float64, int64, uint8
  const Tensor& tensor(const std::string& name) const;   ///< Error(kBadInput) if absent
  NamedTensors with_prefix(const std::string& prefix) const;   ///< names without the prefix
  void add(const std::string& prefix, const NamedTensors& values);
};

/// "OUT.ckpt" beside the final output.
std::string checkpoint_path(const std::string& output);
void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);
/// The same inside another file, as GROUP/state, GROUP/names and GROUP/tensors/<i>; the fingerprint is not kept.
void write_checkpoint(io::H5Writer& file, const std::string& group, const Checkpoint& checkpoint);
/// Throws Error(kBadInput) if it is damaged.
Checkpoint read_checkpoint(const io::H5Reader& file, const std::string& group);
/// --resume auto|never|PATH. auto: the checkpoint at `path` if there is one with this fingerprint; says on stderr what it
/// found. Another fingerprint: Error(kBadInput) unless `force` (then starts anew). PATH: must exist (kBadInput).
std::optional<Checkpoint> find_checkpoint(const std::string& resume, const std::string& path, const std::string& fingerprint,
                                          bool force);
void remove_checkpoint(const std::string& path);

/// Decides when to save: every `every_s` seconds (0: never by time), and when a stop was asked for.
class CheckpointClock {
 public:
  explicit CheckpointClock(double every_s);
  bool due();

 private:
  double every_s_, last_s_;
};

}  // namespace plumb::nn
