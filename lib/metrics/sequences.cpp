// SPDX-License-Identifier: Apache-2.0
#include "metrics/sequences.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "metrics/bootstrap.h"
#include "metrics/registry.h"

namespace plumb::metrics {
namespace {

constexpr int64_t kMostWords = int64_t{1} << 24;

const uint8_t* bytes(const Tensor& codes) { return codes.const_data_ptr<uint8_t>(); }

std::string_view row(const Tensor& codes, int64_t i) {
  return {reinterpret_cast<const char*>(bytes(codes)) + i * codes.size(1), static_cast<size_t>(codes.size(1))};
}

/// Mean distance of pairs and its jackknife error, from each item's summed distance to the others [N].
std::pair<double, double> from_row_sums(const Tensor& sums) {
  const double n = static_cast<double>(sums.size(0)), total = sums.sum().item<double>();
  const double error = n > 2 ? std::sqrt(jackknife_variance((total - 2 * sums) / ((n - 1) * (n - 2)))) : 0;
  return {total / (n * (n - 1)), error};
}

/// Positions where a and b differ, or any number above `limit` once it is passed.
int64_t differences(const uint8_t* a, const uint8_t* b, int64_t length, int64_t limit) {
  constexpr int64_t kPiece = 64;
  int64_t count = 0;
  for (int64_t l = 0; l < length && count <= limit; l += kPiece) {
    const int64_t end = std::min(length, l + kPiece);
    int here = 0;
    for (int64_t i = l; i < end; ++i) here += a[i] != b[i];
    count += here;
  }
  return count;
}

/// The words of an item: f(index of the word, in base `letters`).
template <typename F>
void each_word(const uint8_t* codes, int64_t length, int64_t letters, int64_t k, const F& f) {
  int64_t high = 1, word = 0;
  for (int64_t i = 1; i < k; ++i) high *= letters;
  for (int64_t i = 0; i < length; ++i) {
    word = word % high * letters + codes[i];
    if (i >= k - 1) f(word);
  }
}

/// Shares of the words [letters^k] float64.
Tensor word_shares(const Tensor& codes, int64_t letters, int64_t k, int64_t words) {
  Tensor counts = at::zeros({words}, at::kDouble);
  double* count = counts.data_ptr<double>();
  for (int64_t i = 0; i < codes.size(0); ++i) {
    each_word(bytes(codes) + i * codes.size(1), codes.size(1), letters, k, [&](int64_t word) { ++count[word]; });
  }
  return counts / static_cast<double>(codes.size(0) * (codes.size(1) - k + 1));
}

/// Variance of a function of the shares, whose derivative by share w is slope[w]: an item's influence is the mean slope of its words.
double shares_variance(const Tensor& codes, int64_t letters, int64_t k, const Tensor& slope) {
  const int64_t n = codes.size(0), length = codes.size(1);
  const double* at_word = slope.const_data_ptr<double>();
  Tensor influence = at::empty({n}, at::kDouble);
  double* out = influence.data_ptr<double>();
  at::parallel_for(0, n, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum = 0;
      each_word(bytes(codes) + i * length, length, letters, k, [&](int64_t word) { sum += at_word[word]; });
      out[i] = sum / static_cast<double>(length - k + 1);
    }
  });
  return influence_variance(influence, n);
}

/// Two columns of a float64 tensor pair, centred over the words seen.
struct Centred {
  Tensor p, q;         // 0 for words not seen
  double pp, qq, pq;   // their inner products
};
Centred centre(const Tensor& p, const Tensor& q) {
  const Tensor seen = (p + q > 0).to(at::kDouble);
  const double words = seen.sum().item<double>();
  Centred c{(p - p.sum() / words) * seen, (q - q.sum() / words) * seen, 0, 0, 0};
  c.pp = c.p.dot(c.p).item<double>();
  c.qq = c.q.dot(c.q).item<double>();
  c.pq = c.p.dot(c.q).item<double>();
  return c;
}

}  // namespace

