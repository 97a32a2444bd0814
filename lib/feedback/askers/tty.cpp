// A person in a terminal: the same keys as the page.   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "core/signals.h"
#include "core/text.h"
#include "feedback/asker.h"
#include "feedback/half_block.h"
#include "feedback/terminal.h"

namespace plumb::feedback {
namespace {

constexpr double kPollSeconds = 0.1;

struct Words {
  const char *title, *keys, *help;
};
Words words(Mode mode) {
  switch (mode) {
    case Mode::kPairs: return {"Which is better?", "[1] or [<-] first  [2] or [->] second  [0] equal  [s] skip",
                               "1 or left: the first is better\n2 or right: the second is better\n0 or down: equally good\ns or up: skip"};
    case Mode::kRank: return {"Order these, the best first.", "[1-9] next best  [Enter] next  [s] skip",
                              "1 to 9: the next best; once more: not yet placed\nEnter: next; what has no place shares the last\ns: skip"};
    case Mode::kRating: return {"How good is it?", "[1] bad  [2] poor  [3] fair  [4] good  [5] great  [s] skip", "1 to 5: bad to great\ns: skip"};
    default: return {"Which do you like?", "[1-9] like  [Enter] next, the others disliked  [s] skip the unmarked",
                     "1 to 9: like; once more: dislike; once more: unmarked\nEnter: next; what is unmarked counts as disliked\ns: next, but what is unmarked is skipped"};
  }
}

/// Words that two blanks part, in lines of at most `columns`.
std::vector<std::string> wrapped(const std::string& text, int columns) {
  std::vector<std::string> lines(1);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find("  ", at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!lines.back().empty() && static_cast<int>(lines.back().size() + 2 + word.size()) > columns) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : "  ") + word;
    at = end + 2;
  }
  return lines;
}

class Tty : public Asker {
 public:
  Tty() : colours_(terminal_colours(std::getenv("NO_COLOR"), std::getenv("COLORTERM"), std::getenv("TERM"))) {}
  bool is_person() const override { return true; }

  Reply ask(QuestionSource& source, int64_t first, int64_t count, bool may_undo) override {
    mode_ = source.mode();
    text_ = source.text().empty() ? words(mode_).title : printable(source.text(), 300);
    first_ = first;
    total_ = source.total();
    may_undo_ = may_undo;
    tiles_.clear();
    marks_.clear();
    help_ = false;
    idle_.clear();
    for (int64_t q = first; q < first + count; ++q) {
      for (Tile& tile : source.question(q).tiles) tiles_.push_back(std::move(tile));
    }
    const auto start = std::chrono::steady_clock::now();
    draw();
    while (!stop_requested()) {
      if (terminal_.must_redraw()) draw();
      const std::string key = terminal_.key(kPollSeconds);
      if (key == "eof" || key == "q") return {Reply::What::kQuit, {}, {}};
      if (key == "z" && may_undo_) return {Reply::What::kUndo, {}, {}};
      if (key.empty()) continue;
      std::vector<Answer> answers = help_ ? std::vector<Answer>() : press(key);
      if (answers.empty()) {
        help_ = key == "?" && !help_;
        draw();
        continue;
      }
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
      for (Answer& answer : answers) answer.ms = ms;
      std::vector<int64_t> shown;
      for (const Tile& tile : tiles_) shown.push_back(tile.item);
      return {Reply::What::kAnswers, std::move(answers), std::move(shown)};
    }
    return {};
  }

  bool idle(const std::string& why, double seconds) override {
    if (why != idle_ || terminal_.must_redraw()) terminal_.write((terminal_.is_dumb() ? "" : "\x1b[2J\x1b[H") + why + " ([q] quits)\r\n");
    idle_ = why;
    const std::string key = terminal_.key(seconds);
    return !stop_requested() && key != "q" && key != "eof";
  }

 private:
  int64_t mark(size_t k) const { return k < marks_.size() ? marks_[k] : 0; }

  /// What a key does; the answers once they are given.
  std::vector<Answer> press(const std::string& key) {
    const size_t n = tiles_.size();
    const size_t digit = key.size() == 1 && key[0] >= '1' && key[0] <= '9' ? static_cast<size_t>(key[0] - '0') : 0;
    Answer one;
    one.skip = key == "s" || (mode_ == Mode::kPairs && key == "Up");
    if (mode_ == Mode::kSingle) {
      marks_.resize(n);
      if (digit && digit <= n) marks_[digit - 1] = mark(digit - 1) == 1 ? -1 : mark(digit - 1) == -1 ? 0 : 1;
      if (key != "Enter" && key != "s") return {};
      std::vector<Answer> all(n);
      for (size_t k = 0; k < n; ++k) {
        all[k].skip = mark(k) == 0 && key == "s";
        all[k].y = mark(k) == 1 ? 1 : -1;
      }
      return all;
    }
    if (one.skip) return {one};
    if (mode_ == Mode::kPairs) {
      one.y = key == "1" || key == "Left" ? 1 : key == "2" || key == "Right" ? -1 : 0;
      return one.y != 0 || key == "0" || key == "Down" ? std::vector<Answer>{one} : std::vector<Answer>();
    }
    if (mode_ == Mode::kRating) {
      if (!digit || digit > kTopRating) return {};
      one.rating = static_cast<int64_t>(digit);
      one.y = static_cast<double>(one.rating - 3) / 2;
      return {one};
    }
    if (digit && digit <= n) {  // marks_: the items' places, best first
      const auto at = std::find(marks_.begin(), marks_.end(), static_cast<int64_t>(digit));
      if (at == marks_.end()) marks_.push_back(static_cast<int64_t>(digit));
      else marks_.erase(at);
    }
    if (key != "Enter" || marks_.empty()) return {};
    for (size_t k = 1; k <= n; ++k) one.ranks.push_back(std::min(place(k), static_cast<int64_t>(n)));
    return {one};
  }
  /// Rank: the place of item k (from 1); one behind the placed ones if it has none.
  int64_t place(size_t k) const { return std::find(marks_.begin(), marks_.end(), static_cast<int64_t>(k)) - marks_.begin() + 1; }

