// Small artefacts for the tests of learned rewards.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <unistd.h>

#include <filesystem>
#include <string>

#include "helpers.h"
#include "io/artefact.h"
#include "io/npy.h"
#include "nn/data.h"
#include "nn/denoiser.h"
#include "nn/predictor.h"

namespace plumb::rewards::test {

/// A folder that goes with the object.
class Folder {
 public:
  Folder() {
    char pattern[] = "/tmp/plumb-test-XXXXXX";
    REQUIRE(mkdtemp(pattern) != nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline io::Json small_resnet(int64_t outputs, int64_t channels = 1) {
  return {{"type", "resnet"}, {"config", {{"in_channels", channels}, {"channels", {8, 16}}, {"norm_num_groups", 4}, {"outputs", outputs}}}};
}

/// Writes a reward artefact of an untrained network for image [1,12,12]; `extra` goes into the manifest's "reward".
inline std::string write_reward(const std::string& path, const io::Json& network, const io::Json& extra, uint64_t seed = 3) {
  auto predictor = nn::make_predictor(network, "test");
  nn::initialise(*predictor, seed);
  io::H5Writer writer(path);
  nn::write_predictor(writer, *predictor);
  io::Json reward{{"network", predictor->config()}};
  reward.update(extra);
  io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "reward"},
                                            {"space", image_space(1, 12, 12).to_json()}, {"reward", reward}}));
  return path;
}

inline std::string write_classifier(const std::string& path, double temperature = 1.0) {
  return write_reward(path, small_resnet(3), {{"type", "classifier"}, {"classes", {"bag", "coat", "shoe"}}, {"temperature", temperature}});
}

inline std::string write_regressor(const std::string& path, double mean, double std) {
  return write_reward(path, small_resnet(1), {{"type", "regressor"}, {"target", {{"name", "x"}, {"mean", mean}, {"std", std}}}});
}

/// The subspace of reward off-support in case off_support: the first two of four axes.
inline std::string write_support(const std::string& path, const std::vector<double>& basis = {1, 0, 0, 1, 0, 0, 0, 0},
                                 const std::vector<double>& theta = {0.6, 0.8, 0, 0}) {
  io::write_npz(path, {{"A", io::npy_bytes({static_cast<int64_t>(basis.size()) / 2, 2}, basis)},
                       {"theta", io::npy_bytes({static_cast<int64_t>(theta.size())}, theta)}});
  return path;
}

/// Case `name` of tests/numeric/offline-design.json.
inline io::Json design_case(const std::string& name) {
  const io::Json file = reference("offline-design.json");
  for (const io::Json& c : file.at("cases")) {
    if (c.at("name") == name) return c;
  }
  FAIL("there is no case ", name);
  return {};
}

inline at::Tensor matrix(const io::Json& rows) {
  const auto values = rows.get<std::vector<std::vector<double>>>();
  std::vector<at::Tensor> parts;
  for (const std::vector<double>& row : values) parts.push_back(at::tensor(row, at::kDouble));
  return at::stack(parts);
}
inline at::Tensor vector(const io::Json& values) { return at::tensor(values.get<std::vector<double>>(), at::kDouble); }

/// Writes images (and labels) as a dataset artefact and returns its manifest.
inline io::Manifest write_dataset(const std::string& path, const at::Tensor& images, const at::Tensor& label = {}) {
  io::H5Writer writer(path);
  nn::write_tensor(writer, "images", images);
  if (label.defined()) nn::write_tensor(writer, "label", label);
  return io::commit_artefact(writer, io::Manifest({{"format", "plumb/1"}, {"kind", "dataset"}, {"count", images.size(0)},
                                                   {"space", image_space(images.size(1), images.size(2), images.size(3)).to_json()}}));
}

}  // namespace plumb::rewards::test
