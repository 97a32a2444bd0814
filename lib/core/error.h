// Exit codes and the one exception type that tools turn into one line on stderr.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdexcept>
#include <string>

namespace plumb {

/// What every command's exit status means (also in each man page, EXIT STATUS).
enum class Exit : int {
  kDone = 0,         ///< done
  kFailed = 1,       ///< failed, or a question answered "no"
  kUsage = 2,        ///< bad option, option value or configuration key
  kBadInput = 3,     ///< input missing, unreadable or incompatible
  kBadNumbers = 4,   ///< numbers went bad: NaN, covariance of too few samples
  kTryAgain = 75,    ///< stopped by a signal or time limit after a good checkpoint: run the same command again
};

/// An error a user can act on. Printed as `tool: subject: what: hint`, one line; empty parts are left out.
/// subject: the file, option or quantity; what: what is wrong; hint: what to do.
class Error : public std::runtime_error {
 public:
  Error(Exit exit, const std::string& subject, const std::string& what, const std::string& hint = "");
  Exit exit() const { return exit_; }

 private:
  Exit exit_;
};

/// Returns value if it is finite; else throws Error(kBadNumbers) naming `what`.
double check_finite(double value, const std::string& what);

}  // namespace plumb
