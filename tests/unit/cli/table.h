// An option table with one row of each type, shared by the tests of this room.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/tool.h"

struct Everything {
  bool keep = true, merge = false;
  int64_t steps = 50, verbose = 0;
  uint64_t seed = 0;
  double eta = 1.0;
  std::string sampler = "ddim", model;
  std::optional<double> clip;
  std::vector<std::string> reward, kernel{"cosine"};
  std::vector<double> order{0.5, 1, 2};
  std::vector<std::string> input;
};

inline void describe(plumb::OptionTable& t, Everything& o) {
  t.positional(&o.input, "INPUT", "what to read");
  t.group("Sampling");
  t.add("steps", &o.steps, "denoising steps").short_name('n').range(1, 1000);
  t.add("eta", &o.eta, "noise scale").range(0, 1);
  t.add("sampler", &o.sampler, "sampler to use").one_of({"ddim", "ddpm", "dpm-solver++"});
  t.add("seed", &o.seed, "seed");
  t.group("Rest");
  t.add("keep", &o.keep, "keep it");
  t.add("merge", &o.merge, "merge it").short_name('m');
  t.add("model", &o.model, "model").file();
  t.add("ddpo.clip-range", &o.clip, "clip range");
  t.add("reward", &o.reward, "reward");
  t.add("kernel", &o.kernel, "kernel").one_of({"cosine", "rbf"});
  t.add("order", &o.order, "orders");
  t.add("verbose", &o.verbose, "say more").short_name('v').counter().runtime();
}

/// The message of the plumb::Error that `call` throws; "" if it throws none.
template <typename Call>
std::string error_of(const Call& call, plumb::Exit* exit = nullptr) {
  try {
    call();
  } catch (const plumb::Error& error) {
    if (exit) *exit = error.exit();
    return error.what();
  }
  return "";
}
