// SPDX-License-Identifier: Apache-2.0
#include "report/table.h"

#include <cmath>

#include "report/number.h"
#include "report/svg.h"

namespace plumb::report {
namespace {

std::string tsv_field(std::string text) {
  for (char& c : text) {
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

const char* class_of(Align align) {
  switch (align) {
    case Align::kNumber:
      return " class=\"num\"";
    case Align::kCode:
      return " class=\"code\"";
    case Align::kText:
      break;
  }
  return "";
}

std::string optional_number(const std::vector<double>& values, size_t i) {
  return i < values.size() ? exact(values[i]) : "";
}

}  // namespace

Cell cell(const std::string& text) { return {text, text}; }
Cell cell(double value) { return {readable(value, 4, true), exact(value)}; }
Cell cell(int64_t value) { return {fixed_text(static_cast<double>(value), 0), std::to_string(value)}; }
Cell cell_with_error(double value, double standard_error) {
  return {readable_with_error(value, standard_error), exact(value)};
}

std::string to_html(const Table& table) {
  std::string html = "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"" + escape(table.title) +
                     "\"><table><caption>" + escape(table.title) +
                     (table.note.empty() ? "" : "<span>" + escape(table.note) + "</span>") + "</caption><thead><tr>";
  for (const Column& column : table.columns) {
    if (!column.title.empty())
      html += "<th scope=\"col\"" + std::string(class_of(column.align)) + ">" + escape(column.title) + "</th>";
  }
  html += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (size_t i = 0; i < table.columns.size(); ++i) {
      if (table.columns[i].title.empty()) continue;
      const std::string text = i < row.size() ? escape(row[i].shown) : "";
      html += "<td" + std::string(class_of(table.columns[i].align)) + ">" + text + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string to_tsv(const Table& table) {
  std::string tsv;
  for (size_t i = 0; i < table.columns.size(); ++i)
    tsv += (i ? "\t" : "") + table.columns[i].key;
  tsv += "\n";
  for (const auto& row : table.rows) {
    for (size_t i = 0; i < table.columns.size(); ++i)
      tsv += (i ? "\t" : "") + (i < row.size() ? tsv_field(row[i].raw) : "");
    tsv += "\n";
  }
  return tsv;
}

std::string figure_tsv(const Figure& figure) {
  std::string tsv = "panel\tseries\tx\ty\tlow\thigh\tx_end\tx_low\tx_high\n";
  for (const Panel& panel : figure.panels) {
    for (const Series& s : panel.series) {
      const std::string name = s.name + (s.style == Style::kRaw ? " (raw)" : "");
      for (size_t i = 0; i < s.y.size() && i < s.x.size(); ++i) {
        tsv += tsv_field(panel.title) + "\t" + tsv_field(name) + "\t" + exact(s.x[i]) + "\t" + exact(s.y[i]) + "\t" +
               optional_number(s.low, i) + "\t" + optional_number(s.high, i) + "\t" +
               (s.style == Style::kSteps ? exact(s.x[i + 1]) : "") + "\t" + optional_number(s.x_low, i) + "\t" +
               optional_number(s.x_high, i) + "\n";
      }
    }
  }
  return tsv;
}

}  // namespace plumb::report
