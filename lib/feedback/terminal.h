// The terminal in raw mode, and back out of it whatever happens.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace plumb::feedback {

/// Throws Error(kUsage) if the process has no terminal.
void check_terminal();

/// /dev/tty with single keys instead of lines, without echo, on the other screen if it has one. The terminal is as before after the
/// destructor, after a signal that ends the process (SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1), and while SIGTSTP stops it; SIGCONT
/// takes it back. One object at a time.
class Terminal {
 public:
  /// Throws Error(kUsage) if the process has no terminal.
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool is_dumb() const { return dumb_; }      ///< TERM=dumb: nothing but text, line after line
  int columns() const;
  int lines() const;
  /// Whether the screen has to be drawn again: after SIGCONT, or another size. Asking clears it.
  bool must_redraw();
  void write(const std::string& text);
  /// A key: a letter, "Enter", "Left", "Right", "Up", "Down"; "" if none came within `seconds`; "eof" if the terminal is gone.
  std::string key(double seconds);

 private:
  int read_byte(double seconds);
  int descriptor_ = -1;
  bool dumb_ = false;
};

}  // namespace plumb::feedback
