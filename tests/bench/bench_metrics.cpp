// bench_metrics frechet D N | vendi D N: our side of the rows of bench.py.   SPDX-License-Identifier: Apache-2.0
#include <ctime>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>

#include "core/threads.h"
#include "metrics/frechet.h"
#include "metrics/vendi.h"
#include "nn/data.h"
#include "unit/metrics/synthetic.h"

using namespace plumb;

namespace {

/// Runs `work` once and prints its times and result.
template <typename Work>
void measure(Work work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  const double value = work();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << io::Json{{"seconds", seconds.count()},
                        {"cpu_seconds", static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC},
                        {"value", value}} << "\n";
}

/// The moments as pytorch-fid gets them: in float64.
metrics::Gaussian fit(const at::Tensor& features) { return metrics::fit_gaussian(features.to(at::kDouble)); }

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 4 ? argv[1] : "";
  if (what != "frechet" && what != "vendi") {
    std::fputs("usage: bench_metrics frechet|vendi D N\n", stderr);
    return 2;
  }
  const int64_t d = std::stoll(argv[2]), n = std::stoll(argv[3]);
  nn::setup_torch(default_threads());
  const at::Tensor x = metrics::test::features(11, n, d);
  if (what == "frechet") {
    const metrics::Gaussian a = fit(x), b = fit(metrics::test::features(21, n, d, 0.125));
    measure([&] { return metrics::frechet_distance(a, b).value; });
  } else {
    metrics::VendiOptions options;
    options.orders = {"1"};
    options.bootstrap = 0;
    measure([&] { return metrics::vendi(x, "cosine", options).scores.at(0).value; });
  }
  return 0;
}
