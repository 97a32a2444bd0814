// How a learned reward says how far it may be off: settings with their option rows. Free of LibTorch.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/options.h"

namespace plumb::rewards {

struct UncertaintyOptions {
  std::string type = "none";        ///< none, bonus (bonus.h), gp (rbf_gp.h) or bootstrap (ensemble.h)
  double scale = 2;                 ///< bonus: C of g = C ||L^-1 phi||, in units of the target; gp: C of g = C std
  std::optional<double> cap;        ///< the most that a conservative reward takes off, in units of the target; none given: 10 sds of it
  double lambda = 0.1;              ///< bonus: added to the diagonal
  std::string covariance = "gram";  ///< bonus: gram or centred
  double length = 0;                ///< gp: length scale in model space; 0: the median distance
  double noise = 0.1;               ///< gp: sd of the label noise, in sds of the target
  int64_t members = 5;              ///< bootstrap
  std::string penalty = "mean-std"; ///< bootstrap: mean-std, min or softmin
  double kappa = 1;                 ///< mean-std: g = kappa std
  double tau = 0.1;                 ///< softmin: temperature, in units of the target
  double prior_scale = 0;           ///< bootstrap: b of trained + b prior, in sds of the target; 0: no prior networks
  double choose = 0;                ///< coverage by which scale or kappa is chosen; 0: they are as given
  int64_t clusters = 9;             ///< of the items, one of which is held out to choose
};

inline void describe(OptionTable& t, UncertaintyOptions& o) {
  t.group("Uncertainty");
  t.add("uncertainty", &o.type, "regressor: how it says how far it may be off: none; bonus, by the last layer's features; gp, an exact Gaussian process "
        "instead of a network; bootstrap, an ensemble")
      .one_of({"none", "bonus", "gp", "bootstrap"});
  t.add("scale", &o.scale, "bonus, gp: the factor C of the uncertainty").range(0, 1e9);
  t.add("cap", &o.cap, "the most that the conservative reward takes off, in units of the target; default 10 standard deviations of it").range(0.0, 1e12);
  t.add("bonus-lambda", &o.lambda, "bonus: what is added to the diagonal of the features' matrix").range(1e-12, 1e12);
  t.add("bonus-covariance", &o.covariance, "bonus: gram, sums over items, so that more data mean less uncertainty; or centred, their covariance, "
        "which does not shrink with their number")
      .one_of({"gram", "centred"});
  t.add("gp-length", &o.length, "gp: length scale of the kernel in model space; 0 = the median distance between items").range(0, 1e9);
  t.add("gp-noise", &o.noise, "gp: standard deviation of the label noise, in standard deviations of the target").range(1e-6, 1e3);
  t.add("members", &o.members, "bootstrap: networks, each with a resample and initial weights of its own").range(2, 1000);
  t.add("penalty", &o.penalty, "bootstrap: mean-std takes kappa standard deviations off the mean, min is the lowest member, softmin lies between")
      .one_of({"mean-std", "min", "softmin"});
  t.add("kappa", &o.kappa, "bootstrap with --penalty mean-std: standard deviations of the members").range(0, 1e6);
  t.add("softmin-tau", &o.tau, "bootstrap with --penalty softmin: temperature of the weights, in units of the target").range(1e-9, 1e12);
  t.add("prior-scale", &o.prior_scale, "bootstrap: add a frozen random network times this, in standard deviations of the target, to each member, so that "
        "they disagree far from the data; 0 = none, 3 is a good value")
      .range(0, 1e3);
  t.add("choose-scale", &o.choose, "choose --scale, or --kappa, as the smallest with which this share of held-out extreme items lies within the uncertainty; 0 = no")
      .metavar("COVERAGE").range(0, 0.999);
  t.add("clusters", &o.clusters, "with --choose-scale: clusters of the items, one of which is held out").range(2, 1000);
}

/// Throws Error(kUsage) naming an option that was set and has no meaning with the others. `classifier`: what is trained.
void check_uncertainty_options(const UncertaintyOptions& options, const std::string& type, const std::function<bool(const std::string&)>& was_set);

}  // namespace plumb::rewards
