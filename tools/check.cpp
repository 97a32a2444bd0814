// check: is an artefact, manifest or log what it should be? Man page: check(1).   SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/tool.h"
#include "core/log.h"
#include "core/text.h"
#include "io/jsonl.h"
#include "io/schema.h"

namespace {

using namespace plumb;

struct Options {
  bool lineage = false;
  bool finite = true;
  bool digest = true;
  cli::CommonOptions common;
};

void describe(OptionTable& t, Options& o) {
  t.group("What to check");
  t.add("lineage", &o.lineage, "check everything that the artefact was made from as well");
  t.add("finite", &o.finite, "look for NaN and infinity in every float dataset");
  t.add("digest", &o.digest, "compare the file with the digest that its manifest or a later artefact gives");
  cli::CommonSet set;
  set.output = set.tensors = false;
  cli::describe_common(t, o.common, set);
  t.positional(&o.common.input, "INPUT...", "artefacts (.h5), manifests (.json), logs and records of answers (.jsonl), or - for a manifest on standard input");
}

/// Counts what is wrong and says so, one line each on standard error.
class Checker {
 public:
  explicit Checker(const Options& options) : o_(options) {}
  bool good() const { return problems_ == 0; }

  void report(const std::string& label, const std::string& check, const std::vector<std::string>& problems) {
    for (const std::string& problem : problems) log::error(label + ": " + problem);
    problems_ += problems.size();
    if (problems.empty()) log::verbose(label, ": ", check, ": good");
  }

  /// A check that throws when the answer is no.
  template <typename Check>
  bool attempt(const std::string& check, const std::string& label, const Check& run) {
    try {
      run();
      log::verbose(label, ": ", check, ": good");
      return true;
    } catch (const Error& error) {
      log::error(error.what());
      ++problems_;
      return false;
    }
  }

  /// compare: m came from elsewhere than the file it is of, so that its digest says something about that.
  void manifest(const io::Manifest& m, bool compare) {
    const std::string label = m.label();
    if (!m.sha256().empty() && !seen_.insert(m.sha256()).second) return;
    report(label, "manifest", io::schema_problems(m.json(), m.kind()));
    const bool has_datasets = !m.path().empty() && !io::layout(m.kind()).is_null();  // metrics are JSON alone
    bool readable = true;
    if (has_datasets) {
      if (o_.digest && compare) readable = attempt("digest", label, [&] { io::verify_digest(m); });
      if (readable) readable = attempt("file", label, [&] { artefact(m); });
    }
    if (o_.lineage) inputs(m);
  }

  void log_file(const std::string& path) {
    int64_t line = 0;
    std::string schema = "log";
    io::for_each_jsonl(path, [&](const io::Json& json) {
      if (++line == 1 && json.value("kind", io::Json()) == "session") schema = "answers";
      std::vector<std::string> problems = io::schema_problems(json, schema);
      for (std::string& problem : problems) problem = cat("line ", line, ": ", problem);
      if (!problems.empty()) report(path, schema, problems);
    });
    if (line == 0) report(path, "log", {"has no lines"});
    log::verbose(path, ": ", line, " lines");
  }

 private:
  void artefact(const io::Manifest& m) {
    const io::H5Reader file = io::open_artefact(m, false);
    const io::Manifest inside = io::read_artefact_manifest(m.path());
    if (inside.kind() != m.kind()) report(m.label(), "kind", {"holds " + inside.kind() + ", its manifest says " + m.kind()});
    report(m.label(), "layout", io::layout_problems(file, inside));
    if (o_.finite) report(m.label(), "finiteness", io::finiteness_problems(file));
  }

  void inputs(const io::Manifest& m) {
    for (const auto& [name, input] : m.inputs()) {
      const std::string label = m.label() + ": input " + name;
      if (input.path().empty()) {
        manifest(input, false);
        continue;
      }
      io::Manifest whole;
      const bool there = attempt("reference", label, [&] {
        if (o_.digest) io::verify_digest(input);
        if (!input.path().ends_with(".npz")) whole = io::Manifest::read(input.path());
      });
      if (there && !whole.path().empty()) manifest(whole, false);
    }
  }

  const Options& o_;
  size_t problems_ = 0;
  std::set<std::string> seen_;
};

int run(cli::Context& context, const Options& o) {
  std::vector<std::string> sources = o.common.input;
  if (sources.empty()) sources = {"-"};
  if (context.dry_run()) return context.finish_dry_run({{"sources", sources}});
  Checker checker(o);
  int worst = 0;
  for (const std::string& source : sources) {
    try {
      if (std::filesystem::path(source).extension() == ".jsonl") checker.log_file(source);
      else {
        const io::Manifest given = context.read(source, "");
        std::error_code none;
        checker.manifest(given, !std::filesystem::equivalent(given.path(), source, none));
      }
    } catch (const Error& error) {  // the others are answered for all the same
      log::error(error.what());
      worst = std::max(worst, static_cast<int>(error.exit()));
    }
  }
  return std::max(worst, checker.good() ? 0 : static_cast<int>(Exit::kFailed));
}

}  // namespace

PLUMB_PLAIN_TOOL(Options, "check", "say whether artefacts, manifests and logs are what they should be", "anything -> exit status")
