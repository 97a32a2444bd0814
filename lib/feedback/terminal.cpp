// SPDX-License-Identifier: Apache-2.0
#include "feedback/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace plumb::feedback {
namespace {

constexpr std::array<int, 5> kEnding{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1};
constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l";   // the other screen, no cursor
constexpr const char* kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";

// What the signal handlers need. All of it is set before they are installed.
int g_descriptor = -1;
bool g_dumb = false;
termios g_before, g_raw;
std::array<struct sigaction, kEnding.size()> g_handlers;
std::atomic<bool> g_redraw{false};

void say(const char* text) {
  if (!g_dumb && ::write(g_descriptor, text, std::strlen(text)) < 0) return;
}
void leave_raw() {
  say(kLeave);
  tcsetattr(g_descriptor, TCSANOW, &g_before);
}
void enter_raw() {
  tcsetattr(g_descriptor, TCSANOW, &g_raw);
  say(kEnter);
  g_redraw = true;
}

/// For signals: a terminal that takes nothing more (a broken connection, nobody reading) must not keep one waiting, so what it has not
/// taken is dropped.
void leave_raw_at_once() {
  tcflush(g_descriptor, TCOFLUSH);
  leave_raw();
}

extern "C" void on_ending_signal(int number) {
  const int problem = errno;
  leave_raw_at_once();
  for (size_t k = 0; k < kEnding.size(); ++k) {
    if (kEnding[k] != number) continue;
    if (g_handlers[k].sa_handler == SIG_IGN) enter_raw();
    else if (g_handlers[k].sa_handler != SIG_DFL) g_handlers[k].sa_handler(number);  // asks for an orderly stop
    else {
      signal(number, SIG_DFL);
      raise(number);
    }
  }
  errno = problem;
}

extern "C" void on_stop(int) {
  const int problem = errno;
  leave_raw_at_once();
  signal(SIGTSTP, SIG_DFL);
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGTSTP);
  raise(SIGTSTP);
  pthread_sigmask(SIG_UNBLOCK, &set, &before);  // stops here; SIGCONT goes on
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  signal(SIGTSTP, on_stop);
  enter_raw();
  errno = problem;
}

extern "C" void on_resize(int) { g_redraw = true; }

/// The terminal and how it is set. Throws Error(kUsage).
int open_terminal(termios& settings) {
  const int descriptor = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
  if (descriptor >= 0 && tcgetattr(descriptor, &settings) == 0) return descriptor;
  if (descriptor >= 0) ::close(descriptor);
  throw Error(Exit::kUsage, "--ask tty", "this command has no terminal", "use page, or spool:DIR and a terminal elsewhere");
}

}  // namespace

void check_terminal() {
  termios settings;
  ::close(open_terminal(settings));
}

Terminal::Terminal() {
  descriptor_ = open_terminal(g_before);
  const char* term = std::getenv("TERM");
  dumb_ = !term || !*term || std::strcmp(term, "dumb") == 0;
  g_descriptor = descriptor_;
  g_dumb = dumb_;
  g_raw = g_before;
  g_raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // ISIG stays: Ctrl-C and Ctrl-Z work
  g_raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL | IXON);
  g_raw.c_cc[VMIN] = 1;
  g_raw.c_cc[VTIME] = 0;
  enter_raw();
  struct sigaction action {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_ending_signal;
  for (size_t k = 0; k < kEnding.size(); ++k) sigaction(kEnding[k], &action, &g_handlers[k]);
  signal(SIGTSTP, on_stop);
  signal(SIGWINCH, on_resize);
}

Terminal::~Terminal() {
  signal(SIGTSTP, SIG_DFL);
  signal(SIGWINCH, SIG_DFL);
  for (size_t k = 0; k < kEnding.size(); ++k) sigaction(kEnding[k], &g_handlers[k], nullptr);
  leave_raw();
  ::close(descriptor_);
}

int Terminal::columns() const {
  winsize size{};
  return ioctl(descriptor_, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
int Terminal::lines() const {
  winsize size{};
  return ioctl(descriptor_, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

bool Terminal::must_redraw() { return g_redraw.exchange(false); }

void Terminal::write(const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(descriptor_, text.data() + done, text.size() - done);
    if (wrote < 0 && errno != EINTR) return;  // gone: key() says so
    if (wrote > 0) done += static_cast<size_t>(wrote);
  }
}

int Terminal::read_byte(double seconds) {
  pollfd wait{descriptor_, POLLIN, 0};
  const int ready = poll(&wait, 1, static_cast<int>(seconds * 1000));
  if (ready <= 0) return -1;
  unsigned char byte = 0;
  const ssize_t got = ::read(descriptor_, &byte, 1);
  if (got == 1) return byte;
  return got < 0 && errno == EINTR ? -1 : -2;
}

std::string Terminal::key(double seconds) {
  const int byte = read_byte(seconds);
  if (byte == -2) return "eof";
  if (byte < 0) return "";
  if (byte == '\r' || byte == '\n') return "Enter";
  if (byte == 4) return "q";  // Ctrl-D
  if (byte != 0x1b) return std::string(1, static_cast<char>(byte));
  const int bracket = read_byte(0.03);
  if (bracket != '[' && bracket != 'O') return "";
  switch (read_byte(0.03)) {
    case 'A': return "Up";
    case 'B': return "Down";
    case 'C': return "Right";
    case 'D': return "Left";
    default: return "";
  }
}

}  // namespace plumb::feedback
