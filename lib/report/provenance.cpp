// SPDX-License-Identifier: Apache-2.0
#include "report/provenance.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "report/number.h"
#include "report/svg.h"

namespace plumb::report {
namespace fs = std::filesystem;
namespace {

const char* const kKinds[] = {"dataset", "model", "reward", "features", "samples", "scores", "feedback", "metrics"};

/// An artefact is its digest; metrics that came through a pipe are their contents.
std::string identity(const io::Manifest& m) {
  if (!m.sha256().empty()) return m.sha256();
  const auto part = [&](const char* key) {
    const auto found = m.json().find(key);
    return found == m.json().end() ? std::string() : found->dump(-1, ' ', false, io::Json::error_handler_t::replace);
  };
  return m.kind() + part("tool") + part("argv") + part("config") + part("metrics");
}

std::string field(const io::Manifest& m, const char* key) {
  const auto found = m.json().find(key);
  return found != m.json().end() && found->is_string() ? found->get<std::string>() : "";
}

/// A box, or (item < 0) a bend of an edge that passes a layer.
struct Slot {
  int64_t item;
  double x = 0, width = 0;
};
struct Link {
  size_t layer, from, to;  // slot `from` of `layer` to slot `to` of `layer` + 1
};
struct Layout {
  std::vector<std::vector<Slot>> layers;
  std::vector<Link> links;
};

constexpr double kPageWidth = 720, kBoxHeight = 46, kLayerGap = 30, kBend = 16, kSpace = 14;

/// Layers by the longest way from a source; an edge that skips layers gets a bend in each, so that it runs around
/// boxes.
Layout lay_out(const Provenance& p) {
  std::vector<size_t> depth(p.nodes.size(), 0);
  size_t deepest = 0;
  for (size_t i = 0; i < p.nodes.size(); ++i) {
    for (const size_t parent : p.nodes[i].parents)
      depth[i] = std::max(depth[i], depth[parent] + 1);
    deepest = std::max(deepest, depth[i]);
  }
  Layout layout;
  layout.layers.resize(deepest + 1);
  std::vector<size_t> slot(p.nodes.size());
  const auto barycentre = [&](size_t i) {
    double sum = 0;
    for (const size_t parent : p.nodes[i].parents)
      sum += static_cast<double>(slot[parent]);
    return p.nodes[i].parents.empty() ? 1e9 : sum / static_cast<double>(p.nodes[i].parents.size());
  };
  std::map<std::pair<size_t, size_t>, size_t> bends;  // (parent, layer) -> slot: edges of one parent share a bend
  for (size_t layer = 0; layer <= deepest; ++layer) {
    struct Candidate {
      double order;
      int64_t item;
      size_t parent;
    };
    std::vector<Candidate> candidates;
    for (size_t i = 0; i < p.nodes.size(); ++i) {
      if (depth[i] == layer) candidates.push_back({barycentre(i), static_cast<int64_t>(i), 0});
    }
    for (size_t parent = 0; parent < p.nodes.size(); ++parent) {
      bool passes = false;
      for (size_t i = 0; i < p.nodes.size(); ++i) {
        const auto& parents = p.nodes[i].parents;
        passes |= depth[i] > layer && std::find(parents.begin(), parents.end(), parent) != parents.end();
      }
      if (!passes || depth[parent] >= layer) continue;
      const size_t before = depth[parent] + 1 == layer ? slot[parent] : bends[{parent, layer - 1}];
      candidates.push_back({static_cast<double>(before) + 0.25, -1, parent});
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.order < b.order; });
    for (const Candidate& c : candidates) {
      const size_t here = layout.layers[layer].size();
      layout.layers[layer].push_back({c.item});
      if (c.item >= 0) {
        slot[static_cast<size_t>(c.item)] = here;
      } else {
        bends[{c.parent, layer}] = here;
        layout.links.push_back(
            {layer - 1, depth[c.parent] + 1 == layer ? slot[c.parent] : bends[{c.parent, layer - 1}], here});
      }
    }
    for (size_t i = 0; i < p.nodes.size(); ++i) {
      if (depth[i] != layer) continue;
      for (const size_t parent : p.nodes[i].parents) {
        layout.links.push_back(
            {layer - 1, depth[parent] + 1 == layer ? slot[parent] : bends[{parent, layer - 1}], slot[i]});
      }
    }
  }
  for (auto& slots : layout.layers) {
    const auto boxes =
        static_cast<double>(std::count_if(slots.begin(), slots.end(), [](const Slot& s) { return s.item >= 0; }));
    const double free = kPageWidth - kSpace * static_cast<double>(slots.size() - 1) -
                        kBend * (static_cast<double>(slots.size()) - boxes);
    const double width = std::min(190.0, free / std::max(1.0, boxes));
    double total = kSpace * static_cast<double>(slots.size() - 1);
    for (Slot& s : slots)
      total += s.width = s.item >= 0 ? width : kBend;
    double x = (kPageWidth - total) / 2;
    for (Slot& s : slots) {
      s.x = x;
      x += s.width + kSpace;
    }
  }
  return layout;
}

std::string colour_of(const std::string& kind) {
  static const std::map<std::string, std::string> colours{{"dataset", "c4"}, {"model", "c0"},  {"samples", "c2"},
                                                          {"scores", "c3"},  {"reward", "c1"}, {"feedback", "c1"},
                                                          {"metrics", "c5"}};
  const auto found = colours.find(kind);
  return found == colours.end() ? "muted" : found->second;
}

}  // namespace

