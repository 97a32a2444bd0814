// What the settings of fine-tuning mean together: values that hold where the user gave none, and what does not fit.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace plumb::align {

struct FinetuneOptions;  // options.h

/// What holds where the user gave no value: the method's own default.
double learning_rate(const FinetuneOptions& options);    ///< 1e-4 for drakes, 3e-4 for tdpo and tdpo-r, which step for every column; else 1e-3
double decay(const FinetuneOptions& options);            ///< 0 for braid, drakes, epapa, papa and strl; else 1e-4
double gradient_limit(const FinetuneOptions& options);   ///< 0, no limit, for papa and epapa; else 1
double advantage_limit(const FinetuneOptions& options);  ///< 0, no limit, for tdpo, tdpo-r and dpok; else 5
double kl_weight(const FinetuneOptions& options);        ///< 0.001 for dpok (published: 0.01 against 10 for the reward); else 0

/// PolicyOptions::variance: beta for braid and strl, else posterior.
std::string chain_variance(const FinetuneOptions& options);

/// Whether the method is braid or strl.
bool has_path_kl(const FinetuneOptions& options);

/// Whether the method follows the reward's own gradient (DirectBackprop): it then needs no noise in the chain.
bool is_direct(const FinetuneOptions& options);

/// Whether the method learns from answers (OnlineMethod) in place of a reward.
bool learns_from_answers(const FinetuneOptions& options);

/// Timestep below which the base model samples: epapa's K, 0 for other methods. `timesteps`: of the model's schedule.
int64_t base_below(const FinetuneOptions& options, int64_t timesteps);

/// Whether the method needs the density of every step, so noise in it: policy gradients do.
bool needs_density(const FinetuneOptions& options);

/// Whether rewards are normalised by what a class got lately (RewardTracker): by default, but not for grpo, whose groups are its own,
/// nor for dpok's raw rewards.
bool keeps_reward_history(const FinetuneOptions& options);

/// Samples of an epoch that its updates see: all, or for raft the best of them.
int64_t samples_updated_on(const FinetuneOptions& options);

/// Whether the method reads pictures of the chain's states through --tdpo.features.
bool uses_critic_features(const FinetuneOptions& options);

/// Fills in what depends on other options and refuses what does not fit together, before anything is loaded.
/// `was_set(option)` says which options the user gave: one that the chosen method would ignore is an Error(kUsage).
void resolve(FinetuneOptions& options, const std::function<bool(const std::string&)>& was_set);

/// Refuses what does not fit a model: options of Gaussian chains with one of another kind (`process` of its model.schedule), methods whose
/// gradient or density such a chain does not have (masked letters go with drakes, and drakes with them), and options of labels where samples
/// have none. Throws Error(kUsage).
void check_model(const FinetuneOptions& options, const std::string& process, int64_t num_classes,
                 const std::function<bool(const std::string&)>& was_set);

}  // namespace plumb::align