  std::string caption(size_t k) const {
    const std::string number = mode_ == Mode::kRating ? "" : cat("[", k + 1, "] ");
    if (mode_ == Mode::kSingle) return number + (mark(k) == 1 ? "LIKE" : mark(k) == -1 ? "dislike" : "");
    if (mode_ == Mode::kRank && place(k + 1) <= static_cast<int64_t>(marks_.size())) return number + cat("#", place(k + 1));
    return number;
  }

  std::vector<std::string> content(const Tile& tile, int columns, int lines) const {
    if (!tile.png.empty()) return picture_lines(io::decode_image(tile.png, "item"), columns, lines, colours_);
    return tile.letters.empty() ? number_lines(tile.numbers, columns, lines) : letter_lines(tile.letters, columns, colours_);
  }

  /// How many tiles a row has so that the tiles are as large as they can be: cells are twice as high as wide.
  int tiles_a_row(int columns, int lines) const {
    const int n = static_cast<int>(tiles_.size());
    if (tiles_[0].png.empty()) return 1;
    int best = 1;
    double size = 0;
    for (int across = 1; across <= n; ++across) {
      const int down = (n + across - 1) / across;
      const double side = std::min<double>(columns / across - 2, 2.0 * (lines / down - 2));
      if (side > size) size = side, best = across;
    }
    return best;
  }

  void draw() {
    const int columns = terminal_.columns(), n = static_cast<int>(tiles_.size());
    const std::vector<std::string> keys = wrapped(words(mode_).keys + std::string(may_undo_ ? "  [z] undo" : "") + "  [?] help  [q] save and quit", columns - 1);
    const std::vector<std::string> head = wrapped(text_ + cat("  ", first_, " of ", total_, " answered, ", total_ - first_, " left"), columns - 1);
    const int lines = std::max(6, terminal_.lines() - 3 - static_cast<int>(keys.size() + head.size()));
    const std::string end = terminal_.is_dumb() ? "\r\n" : "\x1b[K\r\n";
    std::string out = terminal_.is_dumb() ? "\r\n" : "\x1b[H";
    for (const std::string& line : head) out += line + end;
    out += end;
    if (help_) {
      for (const std::string& line : split(words(mode_).help, '\n')) out += line + end;
      out += "z: undo, back to the last screen" + end + "q: save and quit" + end + "An answer is on the disk before the next is shown." + end + "Any key goes back." + end;
    } else {
      const int across = tiles_a_row(columns, lines), down = (n + across - 1) / across;
      for (int row = 0; row < down; ++row) {
        std::vector<std::vector<std::string>> cells;
        size_t height = 0;
        for (int k = row * across; k < std::min(n, (row + 1) * across); ++k) {
          const Tile& tile = tiles_[static_cast<size_t>(k)];
          cells.push_back(content(tile, columns / across - 2, lines / down - 2 - !tile.prompt.empty()));
          if (!tile.prompt.empty()) cells.back().insert(cells.back().begin(), printable(tile.prompt, std::max(8, columns / across - 2)));
          cells.back().push_back(caption(static_cast<size_t>(k)));
          height = std::max(height, cells.back().size());
        }
        for (size_t y = 0; y < height; ++y) {
          std::string line;
          for (const auto& cell : cells) line += padded(y < cell.size() ? cell[y] : "", columns / across);
          out += line.substr(0, line.find_last_not_of(' ') + 1) + end;
        }
        out += end;
      }
      for (const std::string& line : keys) out += line + end;
    }
    terminal_.write(out + (terminal_.is_dumb() ? "" : "\x1b[J"));
  }

  Terminal terminal_;
  Colours colours_;
  Mode mode_ = Mode::kSingle;
  std::string text_, idle_;
  int64_t first_ = 0, total_ = 0;
  bool may_undo_ = false, help_ = false;
  std::vector<Tile> tiles_;
  std::vector<int64_t> marks_;
};

}  // namespace

std::unique_ptr<Asker> make_tty(const AskerInput&) { return std::make_unique<Tty>(); }

}  // namespace plumb::feedback
