// The kinds of diffusion that a network can be trained by.   SPDX-License-Identifier: Apache-2.0
#include "diffusion/forward_process.h"

#include "core/error.h"
#include "core/text.h"

namespace plumb::diffusion {

std::unique_ptr<ForwardProcess> make_forward_process(const nlohmann::ordered_json& schedule, const TrainingOptions& training,
                                                     const io::Space& space, const std::string& where) {
  const std::string name = process_name(schedule);
  if (name == "gaussian") return make_gaussian_forward(NoiseSchedule(ScheduleOptions::from_json(schedule, where)), training.min_snr_gamma);
  if (name == "jacobi") return make_jacobi_forward(JacobiOptions::from_json(schedule, where), space);
  if (name == "masked") {
    check_masked_schedule(schedule, where);
    return make_masked_forward(space);
  }
  throw Error(Exit::kBadInput, where, cat("is a model of ", name, " diffusion, which is not known here"), "it may come from a newer version");
}

}  // namespace plumb::diffusion