HammingDistance hamming_distance(const Tensor& codes, int64_t letters) {
  const int64_t n = codes.size(0), length = codes.size(1);
  if (n < 2) throw Error(Exit::kBadNumbers, "sequences", cat(n, " item has no diversity"), "give at least 2");
  std::vector<int64_t> counts(static_cast<size_t>(length * letters), 0);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t l = 0; l < length; ++l) ++counts[static_cast<size_t>(l * letters + bytes(codes)[i * length + l])];
  }
  Tensor sums = at::empty({n}, at::kDouble);  // an item differs at l from all but those that have its letter there
  for (int64_t i = 0; i < n; ++i) {
    int64_t sum = 0;
    for (int64_t l = 0; l < length; ++l) sum += n - counts[static_cast<size_t>(l * letters + bytes(codes)[i * length + l])];
    sums.data_ptr<double>()[i] = static_cast<double>(sum) / static_cast<double>(length);
  }
  const auto [mean, error] = from_row_sums(sums);
  return {mean, error};
}

NearestSequences nearest_sequences(const Tensor& codes) {
  const int64_t n = codes.size(0), length = codes.size(1);
  using Found = std::tuple<int64_t, int64_t, int64_t>;  // differences, rows: the least is wanted
  Found best{length + 1, 0, 0};
  std::unordered_map<std::string_view, int64_t> first;
  for (int64_t i = 0; i < n; ++i) {
    const auto [twin, fresh] = first.emplace(row(codes, i), i);
    if (!fresh) best = std::min(best, Found{0, twin->second, i});
  }
  if (std::get<0>(best) > 0) {
    std::mutex guard;
    // Rows t and n-1-t go together, so that all pieces of work are of one size.
    at::parallel_for(0, (n + 1) / 2, 16, [&](int64_t begin, int64_t end) {
      Found mine{length + 1, 0, 0};
      const auto look = [&](int64_t i) {
        for (int64_t j = i + 1; j < n; ++j) {
          const int64_t d = differences(bytes(codes) + i * length, bytes(codes) + j * length, length, std::get<0>(mine));
          mine = std::min(mine, Found{d, i, j});
        }
      };
      for (int64_t t = begin; t < end; ++t) {
        look(t);
        if (n - 1 - t != t) look(n - 1 - t);
      }
      const std::lock_guard<std::mutex> lock(guard);
      best = std::min(best, mine);
    });
  }
  const auto [d, i, j] = best;
  return {static_cast<double>(d) / static_cast<double>(length), {i, j}};
}

int64_t levenshtein(const uint8_t* a, const uint8_t* b, int64_t length) {
  std::vector<int64_t> above(static_cast<size_t>(length + 1));
  for (int64_t j = 0; j <= length; ++j) above[static_cast<size_t>(j)] = j;
  for (int64_t i = 1; i <= length; ++i) {
    int64_t diagonal = i - 1, left = i;
    for (int64_t j = 1; j <= length; ++j) {
      int64_t& up = above[static_cast<size_t>(j)];
      const int64_t here = std::min(std::min(up, left) + 1, diagonal + (a[i - 1] != b[j - 1]));
      diagonal = up;
      above[static_cast<size_t>(j - 1)] = left;
      left = here;
    }
    above[static_cast<size_t>(length)] = left;
  }
  return above[static_cast<size_t>(length)];
}

