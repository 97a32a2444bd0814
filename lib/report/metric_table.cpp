// SPDX-License-Identifier: Apache-2.0
#include "report/metric_table.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "report/number.h"

namespace plumb::report {
namespace {

using io::Json;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double number(const Json& json, const char* key) {
  if (!json.is_object()) return kNone;
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : kNone;
}

std::string text(const Json& json, const char* key) {
  if (!json.is_object()) return "";
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

/// A metric's name as papers write it, and an arrow to its better side.
struct Title {
  std::string name, arrow;
};
Title title_of(const std::string& name) {
  static const std::map<std::string, Title> titles{{"fid", {"FID", "↓"}},
                                                   {"kid", {"KID", "↓"}},
                                                   {"inception-score", {"Inception score", "↑"}},
                                                   {"vendi", {"Vendi score", "↑"}},
                                                   {"spectral", {"Spectral distance", "↓"}},
                                                   {"pairwise", {"Pairwise distance", "↑"}},
                                                   {"memorisation", {"Near-duplicates of training items", "↓"}},
                                                   {"class-coverage", {"Success rate", "↑"}},
                                                   {"normalised_entropy", {"Entropy of wanted classes, normalised", "↑"}},
                                                   {"min_share", {"Share of the rarest wanted class", "↑"}},
                                                   {"class_distance", {"Pairwise distance within a class", "↑"}},
                                                   {"sequences", {"Hamming distance", "↑"}},
                                                   {"min_hamming", {"Hamming distance, minimum", "↑"}},
                                                   {"edit_distance", {"Edit distance", "↑"}},
                                                   {"unique", {"Unique sequences", "↑"}},
                                                   {"novelty", {"Sequences not in the reference", "↑"}},
                                                   {"kmer_divergence", {"k-mer divergence, bits", "↓"}},
                                                   {"kmer_correlation", {"k-mer correlation", "↑"}},
                                                   {"precision", {"Precision", "↑"}},
                                                   {"recall", {"Recall", "↑"}},
                                                   {"density", {"Density", "↑"}},
                                                   {"coverage", {"Coverage", "↑"}}};
  const auto found = titles.find(name);
  return found == titles.end() ? Title{name, ""} : found->second;
}

/// Fields that say how a figure was made; they are no figures themselves.
bool is_setting(const std::string& key) {
  static const std::set<std::string> settings{"n",
                                              "n_reference",
                                              "n_inside",
                                              "d",
                                              "rank",
                                              "rank_reference",
                                              "stderr",
                                              "low",
                                              "high",
                                              "order",
                                              "splits",
                                              "split_std",
                                              "subsets",
                                              "subset_size",
                                              "subset_std",
                                              "subset_stderr",
                                              "precision_k",
                                              "density_k",
                                              "bandwidth",
                                              "bootstrap",
                                              "frequencies",
                                              "approximation",
                                              "classes",
                                              "ratio",
                                              "near_duplicates",
                                              "edit_pairs",
                                              "k",
                                              "length",
                                              "class_mean"};
  return settings.count(key) > 0;
}

/// Collects every figure of one metrics manifest.
struct Reader {
  MetricRow common;
  std::vector<MetricRow> rows;

  /// `at` holds stderr, low and high, where there are any.
  void row(const Title& title, const Json& at, double value) {
    MetricRow r = common;
    r.metric = title.name;
    r.arrow = title.arrow;
    r.value = value;
    r.standard_error = number(at, "stderr");
    r.low = number(at, "low");
    r.high = number(at, "high");
    rows.push_back(std::move(r));
  }

  /// Every figure inside `json`, named after where it stands.
  void figures(const Title& title, const Json& json) {
    const MetricRow outer = common;
    for (const auto& [key, field] :
         {std::pair{"n", &MetricRow::n}, {"n_reference", &MetricRow::n_reference}, {"rank", &MetricRow::rank}}) {
      if (std::isfinite(number(json, key))) common.*field = number(json, key);
    }
    const bool in_parts = json.contains("kernels") || json.contains("cosine");  // its value is one of the parts'
    if (!in_parts && std::isfinite(number(json, "value"))) row(title, json, number(json, "value"));
    for (const auto& [key, value] : json.items()) {
      if (key == "value" || key == "per_class" || key == "intervals" || is_setting(key)) continue;
      const Title part{title.name + ", " + spaced(key), title.arrow};
      if (value.is_number()) {
        if (key == "mean")
          row(title, json, value.get<double>());
        else
          row(title_of(key).arrow.empty() ? Title{part.name, ""} : title_of(key), interval_of(json, key), value.get<double>());
      } else if (value.is_object()) {
        figures(part, value);
      } else if (key == "kernels" && value.is_array()) {
        for (const Json& kernel : value)
          scores(title, kernel);
      }
    }
    common = outer;
  }

  void scores(const Title& title, const Json& kernel) {
    if (!kernel.is_object() || !kernel.contains("scores") || !kernel["scores"].is_array()) return;
    for (const Json& score : kernel["scores"]) {
      const std::string order = text(score, "order");
      row({title.name + ", " + text(kernel, "kernel") + ", order " + (order == "inf" ? "∞" : order), title.arrow},
          score, number(score, "value"));
    }
  }

  /// json["intervals"][key]: the interval of a figure that is one of several numbers of its object.
  static Json interval_of(const Json& json, const std::string& key) {
    const auto all = json.find("intervals");
    return all != json.end() && all->is_object() && all->contains(key) ? (*all)[key] : Json::object();
  }

  static std::string spaced(std::string key) {
    for (char& c : key) {
      if (c == '_') c = ' ';
    }
    return key;
  }
};

std::string stem(const std::string& path) { return std::filesystem::path(path).stem().string(); }

std::string samples_name(const io::Manifest& metrics) {
  for (const auto& [name, input] : metrics.inputs()) {
    if (input.kind() == "samples" && !input.path().empty()) return stem(input.path());
  }
  const auto samples = metrics.find("samples");
  return samples && !samples->path().empty() ? stem(samples->path()) : "";
}

/// The feature network of a metrics manifest, {"extractor": {"name", "digest"}}.
std::pair<std::string, std::string> features_of(const Json& json) {
  const auto found = json.find("extractor");
  return found == json.end() ? std::pair<std::string, std::string>{}
                             : std::pair{text(*found, "name"), text(*found, "digest")};
}

const Json& metrics_of(const io::Manifest& manifest) {
  static const Json none = Json::object();
  const auto found = manifest.json().find("metrics");
  return found != manifest.json().end() && found->is_object() ? *found : none;
}

}  // namespace

std::vector<MetricRow> metric_rows(const io::Manifest& metrics) {
  Reader reader;
  reader.common = {"", "", samples_name(metrics), "", "", kNone, kNone, kNone, kNone, kNone, kNone, kNone};
  std::tie(reader.common.features, reader.common.digest) = features_of(metrics.json());
  for (const auto& [name, value] : metrics_of(metrics).items()) {
    if (value.is_object())
      reader.figures(title_of(name), value);
    else if (value.is_number())
      reader.row(title_of(name), Json::object(), value.get<double>());
  }
  return std::move(reader.rows);
}

Table metric_page_table(const std::vector<MetricRow>& rows) {
  Table table{"metrics", "Metrics", "", {{"metric", "Metric"}}, {}, Table::Use::kPage};
  std::vector<std::string> samples, metrics;
  std::set<std::string> networks;
  const auto place = [](std::vector<std::string>& seen, const std::string& name) {
    const auto at = std::find(seen.begin(), seen.end(), name);
    if (at != seen.end()) return static_cast<size_t>(at - seen.begin());
    seen.push_back(name);
    return seen.size() - 1;
  };
  const auto same = [&](const MetricRow& a, const MetricRow& b) {
    return a.metric == b.metric && a.features == b.features && a.digest == b.digest;
  };
  std::vector<std::vector<const MetricRow*>> lines;  // [metric][samples]
  for (const MetricRow& r : rows) {
    const size_t column = place(samples, r.samples);
    if (!r.features.empty())
      networks.insert(r.features + (r.digest.empty() ? "" : " (weights " + short_digest(r.digest) + ")"));
    auto line = std::find_if(lines.begin(), lines.end(), [&](const auto& l) {
      const auto* first = *std::find_if(l.begin(), l.end(), [](const MetricRow* p) { return p != nullptr; });
      return same(*first, r) && (l.size() <= column || l[column] == nullptr);
    });
    if (line == lines.end()) line = lines.insert(lines.end(), std::vector<const MetricRow*>{});
    line->resize(std::max(line->size(), column + 1), nullptr);
    (*line)[column] = &r;
  }
  for (const std::string& name : samples)
    table.columns.push_back({name, name.empty() ? "Value" : name, Align::kNumber});
  const auto any = [&](double MetricRow::*field) {
    return std::any_of(rows.begin(), rows.end(), [&](const MetricRow& r) { return std::isfinite(r.*field); });
  };
  const std::vector<std::tuple<const char*, const char*, double MetricRow::*>> about{
      {"n", "n", &MetricRow::n},
      {"n_reference", "Reference n", &MetricRow::n_reference},
      {"rank", "Rank", &MetricRow::rank}};
  for (const auto& [key, title, field] : about) {
    if (any(field)) table.columns.push_back({key, title, Align::kNumber});
  }
  if (networks.size() > 1) table.columns.push_back({"features", "Features"});
  for (auto& line : lines) {
    line.resize(samples.size(), nullptr);
    const MetricRow& first = **std::find_if(line.begin(), line.end(), [](const MetricRow* p) { return p != nullptr; });
    std::vector<Cell> cells{cell(first.metric + (first.arrow.empty() ? "" : " " + first.arrow))};
    for (const MetricRow* r : line)
      cells.push_back(r ? cell_with_error(r->value, r->standard_error) : Cell{});
    for (const auto& [key, title, field] : about) {
      if (!any(field)) continue;
      std::string shown;  // one number if all sets agree
      for (const MetricRow* r : line) {
        const std::string text = r && std::isfinite(r->*field) ? readable(r->*field) : "";
        if (!text.empty() && text != shown) shown += (shown.empty() ? "" : ", ") + text;
      }
      cells.push_back(cell(shown));
    }
    if (networks.size() > 1) cells.push_back(cell(first.features));
    table.rows.push_back(std::move(cells));
  }
  table.note = "Value ± standard error; ↑ higher is better, ↓ lower is better.";
  for (const std::string& network : networks)
    table.note += (network == *networks.begin() ? " Features: " : "; ") + network;
  if (!networks.empty()) table.note += ".";
  return table;
}

Table metric_file_table(const std::vector<MetricRow>& rows) {
  Table table{"metrics", "Metrics", "", {}, {}, Table::Use::kFile};
  for (const char* key :
       {"metric", "samples", "value", "stderr", "low", "high", "n", "n_reference", "rank", "features", "digest"})
    table.columns.push_back({key, key});
  const auto number_or_empty = [](double value) { return std::isfinite(value) ? cell(value) : Cell{}; };
  for (const MetricRow& r : rows) {
    table.rows.push_back({cell(r.metric), cell(r.samples), cell(r.value), number_or_empty(r.standard_error),
                          number_or_empty(r.low), number_or_empty(r.high), number_or_empty(r.n),
                          number_or_empty(r.n_reference), number_or_empty(r.rank), cell(r.features), cell(r.digest)});
  }
  return table;
}

Table class_table(const std::vector<io::Manifest>& metrics, const std::vector<std::string>& class_names,
                  const std::vector<std::string>& names) {
  Table table{"metrics-by-class", "Diversity by class", "value ± standard error", {{"class", "Class"}}, {}};
  std::map<int64_t, std::vector<Cell>> by_class;
  size_t columns = 0;
  for (size_t i = 0; i < metrics.size(); ++i) {
    const io::Manifest& manifest = metrics[i];
    const std::string samples = i < names.size() ? names[i] : samples_name(manifest);
    for (const auto& [name, value] : metrics_of(manifest).items()) {
      if (!value.is_object() || !value.contains("per_class") || !value["per_class"].is_object()) continue;
      table.columns.push_back(
          {samples + ":" + name,
           title_of(name).name + (metrics.size() > 1 && !samples.empty() ? " (" + samples + ")" : ""), Align::kNumber});
      ++columns;
      for (const auto& [label, entry] : value["per_class"].items()) {
        if (label.empty() || label.size() > 9 || label.find_first_not_of("0123456789") != std::string::npos) continue;
        std::vector<Cell>& row = by_class[std::stoll(label)];
        row.resize(columns);
        row.back() = cell_with_error(number(entry, "value"), number(entry, "stderr"));
      }
    }
  }
  for (auto& [label, row] : by_class) {
    const bool named = label >= 0 && static_cast<size_t>(label) < class_names.size();
    std::vector<Cell> line{cell(named ? class_names[static_cast<size_t>(label)] : std::to_string(label))};
    row.resize(columns);
    line.insert(line.end(), row.begin(), row.end());
    table.rows.push_back(std::move(line));
  }
  return table;
}

}  // namespace plumb::report
