// SPDX-License-Identifier: Apache-2.0
#include "io/space.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/text.h"

namespace plumb::io {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 40;  // of one item; keeps every later product inside 64 bits
const std::vector<std::string> kTypes{"image", "latent", "sequence", "vector"};

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw Error(Exit::kBadInput, path, "space: " + what, "see plumb-manifest(5)");
}

}  // namespace

int64_t Space::numel() const {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

std::string Space::dataset() const { return type + "s"; }
bool Space::stored_as_bytes() const { return type == "image" || type == "sequence"; }
std::string Space::text() const { return type + " " + shape_text(shape) + (alphabet.empty() || alphabet == "ACGT" ? "" : " of " + alphabet); }

nlohmann::ordered_json Space::to_json() const {
  nlohmann::ordered_json json{{"type", type}, {"shape", shape}};
  if (!alphabet.empty()) json["alphabet"] = alphabet;
  return json;
}

Space Space::from_json(const nlohmann::ordered_json& json, const std::string& path) {
  if (!json.is_object()) refuse(path, "is not a JSON object");
  Space space;
  const auto type = json.find("type");
  if (type == json.end() || !type->is_string()) refuse(path, "has no type");
  space.type = type->get<std::string>();
  if (std::find(kTypes.begin(), kTypes.end(), space.type) == kTypes.end()) {
    refuse(path, "unknown type '" + space.type + "', not one of " + join(kTypes, ", "));
  }
  const auto shape = json.find("shape");
  if (shape == json.end() || !shape->is_array() || shape->empty() || shape->size() > 8)
    refuse(path, "has no shape of 1 to 8 sizes");
  int64_t product = 1;
  for (const auto& size : *shape) {
    if (!size.is_number_integer()) refuse(path, "shape holds something that is not a whole number");
    const int64_t value =
        size.is_number_unsigned() && size.get<uint64_t>() > uint64_t{kMaxElements} ? 0 : size.get<int64_t>();
    if (value < 1 || value > kMaxElements / product) refuse(path, "shape " + shape->dump() + " is out of range");
    product *= value;
    space.shape.push_back(value);
  }
  if (space.type == "image" && space.shape.size() != 3)
    refuse(path, "an image's shape is [C,H,W], not " + shape_text(space.shape));
  if (space.type == "sequence") {
    if (space.shape.size() != 1) refuse(path, "a sequence's shape is [L], not " + shape_text(space.shape));
    const auto alphabet = json.find("alphabet");
    if (alphabet == json.end() || !alphabet->is_string()) refuse(path, "a sequence needs an alphabet");
    space.alphabet = alphabet->get<std::string>();
    const std::set<char> letters(space.alphabet.begin(), space.alphabet.end());
    if (letters.empty() || letters.size() != space.alphabet.size())
      refuse(path, "the alphabet is empty or repeats a letter");
  }
  return space;
}

}  // namespace plumb::io
