// What is asked: one question has one answer.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/manifest.h"

namespace plumb::feedback {

/// single: like or dislike one item; pairs: which of two is better; rank: order a few; rating: 1 to 5 for one item.
enum class Mode { kSingle, kPairs, kRank, kRating };
const std::vector<std::string>& mode_names();       ///< in the order of the enumeration
const std::string& name_of(Mode mode);
Mode parse_mode(const std::string& name, const std::string& where);  ///< Error(kBadInput, where, ...)

constexpr int64_t kMostShown = 9;  ///< items on the screen at once: the keys 1 to 9

/// One item as it is shown: exactly one of png, letters and numbers is filled.
struct Tile {
  int64_t item = 0;
  std::string png;              ///< bytes of a PNG
  std::string letters;          ///< a sequence
  std::vector<float> numbers;   ///< a vector or latent, row by row
  std::string prompt;           ///< the text it was made for, if any
};

/// Question `index` of a session, 0 <= index < QuestionSource::total(). Its tiles stand in the order shown.
struct Question {
  int64_t index = 0;
  std::vector<Tile> tiles;
  std::vector<int64_t> items() const;
};

/// JSON as one line with its newline; bytes that are no UTF-8 become U+FFFD.
std::string line_of(const io::Json& json);

/// {"question", "tiles": [{"item", "png" (base64) | "letters" | "numbers", "prompt"}]}, whole: another machine can show it.
io::Json to_json(const Question& question);
/// Throws Error(kBadInput, where, ...).
Question question_from_json(const io::Json& json, const std::string& where);

/// Where questions come from: a plan over samples, or another process through a shared folder.
class QuestionSource {
 public:
  virtual ~QuestionSource() = default;
  virtual Mode mode() const = 0;
  virtual int64_t total() const = 0;
  virtual std::string text() const = 0;               ///< what the person is asked, one sentence
  virtual bool ready(int64_t) { return true; }        ///< whether question(index) can be had without waiting
  virtual Question question(int64_t index) = 0;
  virtual std::vector<int64_t> items(int64_t index) { return question(index).items(); }  ///< cheaper, where it is known
};

}  // namespace plumb::feedback