Provenance trace(const std::vector<io::Manifest>& inputs) {
  std::map<std::string, io::Manifest> known;
  std::vector<std::string> order;
  const auto add = [&](const io::Manifest& m) {
    if (known.emplace(identity(m), m).second) order.push_back(identity(m));
  };
  for (const io::Manifest& input : inputs) {
    add(input);
    for (const char* kind : kKinds) {
      for (const io::Manifest& m : input.find_all(kind))
        add(m);
    }
  }
  Provenance provenance;
  std::map<std::string, size_t> index;
  std::vector<std::string> open;  // being placed: a manifest cannot be its own ancestor, but a forged one can say so
  const auto place = [&](const auto& self, const std::string& id) -> void {
    if (index.count(id) || std::find(open.begin(), open.end(), id) != open.end()) return;
    open.push_back(id);
    Provenance::Node node{known.at(id), {}};
    for (const auto& [name, input] : known.at(id).inputs()) {
      const std::string parent = identity(input);
      if (!known.count(parent)) continue;
      self(self, parent);
      if (index.count(parent) &&
          std::find(node.parents.begin(), node.parents.end(), index[parent]) == node.parents.end()) {
        node.parents.push_back(index[parent]);
      }
    }
    index[id] = provenance.nodes.size();
    provenance.nodes.push_back(std::move(node));
    open.pop_back();
  };
  for (const std::string& id : order)
    place(place, id);
  return provenance;
}

std::string shown_path(const std::string& path, const std::string& folder) {
  if (path.empty()) return "";
  const std::string relative = fs::path(path).lexically_relative(folder).string();
  return relative.empty() || relative.rfind("../../../", 0) == 0 ? path : relative;
}

std::string command_line(const io::Manifest& manifest) {
  const auto argv = manifest.json().find("argv");
  if (argv == manifest.json().end() || !argv->is_array()) return "";
  std::string line;
  for (const io::Json& word : *argv) {
    if (!word.is_string()) continue;
    const std::string text = word.get<std::string>();
    const bool plain =
        !text.empty() &&
        text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,=+@%") ==
            std::string::npos;
    std::string quoted = "'";
    for (const char c : text)
      quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += (line.empty() ? "" : " ") + (plain ? text : quoted + "'");
  }
  return line;
}

