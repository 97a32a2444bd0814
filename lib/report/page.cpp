// SPDX-License-Identifier: Apache-2.0
#include "report/page.h"

#include "core/text.h"
#include "core/version.h"
#include "report/svg.h"

namespace plumb::report {
namespace {

const char* const kStyle = R"css(
:root{color-scheme:light dark;--page:#fff;--ink:#1b2027;--muted:#5b6470;--rule:#dfe3e8;--soft:#f5f7f9;--link:#0067a8;
--bad:#a32b00;--bad-soft:#fdf0ea;--good:#00664b;--good-soft:#eaf6f1;--open:#5d5200;--open-soft:#faf6e3}
@media screen and (prefers-color-scheme:dark){:root{--page:#14181d;--ink:#e8ebef;--muted:#9aa4b0;--rule:#343b44;--soft:#1c2128;
--link:#5cb0ea;--bad:#ff9d75;--bad-soft:#2e1e18;--good:#5fd3b0;--good-soft:#15271f;--open:#e3cf6b;--open-soft:#28240f}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
-webkit-text-size-adjust:100%}
main{max-width:49rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 1rem;letter-spacing:-.012em;overflow-wrap:anywhere}
h2{font-size:1.2rem;line-height:1.3;margin:3rem 0 .5rem;padding-top:1rem;border-top:1px solid var(--rule)}
p{margin:.5rem 0}
.lead{font-size:1.06rem;max-width:66ch}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;margin:1.25rem 0 0;font-size:.92rem}
a{color:var(--link);text-underline-offset:.15em}
.alert{border:1px solid;border-left-width:.4rem;border-radius:.35rem;padding:.7rem 1rem .8rem;margin:1.25rem 0;color:var(--open);background:var(--open-soft)}
.alert strong{display:block;font-size:1.06rem}.alert p{margin:.15rem 0 0;color:var(--ink)}
.bad{color:var(--bad);background:var(--bad-soft)}.good{color:var(--good);background:var(--good-soft)}
figure{margin:1.25rem 0}
figure svg.pic{display:block;width:100%;height:auto}
.scroll{overflow-x:auto}.scroll svg.pic{min-width:36rem}
figcaption{color:var(--muted);font-size:.9rem;margin-top:.5rem;max-width:70ch}
figcaption b{color:var(--ink);font-weight:600}
.cells{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr));gap:1rem 2rem}
.cells svg.pic{max-width:26rem}
.tiles{display:grid;grid-template-columns:auto 1fr;gap:.3rem .6rem;align-items:stretch;max-width:33rem}
.tiles img{width:100%;height:auto;display:block;image-rendering:pixelated;grid-column:2;border-radius:2px}
.tiles.plain{grid-template-columns:1fr}.tiles.plain>*{grid-column:1}.tiles.long{max-width:none}
.rows,.columns{list-style:none;margin:0;padding:0;display:flex;font-size:.78rem;line-height:1.15;color:var(--muted)}
.rows{flex-direction:column;text-align:right}.rows li{flex:1;display:flex;align-items:center;justify-content:flex-end}
.columns{grid-column:2}.columns li{flex:1;text-align:center;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto;margin:1.25rem 0}
table{border-collapse:collapse;font-size:.87rem;min-width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:0 0 .4rem}
caption span{display:block;max-width:70ch;font-weight:400;color:var(--muted);font-size:.9rem}
th,td{text-align:left;padding:.32rem .55rem .32rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{color:var(--muted);font-weight:600;font-size:.82rem;white-space:nowrap}
th.num,td.num{text-align:right;white-space:nowrap}
td.code{font:.82rem/1.45 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere;min-width:8rem}
tr>:last-child{padding-right:0}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--rule);color:var(--muted);font-size:.85rem}
@media (max-width:40rem){main{padding-top:1.5rem}.cells svg.pic{max-width:none}h2{margin-top:2.25rem}}
@media print{body{font-size:10.5pt}main{max-width:none;padding:0}nav{display:none}figure,.alert,tr{break-inside:avoid}h2{break-after:avoid}
.wide,.scroll{overflow:visible}a{color:inherit;text-decoration:none}}
)css";

