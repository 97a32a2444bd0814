// SPDX-License-Identifier: Apache-2.0
#include "core/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>

namespace plumb {
namespace {

using Clock = std::chrono::steady_clock;
std::atomic<int> g_requests{0};
std::atomic<int> g_signal{SIGTERM};  // the first that asked for a stop
Clock::time_point g_deadline = Clock::time_point::max();

constexpr size_t kMostDeeds = 4;
std::atomic<void (*)()> g_deeds[kMostDeeds];
std::atomic<pid_t> g_owner{0};

extern "C" void on_ending_signal(int number) {
  const int problem = errno;
  for (size_t k = 0; k < kMostDeeds && g_owner == getpid(); ++k) {
    if (void (*deed)() = g_deeds[k]) deed();
  }
  signal(number, SIG_DFL);
  raise(number);
  errno = problem;
}

extern "C" void on_stop_signal(int number) {
  if (g_requests.fetch_add(1) > 0) on_ending_signal(number);
  g_signal = number;
}

}  // namespace

void before_ending(void (*deed)()) {
  g_owner = getpid();
  for (size_t k = 0; k < kMostDeeds; ++k) {
    void (*free_place)() = nullptr;
    if (g_deeds[k] == deed || g_deeds[k].compare_exchange_strong(free_place, deed)) break;
  }
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    struct sigaction now {};
    if (sigaction(number, nullptr, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL) signal(number, on_ending_signal);
  }
}

void install_stop_handlers() {
  struct sigaction action{};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;  // file I/O goes on; loops look at stop_requested()
  for (int number : {SIGTERM, SIGINT, SIGUSR1}) sigaction(number, &action, nullptr);
}

bool stop_requested() { return g_requests.load() > 0 || Clock::now() >= g_deadline; }

void request_stop() { g_requests.fetch_add(1); }

void set_time_limit(double seconds) {
  g_deadline = seconds > 0 ? Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))
                           : Clock::time_point::max();
}

void die_of_stop_signal() {
  const int number = g_signal;
  signal(number, SIG_DFL);
  raise(number);
  _exit(128 + number);  // only if the signal is blocked
}

void reset_stop_request() {
  g_requests = 0;
  g_deadline = Clock::time_point::max();
}

}  // namespace plumb
