// Checkpoints: bit round trip, whom they belong to, when they are due.   SPDX-License-Identifier: Apache-2.0
#include "nn/checkpoint.h"

#include <thread>

#include "core/signals.h"
#include "unit/nn/helpers.h"

using namespace plumb;
using namespace plumb::nn;
using namespace plumb::nn::test;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.nbytes() == b.nbytes() &&
         std::memcmp(a.contiguous().const_data_ptr(), b.contiguous().const_data_ptr(), a.nbytes()) == 0;
}

}  // namespace

TEST_CASE("a checkpoint comes back bit for bit: values, types, shapes, order, state") {
  const TemporaryFolder folder;
  const std::string path = checkpoint_path(folder.file("m.h5"));
  CHECK(path.ends_with("m.h5.ckpt"));
  Checkpoint saved;
  saved.fingerprint = "abc";
  saved.state = {{"step", 12}, {"rate", 0.1}, {"text", std::string(100000, 'x')}};   // larger than an HDF5 attribute can be
  const Tensor odd = at::tensor({0.1, -0.0, 1e-310, INFINITY, -INFINITY, NAN}, at::kDouble);
  saved.add("model/", {{"b.weight", normal({3, 4}, 1)}, {"a.weight", normal({5}, 2).set_requires_grad(true)}});
  saved.add("", {{"odd", odd}, {"odd32", odd.to(at::kFloat)}, {"steps", at::tensor({INT64_MIN, INT64_MAX}, at::kLong)},
                 {"bytes", at::tensor({0, 255}, at::kByte)}, {"scalar", at::tensor(3.5, at::kFloat).reshape({})}, {"none", at::empty({0, 3})},
                 {"turned", normal({4, 6}, 3).t()}});
  save_checkpoint(path, saved);
  const std::optional<Checkpoint> found = find_checkpoint("auto", path, "abc", false);
  REQUIRE(found);
  CHECK(found->state == saved.state);
  REQUIRE(found->tensors.size() == saved.tensors.size());
  for (size_t i = 0; i < saved.tensors.size(); ++i) {
    CAPTURE(saved.tensors[i].first);
    CHECK(found->tensors[i].first == saved.tensors[i].first);
    CHECK(same_bits(found->tensors[i].second, saved.tensors[i].second));
  }
  const NamedTensors model = found->with_prefix("model/");
  REQUIRE(model.size() == 2);
  CHECK(model[1].first == "a.weight");
  CHECK(same_bits(found->tensor("odd"), odd));
  CHECK(thrown_by([&] { found->tensor("absent"); }).exit == Exit::kBadInput);
  saved.fingerprint = "abc";   // saving again replaces it, and the same content makes the same bytes
  const std::string first = io::read_file(path);
  save_checkpoint(path, saved);
  CHECK(io::read_file(path) == first);
  remove_checkpoint(path);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("find_checkpoint: auto, never, a path; another command's; force") {
  const TemporaryFolder folder;
  const std::string path = folder.file("m.h5.ckpt");
  CHECK_FALSE(find_checkpoint("auto", path, "abc", false));
  CHECK(thrown_by([&] { find_checkpoint(path, path, "abc", false); }).exit == Exit::kBadInput);
  Checkpoint saved;
  saved.fingerprint = "abc";
  save_checkpoint(path, saved);
  CHECK(find_checkpoint("auto", path, "abc", false));
  CHECK_FALSE(find_checkpoint("never", path, "abc", false));
  CHECK(find_checkpoint(path, folder.file("other.ckpt"), "abc", false));
  const Thrown error = thrown_by([&] { find_checkpoint("auto", path, "abd", false); });
  CHECK(error.exit == Exit::kBadInput);
  CHECK(error.says("--force"));
  CHECK_FALSE(find_checkpoint("auto", path, "abd", true));
  std::ofstream(path) << "no HDF5";
  CHECK(thrown_by([&] { find_checkpoint("auto", path, "abc", false); }).exit == Exit::kBadInput);
}

TEST_CASE("CheckpointClock: by time, and at once when a stop was asked for") {
  reset_stop_request();
  CheckpointClock never(0), often(0.02);
  CHECK_FALSE(often.due());
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK(often.due());
  CHECK_FALSE(often.due());
  CHECK_FALSE(never.due());
  set_time_limit(1e-6);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(never.due());
  reset_stop_request();
}