EditDistance edit_distance(const Tensor& codes, int64_t pairs, uint64_t seed) {
  const int64_t n = codes.size(0), length = codes.size(1);
  if (n < 2) throw Error(Exit::kBadNumbers, "sequences", cat(n, " item has no diversity"), "give at least 2");
  std::vector<std::pair<int64_t, int64_t>> chosen;
  const bool all = n * (n - 1) / 2 <= pairs;
  if (all) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = i + 1; j < n; ++j) chosen.emplace_back(i, j);
    }
  } else {
    const Tensor rows = draw_subsets(n, 1, 2 * std::min(pairs, n / 2), seed, subset_of::kEditPairs)[0];
    const int64_t* item = rows.const_data_ptr<int64_t>();
    for (int64_t s = 0; s < rows.size(0) / 2; ++s) chosen.emplace_back(item[2 * s], item[2 * s + 1]);
  }
  const auto count = static_cast<int64_t>(chosen.size());
  Tensor distances = at::empty({count}, at::kDouble);
  double* distance = distances.data_ptr<double>();
  at::parallel_for(0, count, 8, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const auto [i, j] = chosen[static_cast<size_t>(s)];
      distance[s] = static_cast<double>(levenshtein(bytes(codes) + i * length, bytes(codes) + j * length, length)) / static_cast<double>(length);
    }
  });
  if (!all) {
    const double error = count > 1 ? distances.std(0, true).item<double>() / std::sqrt(static_cast<double>(count)) : 0;
    return {distances.mean().item<double>(), error, count};
  }
  Tensor sums = at::zeros({n}, at::kDouble);
  for (int64_t s = 0; s < count; ++s) {
    sums.data_ptr<double>()[chosen[static_cast<size_t>(s)].first] += distance[s];
    sums.data_ptr<double>()[chosen[static_cast<size_t>(s)].second] += distance[s];
  }
  const auto [mean, error] = from_row_sums(sums);
  return {mean, error, count};
}

double unique_fraction(const Tensor& codes) {
  std::unordered_set<std::string_view> seen;
  for (int64_t i = 0; i < codes.size(0); ++i) seen.insert(row(codes, i));
  return static_cast<double>(seen.size()) / static_cast<double>(codes.size(0));
}

double novelty(const Tensor& codes, const Tensor& reference) {
  std::unordered_set<std::string_view> known;
  for (int64_t i = 0; i < reference.size(0); ++i) known.insert(row(reference, i));
  int64_t fresh = 0;
  for (int64_t i = 0; i < codes.size(0); ++i) fresh += known.contains(row(codes, i)) ? 0 : 1;
  return static_cast<double>(fresh) / static_cast<double>(codes.size(0));
}

KmerComparison compare_kmers(const Tensor& codes, const Tensor& reference, int64_t letters, int64_t k) {
  if (k < 1 || k > codes.size(1) || k > reference.size(1)) {
    throw Error(Exit::kUsage, "--sequences.k", cat("words of ", k, " letters do not fit sequences of ", std::min(codes.size(1), reference.size(1))));
  }
  int64_t words = 1;
  for (int64_t i = 0; i < k; ++i) {
    words *= letters;
    if (words > kMostWords) throw Error(Exit::kUsage, "--sequences.k", cat("there are more than ", kMostWords, " words of ", k, " letters"));
  }
  const Tensor p = word_shares(codes, letters, k, words), q = word_shares(reference, letters, k, words);
  const Tensor middle = (p + q) / 2;
  // The derivative of the divergence by p is log2(p / m) / 2 where p > 0.
  const auto slope = [&](const Tensor& side) { return at::where(side > 0, (side / middle).log2() / 2, 0.0); };
  const Tensor p_slope = slope(p), q_slope = slope(q);
  KmerComparison out;
  out.divergence = std::max(0.0, check_finite((p * p_slope + q * q_slope).sum().item<double>(), "sequences"));
  out.divergence_error = std::sqrt(shares_variance(codes, letters, k, p_slope) + shares_variance(reference, letters, k, q_slope));
  const Centred c = centre(p, q);
  out.correlation = c.pq / std::sqrt(c.pp * c.qq);  // NaN if a side is constant
  if (!std::isfinite(out.correlation)) return out;
  const Tensor p_turn = c.q / std::sqrt(c.pp * c.qq) - out.correlation / c.pp * c.p;
  const Tensor q_turn = c.p / std::sqrt(c.pp * c.qq) - out.correlation / c.qq * c.q;
  out.correlation_error = std::sqrt(shares_variance(codes, letters, k, p_turn) + shares_variance(reference, letters, k, q_turn));
  return out;
}

