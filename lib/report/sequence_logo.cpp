// SPDX-License-Identifier: Apache-2.0
#include "report/sequence_logo.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "core/error.h"
#include "core/text.h"
#include "report/number.h"
#include "report/svg.h"

namespace plumb::report {
namespace {

constexpr size_t kMostWords = 1'000'000, kPageWords = 16;
constexpr int64_t kRowPositions = 50;
constexpr double kPlotHeight = 96, kAxisWidth = 44, kRowGap = 30, kTop = 20, kStroke = 18;

/// Letters as centre lines in a box of 100 x 100, drawn with a round stroke of 18 that stays inside it.
const char* glyph(char letter) {
  switch (letter) {
    case 'A': return "M9 91L50 9L91 91M24 62H76";
    case 'B': return "M14 9V91H58C99 91 99 50 58 50H14M58 50C92 50 92 9 58 9H14";
    case 'C': return "M88 27C70 -2 9 2 9 50C9 98 70 102 88 73";
    case 'D': return "M14 9V91H42C108 91 108 9 42 9Z";
    case 'E': return "M86 9H14V91H86M14 50H74";
    case 'F': return "M86 9H14V91M14 50H74";
    case 'G': return "M88 27C70 -2 9 2 9 50C9 98 70 102 88 73V54H58";
    case 'H': return "M14 9V91M86 9V91M14 50H86";
    case 'I': return "M50 9V91M22 9H78M22 91H78";
    case 'J': return "M78 9V62C78 100 18 102 18 64";
    case 'K': return "M14 9V91M86 9L14 58M38 42L88 91";
    case 'L': return "M14 9V91H86";
    case 'M': return "M11 91V9L50 70L89 9V91";
    case 'N': return "M14 91V9L86 91V9";
    case 'O': return "M50 9C-5 9 -5 91 50 91C105 91 105 9 50 9Z";
    case 'P': return "M14 91V9H56C104 9 104 56 56 56H14";
    case 'Q': return "M50 9C-5 9 -5 91 50 91C105 91 105 9 50 9ZM60 66L90 91";
    case 'R': return "M14 91V9H56C104 9 104 56 56 56H14M50 56L88 91";
    case 'S': return "M86 24C74 0 12 4 12 30C12 58 88 42 88 70C88 96 24 100 12 76";
    case 'T': return "M9 9H91M50 9V91";
    case 'U': return "M14 9V58C14 102 86 102 86 58V9";
    case 'V': return "M9 9L50 91L91 9";
    case 'W': return "M9 9L30 91L50 30L70 91L91 9";
    case 'X': return "M12 9L88 91M88 9L12 91";
    case 'Y': return "M10 9L50 52L90 9M50 52V91";
    case 'Z': return "M12 9H88L12 91H88";
    case '-': return "M20 50H80";
    default: return "M9 9H91V91H9Z";  // a box: no letter of a biological alphabet
  }
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// Nucleotides: A green, C blue, G amber, T and U red. Amino acids: by their chemistry.
std::string colour_of(char letter, bool nucleic) {
  const auto in = [&](const char* set) { return std::string(set).find(letter) != std::string::npos; };
  if (nucleic) return letter == 'A' ? "c2" : letter == 'C' ? "c0" : letter == 'G' ? "c4" : in("TU") ? "c6" : "muted";
  return in("GSTYC") ? "c2" : in("NQ") ? "c3" : in("KRH") ? "c0" : in("DE") ? "c6" : in("AVLIPWFM") ? "ink" : "muted";
}

bool is_nucleic(const std::string& alphabet) {
  return std::all_of(alphabet.begin(), alphabet.end(), [](char c) { return std::string("ACGTUN-").find(upper(c)) != std::string::npos; });
}

std::string scaled(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// One letter in the box at (x, y) of w x h px.
void draw_letter(Svg& svg, char letter, bool nucleic, double x, double y, double w, double h) {
  const std::string at = "matrix(" + scaled(w / 100) + " 0 0 " + scaled(h / 100) + " " + px(x) + " " + px(y) + ")";
  svg.open(colour_of(upper(letter), nucleic), "transform=\"" + at + "\"");
  svg.path(glyph(upper(letter)), kStroke);
  svg.close();
}

double most_bits(const SequenceCounts& counts) { return std::log2(static_cast<double>(counts.alphabet.size())); }

struct Layout {
  int64_t positions, per_row, rows;
  double column;
  explicit Layout(const SequenceCounts& counts)
      : positions(std::min(counts.length, kLogoPositions)), per_row(std::min(positions, kRowPositions)), rows((positions + per_row - 1) / per_row),
        column(std::clamp(660.0 / static_cast<double>(per_row), 13.0, 40.0)) {}
  double width() const { return kAxisWidth + column * static_cast<double>(per_row) + 8; }
  double height() const { return kTop + (kPlotHeight + kRowGap) * static_cast<double>(rows); }
};

/// Numbers below the letters: all, every fifth or every tenth.
bool numbered(int64_t position, const Layout& layout) {
  const int64_t step = layout.column >= 24 ? 1 : layout.positions <= 60 ? 5 : 10;
  return (position + 1) % step == 0 || position == 0;
}

std::string word_text(const SequenceCounts& counts, size_t word) {
  std::string text(static_cast<size_t>(counts.k), ' ');
  for (size_t i = text.size(); i-- > 0; word /= counts.alphabet.size()) text[i] = counts.alphabet[word % counts.alphabet.size()];
  return text;
}

}  // namespace

SequenceCounts count_sequences(const io::H5Reader& file, const io::Space& space, const std::string& name) {
  constexpr int64_t kRows = 4096;
  SequenceCounts out;
  out.name = name;
  out.alphabet = space.alphabet;
  out.length = space.shape.at(0);
  const io::DatasetInfo info = file.info(space.dataset());
  if (info.shape.size() != 2 || info.shape[1] != out.length) {
    throw Error(Exit::kBadInput, file.path(), "dataset '" + space.dataset() + "' is " + shape_text(info.shape) + ", its manifest says " + space.text());
  }
  out.n = info.shape[0];
  const size_t letters = out.alphabet.size(), length = static_cast<size_t>(out.length);
  out.letters.assign(length * letters, 0);
  size_t words = 1;
  for (out.k = 0; out.k < std::min<int64_t>(3, out.length) && words * letters <= kMostWords; ++out.k) words *= letters;
  out.words.assign(words, 0);
  const size_t high = words / letters;  // the place of a word's first letter
  std::vector<uint8_t> codes(static_cast<size_t>(std::min(out.n, kRows)) * length);
  for (int64_t first = 0; first < out.n; first += kRows) {
    const int64_t rows = std::min(kRows, out.n - first);
    file.read(space.dataset(), io::Type::kU8, first, rows, codes.data());
    for (size_t i = 0; i < static_cast<size_t>(rows); ++i) {
      size_t word = 0;
      for (size_t l = 0; l < length; ++l) {
        const size_t code = codes[i * length + l];
        if (code >= letters) {
          throw Error(Exit::kBadInput, file.path(), cat("item ", first + static_cast<int64_t>(i), " has code ", code, ", the alphabet has ", letters, " letters"));
        }
        ++out.letters[l * letters + code];
        word = word % high * letters + code;
        if (l + 1 >= static_cast<size_t>(out.k)) ++out.words[word];
      }
    }
  }
  return out;
}

std::vector<double> information(const SequenceCounts& counts) {
  const size_t letters = counts.alphabet.size();
  const double n = static_cast<double>(counts.n);
  const double correction = static_cast<double>(letters - 1) / (2 * std::log(2.0) * n);
  std::vector<double> bits;
  for (size_t l = 0; l < static_cast<size_t>(counts.length); ++l) {
    double entropy = 0;
    for (size_t c = 0; c < letters; ++c) {
      const double p = static_cast<double>(counts.letters[l * letters + c]) / n;
      if (p > 0) entropy -= p * std::log2(p);
    }
    bits.push_back(n > 0 ? std::max(0.0, most_bits(counts) - entropy - correction) : 0);
  }
  return bits;
}

std::string logo_caption(const SequenceCounts& counts) {
  const int64_t drawn = std::min(counts.length, kLogoPositions);
  return counts.name + ": what " + readable(static_cast<double>(counts.n)) + " sequences share at each position, in bits of at most " + readable(most_bits(counts), 3) +
         "; a letter is as high as its share of them." +
         (drawn < counts.length ? " The first " + std::to_string(drawn) + " of " + std::to_string(counts.length) + " positions." : "");
}

std::string sequence_logo(const SequenceCounts& counts, bool standalone) {
  const Layout layout(counts);
  const std::vector<double> bits = information(counts);
  const double top = std::max(most_bits(counts), 1e-9), n = static_cast<double>(std::max<int64_t>(counts.n, 1));
  const bool nucleic = is_nucleic(counts.alphabet);
  const size_t letters = counts.alphabet.size();
  Svg svg(layout.width(), layout.height(), "Sequence logo of " + counts.name, standalone);
  std::vector<size_t> order(letters);
  for (int64_t row = 0; row < layout.rows; ++row) {
    const double base = kTop + static_cast<double>(row) * (kPlotHeight + kRowGap) + kPlotHeight;
    svg.open("muted");
    svg.line(kAxisWidth - 4, base - kPlotHeight, kAxisWidth - 4, base);
    for (double tick = 0; tick <= top + 1e-9; ++tick) {
      const double y = base - tick / top * kPlotHeight;
      svg.line(kAxisWidth - 8, y, kAxisWidth - 4, y);
      svg.text(kAxisWidth - 11, y + 4, readable(tick, 3), 11, "end");
    }
    if (row == 0) svg.text(2, 12, "bits", 11);
    svg.close();
    for (int64_t c = 0; c < layout.per_row && row * layout.per_row + c < layout.positions; ++c) {
      const int64_t position = row * layout.per_row + c;
      const double x = kAxisWidth + static_cast<double>(c) * layout.column;
      const int64_t* count = counts.letters.data() + static_cast<size_t>(position) * letters;
      std::iota(order.begin(), order.end(), size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return count[a] < count[b]; });
      double y = base;
      for (const size_t letter : order) {
        const double height = static_cast<double>(count[letter]) / n * bits[static_cast<size_t>(position)] / top * kPlotHeight;
        y -= height;
        if (height >= 0.5) draw_letter(svg, counts.alphabet[letter], nucleic, x + 0.5, y, layout.column - 1, height);
      }
      if (!numbered(position, layout)) continue;
      svg.open("muted");
      svg.text(x + layout.column / 2, base + 15, std::to_string(position + 1), 11, "middle");
      svg.close();
    }
  }
  return svg.finish();
}

std::vector<Table> word_tables(const std::vector<SequenceCounts>& sets) {
  std::vector<Table> tables;
  std::vector<const SequenceCounts*> left;
  for (const SequenceCounts& set : sets) {
    if (set.k > 0 && set.n > 0) left.push_back(&set);
  }
  for (int64_t number = 1; !left.empty(); ++number) {
    const SequenceCounts& lead = *left.front();
    std::vector<const SequenceCounts*> group, others;
    for (const SequenceCounts* set : left) (set->alphabet == lead.alphabet && set->k == lead.k ? group : others).push_back(set);
    left = others;
    const auto share = [](const SequenceCounts& set, size_t word) {
      return 100 * static_cast<double>(set.words[word]) / static_cast<double>(set.n * (set.length - set.k + 1));
    };
    std::vector<std::pair<double, size_t>> order;  // minus the largest share, word
    for (size_t word = 0; word < lead.words.size(); ++word) {
      double largest = 0;
      for (const SequenceCounts* set : group) largest = std::max(largest, share(*set, word));
      if (largest > 0) order.emplace_back(-largest, word);
    }
    std::sort(order.begin(), order.end());
    const std::string id = number == 1 ? "words" : "words-" + std::to_string(number);
    Table page{id, "Words of " + std::to_string(lead.k) + " letters", "percent of all places; the commonest", {{"word", "Word", Align::kCode}}, {}, Table::Use::kPage};
    for (const SequenceCounts* set : group) page.columns.push_back({set->name, set->name, Align::kNumber});
    Table file = page;
    file.use = Table::Use::kFile;
    for (size_t i = 0; i < order.size(); ++i) {
      std::vector<Cell> cells{cell(word_text(lead, order[i].second))};
      for (const SequenceCounts* set : group) cells.push_back(cell(share(*set, order[i].second)));
      if (i < kPageWords) page.rows.push_back(cells);
      file.rows.push_back(std::move(cells));
    }
    tables.push_back(std::move(page));
    tables.push_back(std::move(file));
  }
  return tables;
}

}  // namespace plumb::report
