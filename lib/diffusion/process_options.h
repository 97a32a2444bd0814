// Options of the kinds of diffusion that a model can be trained by. Free of LibTorch, as options.h.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "diffusion/options.h"

namespace plumb::diffusion {

/// Diffusion of letters on the simplex (jacobi.h): its times.
struct JacobiOptions {
  double max_time = 4.0;      ///< where chains start; letters are forgotten as e^-t
  double min_time = 0.01;     ///< where chains end
  int64_t num_times = 400;    ///< evenly spaced times that a network is trained at, both ends among them
  bool operator==(const JacobiOptions& other) const = default;
  nlohmann::ordered_json to_json() const;   ///< with "process":"jacobi"
  /// Missing keys keep their defaults. Throws Error(kBadInput, where, ...) on an unknown key or a bad value.
  static JacobiOptions from_json(const nlohmann::ordered_json& json, const std::string& where);
};

struct ProcessOptions {
  std::string name = "gaussian";   ///< gaussian, jacobi, masked
  ScheduleOptions gaussian;
  JacobiOptions jacobi;
  nlohmann::ordered_json to_json() const;   ///< the manifest's model.schedule
};

/// The kind of diffusion that a model.schedule is of: its "process", absent: gaussian.
inline std::string process_name(const nlohmann::ordered_json& schedule) {
  const auto found = schedule.is_object() ? schedule.find("process") : schedule.end();
  return found != schedule.end() && found->is_string() ? found->get<std::string>() : "gaussian";
}

/// Masked diffusion has no numbers: its model.schedule is {"process":"masked"}. Throws Error(kBadInput, where) for one with more.
void check_masked_schedule(const nlohmann::ordered_json& schedule, const std::string& where);

/// A model.schedule with every key, so that two can be compared. Throws Error(kBadInput, where) for one that is not understood.
nlohmann::ordered_json complete_schedule(const nlohmann::ordered_json& schedule, const std::string& where);

/// Whether any option of a process, or of noise schedules, was set.
bool process_was_set(const std::function<bool(const std::string&)>& was_set);
/// Refuses options that were set but that this process does not read. Throws Error(kUsage).
void check_process_options(const ProcessOptions& options, const std::function<bool(const std::string&)>& was_set);
/// Refuses sampling options that the process of a model.schedule does not have, and gives --steps its default. Throws Error(kUsage).
void resolve_sampler_options(SamplerOptions& options, const nlohmann::ordered_json& schedule,
                             const std::function<bool(const std::string&)>& was_set);

inline void describe(OptionTable& t, JacobiOptions& o) {
  t.add("jacobi-max-time", &o.max_time, "time at which chains start from noise").range(0.1, 100.0);
  t.add("jacobi-min-time", &o.min_time, "time at which chains end").range(1e-3, 1.0);
  t.add("jacobi-times", &o.num_times, "times, evenly spaced, that the network is trained at").range(2, 10000);
}

inline void describe(OptionTable& t, ProcessOptions& o) {
  t.group("Kind of diffusion");
  t.add("process", &o.name, "gaussian: noise added to items; jacobi: letters of sequences, on the simplex; masked: letters of sequences, hidden one by one").one_of({"gaussian", "jacobi", "masked"});
  t.group("Noise schedule (gaussian)");
  describe(t, o.gaussian);
  t.group("Times (jacobi)");
  describe(t, o.jacobi);
}

}  // namespace plumb::diffusion
