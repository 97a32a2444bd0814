// exec: any program. It gets the items as a samples artefact and prints one number a line, or JSON lines with "reward".
// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cmath>
#include <map>

#include <ATen/ATen.h>

#include "core/error.h"
#include "core/process.h"
#include "core/sha256.h"
#include "core/text.h"
#include "core/version.h"
#include "nn/data.h"
#include "rewards/reward.h"

namespace plumb::rewards {
namespace {

constexpr int64_t kPreferredBatch = 4096;   // most programs take longer to start than to score
constexpr size_t kMaxRemembered = 256;      // batches whose answers are kept

class Exec : public Reward {
 public:
  Exec(std::string command, io::Space space, double timeout_s)
      : command_(std::move(command)), subject_("reward 'exec:" + command_ + "'"), space_(std::move(space)),
        timeout_s_(timeout_s) {
    for (const char* own : {"$1", "${1", "$@", "${@", "$*"}) names_path_ = names_path_ || command_.find(own) != std::string::npos;
  }

  Tensor score(const RewardBatch& batch) override {
    const std::string key = digest(batch);
    if (const auto known = answers_.find(key); known != answers_.end()) return known->second.clone();
    const Tensor values = parse(run(batch), batch);
    if (answers_.size() >= kMaxRemembered) answers_.clear();
    answers_[key] = values;
    return values.clone();
  }
  io::Json describe() const override { return {{"name", "exec"}, {"command", command_}}; }
  int64_t preferred_batch() const override { return kPreferredBatch; }

 private:
  static std::string digest(const RewardBatch& batch) {
    Sha256 hash;
    for (const Tensor& tensor : {batch.items, batch.label}) {
      if (!tensor.defined()) continue;
      const Tensor bytes = tensor.contiguous();
      const std::string head = cat(shape_text(bytes.sizes().vec()), ";");
      hash.update(head.data(), head.size());
      hash.update(bytes.const_data_ptr(), bytes.nbytes());
    }
    return hash.hex();
  }

  /// The program's standard output for these items.
  std::string run(const RewardBatch& batch) const {
    ScratchFile file("samples.h5");
    io::H5Writer writer(file.path());
    nn::write_tensor(writer, "/" + space_.dataset(), batch.items.contiguous());
    if (batch.label.defined()) nn::write_tensor(writer, "/label", batch.label.contiguous());
    io::commit_artefact(writer, io::Manifest({{"format", cat("plumb/", kFormatVersion)},
                                              {"kind", "samples"},
                                              {"count", batch.items.size(0)},
                                              {"space", space_.to_json()},
                                              {"first", batch.first}}));
    ProgramResult result = run_program(names_path_ ? command_ : command_ + " \"$1\"", {file.path()}, timeout_s_);
    using End = ProgramResult::End;
    switch (result.end) {
      case End::kTimeOut:
        throw Error(Exit::kFailed, subject_, cat("no answer within ", timeout_s_, " s"), "raise --reward-timeout (of score: --timeout)");
      case End::kStopped:
        throw Error(Exit::kTryAgain, subject_, "killed, since a stop was asked for", "run the same command again");
      case End::kTooMuchOutput: throw Error(Exit::kFailed, subject_, "prints without end", "one number an item is wanted");
      case End::kSignal: throw Error(Exit::kFailed, subject_, cat("killed by signal ", result.code));
      case End::kExit: break;
    }
    if (result.code != 0) {
      throw Error(Exit::kFailed, subject_, cat("exited with status ", result.code),
                  result.code == 127 ? "no such command?" : "its own message stands above");
    }
    return std::move(result.output);
  }

  Tensor parse(const std::string& output, const RewardBatch& batch) const {
    std::vector<double> values;
    int64_t number = 0;
    for (const std::string& raw : split(output, '\n')) {
      ++number;
      const std::string line = trim(raw);
      if (!line.empty()) values.push_back(parse_line(line, number));
    }
    const auto wanted = static_cast<size_t>(batch.items.size(0));
    if (values.size() != wanted) {
      throw Error(Exit::kFailed, subject_, cat("gave ", values.size(), " rewards for ", wanted, " items"),
                  "print one number a line, in the order of the items, and nothing else");
    }
    return at::tensor(values, at::kDouble);
  }

  double parse_line(const std::string& line, int64_t number) const {
    const std::string shown = line.size() > 60 ? line.substr(0, 60) + "..." : line;
    auto refuse = [&](const std::string& what) {
      throw Error(Exit::kFailed, subject_, cat("line ", number, " of its output, '", shown, "', ", what),
                  "print one number a line, or {\"reward\":NUMBER}");
    };
    std::string text = line;
    if (line[0] == '{') {
      const io::Json json = io::Json::parse(line, nullptr, false);
      if (json.is_object() && json.contains("reward") && json["reward"].is_number()) return json["reward"].get<double>();
      const size_t colon = line.find("\"reward\"");  // JSON has no NaN, but several writers print it
      if (json.is_discarded() && colon != std::string::npos) {
        text = trim(line.substr(line.find(':', colon) + 1));
        text = trim(text.substr(0, text.find_first_of(",}")));
      }
      if (text != "NaN" && text != "Infinity" && text != "-Infinity") refuse("has no number \"reward\"");
    }
    double value = 0;
    const char* begin = text.data() + (text[0] == '+' && text.size() > 1 && text[1] != '-' ? 1 : 0);
    const auto [end, status] = std::from_chars(begin, text.data() + text.size(), value);
    if (status != std::errc() || end != text.data() + text.size()) refuse("is not a number");
    if (!std::isfinite(value)) {
      throw Error(Exit::kBadNumbers, subject_, cat("line ", number, " of its output is ", shown), "rewards must be finite");
    }
    return value;
  }

  std::string command_, subject_;
  io::Space space_;
  double timeout_s_;
  bool names_path_ = false;  // the command says itself where the path goes
  std::map<std::string, Tensor> answers_;
};

}  // namespace

std::unique_ptr<Reward> make_exec(const RewardSpec& spec) {
  if (spec.argument.empty()) throw Error(Exit::kUsage, "reward 'exec'", "needs a command", "exec:COMMAND");
  return std::make_unique<Exec>(spec.argument, spec.space, spec.timeout_s);
}

}  // namespace plumb::rewards