std::string base64(const std::string& bytes) {
  static const char* const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t block = 0;
    for (size_t k = 0; k < 3; ++k)
      block = block << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      out += k <= bytes.size() - i ? letters[block >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string png_of(const ImageGrid& grid) {
  return io::encode_png(grid.image.pixels.data(), grid.image.channels, grid.image.height, grid.image.width);
}

std::string caption(const std::string& title, const std::string& text) {
  if (title.empty() && text.empty()) return "";
  return "<figcaption>" + (title.empty() ? "" : "<b>" + escape(title) + ".</b> ") + escape(text) + "</figcaption>";
}

std::string to_html(const Figure& figure) {
  std::string html = "<figure>";
  if (figure.grid) {
    html += "<div class=\"cells\">";
    for (const std::string& picture : render_panels(figure))
      html += "<div>" + picture + "</div>\n";
    html += "</div>";
  } else {
    html += "<div class=\"scroll\">" + render_figure(figure, false) + "</div>";
  }
  return html + caption("", figure.caption) + "</figure>\n";
}

std::string names_list(const std::vector<std::string>& names, const char* kind) {
  if (names.empty()) return "";
  std::string html = std::string("<ul class=\"") + kind + "\" aria-hidden=\"true\">";
  for (const std::string& name : names)
    html += "<li>" + escape(name) + "</li>";
  return html + "</ul>";
}

std::string to_html(const ImageGrid& grid) {
  const bool strip = grid.image.width > 3 * grid.image.height;
  return "<figure><div class=\"tiles" + std::string(strip ? " long" : "") + (grid.row_names.empty() ? " plain" : "") +
         "\">" + names_list(grid.row_names, "rows") + "<img alt=\"" + escape(grid.description) + "\" width=\"" +
         std::to_string(grid.image.width) + "\" height=\"" + std::to_string(grid.image.height) +
         "\" src=\"data:image/png;base64," + base64(png_of(grid)) + "\">" + names_list(grid.column_names, "columns") +
         "</div>" + caption(grid.title, grid.caption) + "</figure>\n";
}

std::string to_html(const Section& section) {
  std::string html = "<section id=\"" + escape(section.id) + "\"><h2>" + escape(section.title) + "</h2>\n";
  if (!section.text.empty()) html += "<p>" + escape(section.text) + "</p>\n";
  const bool side_by_side =
      section.grids.size() > 1 && section.grids[0].image.width <= 3 * section.grids[0].image.height;
  for (const Figure& figure : section.figures)
    html += to_html(figure);
  if (side_by_side) html += "<div class=\"cells\">";
  for (const ImageGrid& grid : section.grids)
    html += to_html(grid);
  if (side_by_side) html += "</div>";
  for (const Drawing& drawing : section.drawings) {
    html +=
        "<figure><div class=\"scroll\">" + drawing.inline_svg + "</div>" + caption("", drawing.title) + "</figure>\n";
  }
  for (const Table& table : section.tables) {
    if (table.use != Table::Use::kFile) html += to_html(table);
  }
  return html + "</section>\n";
}

std::string to_html(const Alert& alert) {
  const bool bad = alert.level == Alert::Level::kBad, good = alert.level == Alert::Level::kGood;
  return "<div class=\"alert" +
         std::string(bad    ? " bad"
                     : good ? " good"
                            : "") +
         "\" role=\"note\"><strong>" +
         (bad    ? "⚠ "
          : good ? "✓ "
                 : "? ") +
         escape(alert.title) + "</strong><p>" + escape(alert.text) + "</p></div>\n";
}

}  // namespace

const char* const kPageStart =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"generator\" content=\"plumb report";

std::string render_page(const Report& report) {
  std::string html = cat(kPageStart, " ", kVersion,
                         "\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
                         escape(report.title), "</title>\n<style>", kStyle, Svg::style(),
                         "</style></head>\n<body><main>\n<h1>", escape(report.title), "</h1>\n");
  for (const Alert& alert : report.alerts)
    html += to_html(alert);
  for (const std::string& paragraph : report.summary) html += "<p class=\"lead\">" + escape(paragraph) + "</p>\n";
  if (report.sections.size() > 1) {
    html += "<nav aria-label=\"Contents\"><ul>";
    for (const Section& section : report.sections)
      html += "<li><a href=\"#" + escape(section.id) + "\">" + escape(section.title) + "</a></li>";
    html += "</ul></nav>\n";
  }
  for (const Section& section : report.sections)
    html += to_html(section);
  if (report.sections.empty())
    html += "<p>There is nothing to draw: no samples, scores, metrics or log lines were found.</p>\n";
  html += "<footer>";
  for (const std::string& note : report.notes)
    html += "<p>" + escape(note) + "</p>";
  return cat(html, "<p>Made by plumb report ", kVersion, ".</p></footer>\n</main></body></html>\n");
}

std::vector<SideFile> svg_files(const Report& report) {
  std::vector<SideFile> files;
  for (const Section& section : report.sections) {
    for (const Figure& figure : section.figures)
      files.push_back({figure.id + ".svg", render_figure(figure, true) + "\n"});
    for (const Drawing& drawing : section.drawings)
      files.push_back({drawing.id + ".svg", drawing.file_svg + "\n"});
  }
  return files;
}

std::vector<SideFile> png_files(const Report& report) {
  std::vector<SideFile> files;
  for (const Section& section : report.sections) {
    for (const ImageGrid& grid : section.grids)
      files.push_back({grid.id + ".png", png_of(grid)});
  }
  return files;
}

std::vector<SideFile> tsv_files(const Report& report) {
  std::vector<SideFile> files;
  for (const Section& section : report.sections) {
    for (const Figure& figure : section.figures)
      files.push_back({figure.id + ".tsv", figure_tsv(figure)});
    for (const Table& table : section.tables) {
      if (table.use != Table::Use::kPage) files.push_back({table.id + ".tsv", to_tsv(table)});
    }
  }
  return files;
}

}  // namespace plumb::report
