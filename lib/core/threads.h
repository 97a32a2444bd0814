// How many threads are ours to use.   SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plumb {

/// SLURM_CPUS_PER_TASK, else OMP_NUM_THREADS, else the cores in our affinity mask; at least 1.
int default_threads();

}  // namespace plumb