Table provenance_table(const Provenance& provenance, const std::string& folder) {
  Table table{"provenance",
              "Artefacts",
              "SHA-256 digests are cut here and whole in the TSV file; check them with check --lineage",
              {{"kind", "Kind"},
               {"path", "File"},
               {"sha256", "SHA-256", Align::kCode},
               {"count", "Items", Align::kNumber},
               {"command", "Made by", Align::kCode},
               {"version", ""},
               {"inputs", ""}},
              {}};
  for (const auto& node : provenance.nodes) {
    const io::Manifest& m = node.manifest;
    std::string parents;
    for (const size_t parent : node.parents)
      parents += (parents.empty() ? "" : ",") + provenance.nodes[parent].manifest.sha256();
    const auto count = m.json().find("count");
    const bool counted = count != m.json().end() && count->is_number_integer();
    table.rows.push_back({cell(m.kind()),
                          {m.path().empty() ? "(pipe)" : shown_path(m.path(), folder), m.path()},
                          {short_digest(m.sha256()), m.sha256()},
                          counted ? cell(count->get<int64_t>()) : Cell{},
                          cell(command_line(m)),
                          cell(field(m, "version")),
                          cell(parents)});
  }
  return table;
}

std::string provenance_graph(const Provenance& provenance, bool standalone) {
  const Layout layout = lay_out(provenance);
  const double edge = standalone ? 16 : 1;
  const auto top = [&](size_t layer) { return edge + static_cast<double>(layer) * (kBoxHeight + kLayerGap); };
  std::string label = "Provenance graph:";
  for (const auto& node : provenance.nodes) {
    label += " " + node.manifest.kind();
    if (!node.manifest.path().empty()) label += " " + fs::path(node.manifest.path()).filename().string();
    label += ";";
  }
  Svg svg(kPageWidth + 2 * edge, top(layout.layers.size()) - kLayerGap + edge, label, standalone);
  svg.open("muted");
  for (const Link& link : layout.links) {
    const Slot &a = layout.layers[link.layer][link.from], &b = layout.layers[link.layer + 1][link.to];
    const double x1 = edge + a.x + a.width / 2, x2 = edge + b.x + b.width / 2;
    const double y1 = top(link.layer) + kBoxHeight, y2 = top(link.layer + 1), bend = (y2 - y1) * 0.55;
    svg.path("M" + px(x1) + " " + px(y1) + "C" + px(x1) + " " + px(y1 + bend) + " " + px(x2) + " " + px(y2 - bend) +
                 " " + px(x2) + " " + px(y2 - (b.item >= 0 ? 2 : 0)),
             1.2);
    if (b.item >= 0)
      svg.path("M" + px(x2 - 3.5) + " " + px(y2 - 6) + "L" + px(x2) + " " + px(y2 - 1) + "L" + px(x2 + 3.5) + " " +
                   px(y2 - 6),
               1.2);
    else
      svg.path("M" + px(x2) + " " + px(y2) + "L" + px(x2) + " " + px(y2 + kBoxHeight), 1.2);
  }
  svg.close();
  for (size_t layer = 0; layer < layout.layers.size(); ++layer) {
    for (const Slot& slot : layout.layers[layer]) {
      if (slot.item < 0) continue;
      const io::Manifest& m = provenance.nodes[static_cast<size_t>(slot.item)].manifest;
      const double x = edge + slot.x, y = top(layer);
      svg.open(colour_of(m.kind()));
      svg.rect(x, y, slot.width, kBoxHeight, 0.09, 6, true);
      const std::string tool = field(m, "tool");
      svg.text(x + 10, y + 19, fit_text(m.kind() + (tool.empty() ? "" : " · " + tool), 12.5, slot.width - 18), 12.5,
               "start", true);
      svg.close();
      svg.open("muted");
      const std::string file = m.path().empty() ? "(pipe)" : fs::path(m.path()).filename().string();
      svg.text(x + 10, y + 36, fit_text(file, 11.5, slot.width - 18), 11.5, "start", false,
               m.path().empty() ? "" : file);
      svg.close();
    }
  }
  return svg.finish();
}

}  // namespace plumb::report
