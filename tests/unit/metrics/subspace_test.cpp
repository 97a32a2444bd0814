// SPDX-License-Identifier: Apache-2.0
#include "metrics/subspace.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "io/artefact.h"
#include "io/npy.h"
#include "metrics/evaluation.h"
#include "metrics/registry.h"
#include "nn/denoiser.h"
#include "unit/metrics/synthetic.h"

using namespace plumb;
using namespace plumb::metrics;
using namespace plumb::metrics::test;

TEST_CASE("subspace: angles of 0.3 and 0.1, other dimensions") {
  Tensor a = at::zeros({4, 2}, at::kDouble), v = at::zeros({4, 2}, at::kDouble);
  a[0][0] = a[1][1] = 1.0;
  v[0][0] = std::cos(0.3);
  v[2][0] = std::sin(0.3);
  v[1][1] = std::cos(0.1);
  v[3][1] = std::sin(0.1);
  const io::Json out = subspace_distance(v, a);
  const double want = 2 * (std::pow(std::sin(0.3), 2) + std::pow(std::sin(0.1), 2));
  CHECK(out.at("value").get<double>() == doctest::Approx(want).epsilon(1e-12));
  CHECK(out.at("normalised").get<double>() == doctest::Approx(want / 4).epsilon(1e-12));
  CHECK(out.at("smallest_cosine").get<double>() == doctest::Approx(std::cos(0.3)).epsilon(1e-12));
  CHECK(out.at("dimension") == 2);
  CHECK_FALSE(subspace_distance(v.narrow(1, 0, 1), a).contains("normalised"));
}

TEST_CASE("subspace: the basis of the model that made the samples; what is missing is said") {
  const std::string folder = std::filesystem::temp_directory_path() / ("plumb-subspace-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const auto write_model = [&](const std::string& name, const io::Json& network) {
    auto denoiser = nn::make_denoiser(network, "test");
    nn::initialise(*denoiser, 3);
    io::H5Writer writer(folder + "/" + name);
    nn::write_denoiser(writer, *denoiser);
    io::Json json{{"format", "plumb/1"}, {"kind", "model"}, {"space", {{"type", "vector"}, {"shape", {4}}}}};
    json["model"] = {{"denoiser", denoiser->config()}, {"schedule", io::Json::object()}};
    return io::commit_artefact(writer, io::Manifest(json));
  };
  const auto samples_of = [](const io::Manifest& model) {
    return io::Manifest(io::Json{{"format", "plumb/1"}, {"kind", "samples"}, {"count", 2}, {"space", {{"type", "vector"}, {"shape", {4}}}}, {"inputs", {{"model", model.json()}}}});
  };
  const io::Manifest model = write_model("m.h5", {{"type", "subspace"}, {"config", {{"elements", 4}, {"subspace_dim", 2}, {"hidden", {3}}}}});
  const std::optional<Tensor> basis = load_basis(samples_of(model));
  REQUIRE(basis.has_value());
  CHECK((at::matmul(basis->t(), *basis) - at::eye(2)).abs().max().item<double>() < 1e-6);
  CHECK_FALSE(load_basis(samples_of(write_model("p.h5", {{"type", "mlp"}, {"config", {{"elements", 4}, {"hidden", {3}}}}}))).has_value());

  Features samples;
  samples.features = at::zeros({2, 4});
  Settings settings;
  CHECK_THROWS_AS(evaluate_metrics({"subspace"}, true, {.samples = samples, .basis = &*basis}, settings), NotApplicable);   // no file
  settings.subspace.file = folder + "/a.npz";
  const Tensor own = basis->to(at::kDouble).contiguous();
  io::write_npz(settings.subspace.file, {{"A", io::npy_bytes({4, 2}, {own.const_data_ptr<double>(), own.const_data_ptr<double>() + 8})}});
  CHECK(evaluate_metrics({"subspace"}, true, {.samples = samples, .basis = &*basis}, settings).at("subspace").at("value").get<double>() < 1e-6);
  CHECK_THROWS_AS(evaluate_metrics({"subspace"}, true, {.samples = samples}, settings), NotApplicable);                     // no such model
  io::write_npz(settings.subspace.file, {{"A", io::npy_bytes({3, 1}, {1, 0, 0})}});
  CHECK_THROWS_AS(evaluate_metrics({"subspace"}, true, {.samples = samples, .basis = &*basis}, settings), Error);
  std::filesystem::remove_all(folder);
}
