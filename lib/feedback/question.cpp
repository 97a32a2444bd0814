// SPDX-License-Identifier: Apache-2.0
#include "feedback/question.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "feedback/base64.h"

namespace plumb::feedback {

const std::vector<std::string>& mode_names() {
  static const std::vector<std::string> names{"single", "pairs", "rank", "rating"};
  return names;
}

const std::string& name_of(Mode mode) { return mode_names()[static_cast<size_t>(mode)]; }

Mode parse_mode(const std::string& name, const std::string& where) {
  const auto found = std::find(mode_names().begin(), mode_names().end(), name);
  if (found == mode_names().end()) throw Error(Exit::kBadInput, where, "has mode '" + name + "', not one of " + join(mode_names(), ", "));
  return static_cast<Mode>(found - mode_names().begin());
}

std::vector<int64_t> Question::items() const {
  std::vector<int64_t> all;
  for (const Tile& tile : tiles) all.push_back(tile.item);
  return all;
}

std::string line_of(const io::Json& json) { return json.dump(-1, ' ', false, io::Json::error_handler_t::replace) + "\n"; }

io::Json to_json(const Question& question) {
  io::Json tiles = io::Json::array();
  for (const Tile& tile : question.tiles) {
    io::Json json{{"item", tile.item}};
    if (!tile.png.empty()) json["png"] = base64(tile.png);
    else if (!tile.letters.empty()) json["letters"] = tile.letters;
    else json["numbers"] = tile.numbers;
    if (!tile.prompt.empty()) json["prompt"] = tile.prompt;
    tiles.push_back(std::move(json));
  }
  return {{"question", question.index}, {"tiles", std::move(tiles)}};
}

Question question_from_json(const io::Json& json, const std::string& where) {
  try {
    Question question;
    question.index = json.at("question").get<int64_t>();
    for (const io::Json& one : json.at("tiles")) {
      Tile tile;
      tile.item = one.at("item").get<int64_t>();
      if (one.contains("png")) tile.png = from_base64(one["png"].get<std::string>(), where);
      tile.letters = one.value("letters", "");
      tile.numbers = one.value("numbers", std::vector<float>());
      tile.prompt = one.value("prompt", "");
      question.tiles.push_back(std::move(tile));
    }
    if (question.tiles.empty()) throw Error(Exit::kBadInput, where, "is a question about nothing");
    return question;
  } catch (const io::Json::exception&) {
    throw Error(Exit::kBadInput, where, "is not a question of plumb's");
  }
}

}  // namespace plumb::feedback