namespace {

void need_letters(const Sequences& items, const std::string& which) {
  const auto letters = static_cast<int64_t>(items.alphabet.size());
  const int64_t highest = items.codes.numel() > 0 ? items.codes.max().item<int64_t>() : 0;
  if (highest < letters) return;
  throw Error(Exit::kBadInput, "sequences", cat(which, " hold code ", highest, ", their alphabet has ", letters, " letters"), "see plumb-artefact(5)");
}

/// Keeps an interval under its name if there is one.
void keep(io::Json& intervals, const std::string& name, double value, double error) {
  if (error > 0) add_interval(intervals, name, normal_interval(value, error));
}

}  // namespace

io::Json sequences_metric(const MetricInput& in, const Settings& settings) {
  if (!in.sequences) {
    throw NotApplicable(Exit::kUsage, "sequences", "needs the letters of sequences, and these are other items or features alone",
                        "give a samples or dataset artefact of sequences");
  }
  const Sequences& samples = *in.sequences;
  need_letters(samples, "the samples");
  const SequenceOptions& o = settings.sequences;
  const auto letters = static_cast<int64_t>(samples.alphabet.size());
  const int64_t n = samples.codes.size(0);
  const HammingDistance hamming = hamming_distance(samples.codes, letters);
  const NearestSequences nearest = nearest_sequences(samples.codes);
  io::Json out{{"value", check_finite(hamming.mean, "sequences")}}, others = io::Json::object();
  if (n > 2) add_interval(out, normal_interval(hamming.mean, hamming.standard_error));
  out.update({{"min_hamming", nearest.distance}, {"nearest", {nearest.rows.first, nearest.rows.second}}});
  if (o.edit_pairs > 0) {
    const EditDistance edit = edit_distance(samples.codes, o.edit_pairs, o.seed);
    out.update({{"edit_distance", edit.mean}, {"edit_pairs", edit.pairs}});
    keep(others, "edit_distance", edit.mean, edit.standard_error);
  }
  out["unique"] = unique_fraction(samples.codes);
  if (in.reference_sequences) {
    const Sequences& reference = *in.reference_sequences;
    need_letters(reference, "the reference's items");
    if (reference.alphabet != samples.alphabet) {
      throw Error(Exit::kBadInput, "sequences", "the samples are of the letters " + samples.alphabet + ", the reference of " + reference.alphabet);
    }
    const double fresh = novelty(samples.codes, reference.codes);
    const KmerComparison kmers = compare_kmers(samples.codes, reference.codes, letters, o.k);
    out.update({{"novelty", fresh}, {"kmer_divergence", kmers.divergence}});
    add_interval(others, "novelty", share_interval(fresh, n));
    keep(others, "kmer_divergence", kmers.divergence, kmers.divergence_error);
    if (std::isfinite(kmers.correlation)) {
      out["kmer_correlation"] = kmers.correlation;
      keep(others, "kmer_correlation", kmers.correlation, kmers.correlation_error);
    }
    out["k"] = o.k;
  }
  out.update({{"n", n}, {"length", samples.codes.size(1)}});
  if (in.reference_sequences) out["n_reference"] = in.reference_sequences->codes.size(0);
  if (others.contains("intervals")) out["intervals"] = others["intervals"];
  if (o.per_class) {
    Features by_label = in.samples;
    by_label.features = samples.codes;
    add_per_class(out, by_label, [&](const Tensor& codes) {
      const HammingDistance inside = hamming_distance(codes, letters);
      io::Json entry{{"value", inside.mean}, {"n", codes.size(0)}};
      if (codes.size(0) > 2) add_interval(entry, normal_interval(inside.mean, inside.standard_error));
      return entry;
    });
  }
  return out;
}

}  // namespace plumb::metrics
