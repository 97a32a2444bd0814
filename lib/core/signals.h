// SIGTERM, SIGINT and SIGUSR1 ask for an orderly stop; the second one ends the process at once.   SPDX-License-Identifier: Apache-2.0
#pragma once

namespace plumb {

/// Installs the handlers. A tool that can checkpoint calls this; others keep the default actions.
void install_stop_handlers();

/// True once a stop was asked for, or the time limit of set_time_limit has passed.
bool stop_requested();

/// Asks for a stop now, as SIGTERM does.
void request_stop();

/// Asks for a stop `seconds` from now; 0 = none.
void set_time_limit(double seconds);

/// For work that has no checkpoint: once its temporary files are removed, ends the process by the signal that asked for the stop
/// (by SIGTERM if a time limit did), so that the caller sees 128 + n.
[[noreturn]] void die_of_stop_signal();

/// What is done before SIGTERM, SIGINT, SIGHUP or SIGUSR1 ends the process at once, or the second signal where stop handlers are installed:
/// remove what is not whole, say. It may allocate nothing and take no lock. Registered once, at most four of them; not done by a child that was forked.
void before_ending(void (*deed)());

/// For tests: forgets an earlier request.
void reset_stop_request();

}  // namespace plumb
