// SPDX-License-Identifier: Apache-2.0
#include "core/progress.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "core/log.h"

namespace plumb {
namespace {

using Clock = std::chrono::steady_clock;
ProgressMode g_mode = ProgressMode::kPlain;
bool g_bar_shown = false;

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

void put(const std::string& text) {
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

std::string clock_text(double s) {
  const int64_t whole = static_cast<int64_t>(s);
  char text[32];
  std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(whole / 3600),
                static_cast<long long>(whole / 60 % 60), static_cast<long long>(whole % 60));
  return text;
}

}  // namespace

ProgressMode parse_progress_mode(const std::string& text) {
  if (text == "auto") {
    const char* term = std::getenv("TERM");
    const bool dumb = term && std::strcmp(term, "dumb") == 0;
    return isatty(STDERR_FILENO) && !dumb ? ProgressMode::kBar : ProgressMode::kPlain;
  }
  if (text == "bar") return ProgressMode::kBar;
  if (text == "plain") return ProgressMode::kPlain;
  if (text == "none") return ProgressMode::kNone;
  throw Error(Exit::kUsage, "--progress", "'" + text + "' is not one of auto, bar, plain, none");
}

void set_progress_mode(ProgressMode mode) { g_mode = mode; }

void clear_progress_line() {
  if (!g_bar_shown) return;
  put("\r\033[K");
  g_bar_shown = false;
}

Progress::Progress(std::string label, int64_t total)
    : label_(std::move(label)), total_(total), start_(Clock::now()), last_(Clock::now()) {}

Progress::~Progress() { clear_progress_line(); }

void Progress::update(int64_t done, const std::string& note) {
  if (g_mode == ProgressMode::kNone) return;
  if (first_ < 0) first_ = done;
  const auto now = Clock::now();
  const double interval_s = g_mode == ProgressMode::kBar ? 0.1 : 30.0;
  if (seconds(now - last_) < interval_s) return;
  last_ = now;
  const double elapsed = seconds(now - start_);
  const double rate = static_cast<double>(done - first_) / elapsed;
  const std::string left = rate > 0 && total_ > 0 ? clock_text(static_cast<double>(total_ - done) / rate) + " left" : "";
  std::string text = cat(label_, " ", done);
  if (total_ > 0) text += cat("/", total_);
  if (!left.empty()) text += ", " + left;
  if (!note.empty()) text += ", " + note;
  if (g_mode == ProgressMode::kPlain) {
    log::info(text);
    return;
  }
  const int width = 24;
  const int full = total_ > 0 ? static_cast<int>(width * done / total_) : 0;
  put("\r\033[K" + std::string("[") + std::string(static_cast<size_t>(full), '#') +
      std::string(static_cast<size_t>(width - full), '.') + "] " + text);
  g_bar_shown = true;
}

}  // namespace plumb
