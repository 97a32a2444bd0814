// SPDX-License-Identifier: Apache-2.0
#include "feedback/answer.h"

#include <unistd.h>

#include <algorithm>

#include "core/error.h"
#include "core/signals.h"
#include "core/text.h"

namespace plumb::feedback {
namespace {

const char* key_of(Mode mode) { return mode == Mode::kRank ? "ranks" : mode == Mode::kRating ? "rating" : "y"; }

std::vector<int64_t> ranks_from(const io::Json& value, size_t shown, const std::string& where) {
  const auto is_rank = [&](const io::Json& rank) {
    return rank.is_number_integer() && rank.get<int64_t>() >= 1 && rank.get<int64_t>() <= static_cast<int64_t>(shown);
  };
  if (!value.is_array() || value.size() != shown || !std::all_of(value.begin(), value.end(), is_rank)) {
    throw Error(Exit::kBadInput, where, cat("\"ranks\" is ", value.dump(), ", should be ", shown, " ranks from 1 (best) to ", shown));
  }
  return value.get<std::vector<int64_t>>();
}

}  // namespace

Answer answer_from_json(const io::Json& json, Mode mode, size_t shown, const std::string& where) {
  const char* key = key_of(mode);
  if (!json.is_object() || !json.contains(key)) {
    throw Error(Exit::kBadInput, where, cat("has no \"", key, "\": ", json.dump().substr(0, 120)), "see feedback(1), ANSWERS");
  }
  Answer answer;
  const io::Json& value = json[key];
  answer.skip = value.is_null();
  if (answer.skip) {
  } else if (mode == Mode::kRank) {
    answer.ranks = ranks_from(value, shown, where);
  } else if (mode == Mode::kRating) {
    if (!value.is_number_integer() || value.get<int64_t>() < 1 || value.get<int64_t>() > kTopRating) {
      throw Error(Exit::kBadInput, where, cat("\"rating\" is ", value.dump(), ", should be a whole number from 1 to ", kTopRating));
    }
    answer.rating = value.get<int64_t>();
    answer.y = static_cast<double>(answer.rating - 3) / 2;
  } else {
    if (!value.is_number() || !(value.get<double>() >= -1 && value.get<double>() <= 1)) {
      throw Error(Exit::kBadInput, where, "\"y\" is " + value.dump() + ", should be a number from -1 to 1, or null for a skip");
    }
    answer.y = value.get<double>();
  }
  const auto ms = json.find("ms");
  if (ms != json.end() && ms->is_number() && ms->get<double>() >= 0 && ms->get<double>() < 1e12) answer.ms = static_cast<int64_t>(ms->get<double>());
  return answer;
}

void put_answer(io::Json& json, const Answer& answer, Mode mode) {
  io::Json& value = json[key_of(mode)];
  if (answer.skip) value = nullptr;
  else if (mode == Mode::kRank) value = answer.ranks;
  else if (mode == Mode::kRating) value = answer.rating;
  else if (answer.y == static_cast<double>(static_cast<int64_t>(answer.y))) value = static_cast<int64_t>(answer.y);
  else value = answer.y;
  if (answer.ms >= 0) json["ms"] = answer.ms;
}

bool Asker::idle(const std::string&, double seconds) {
  for (double waited = 0; waited < seconds && !stop_requested(); waited += 0.02) usleep(20000);
  return !stop_requested();
}

double pareto_preference(const std::vector<double>& a, const std::vector<double>& b) {
  bool first = false, second = false;
  for (size_t k = 0; k < a.size(); ++k) {
    first = first || a[k] > b.at(k);
    second = second || a[k] < b.at(k);
  }
  return first == second ? 0 : first ? 1 : -1;
}

}  // namespace plumb::feedback
