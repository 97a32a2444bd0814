// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <chrono>

#include "helpers.h"

namespace plumb::rewards {
using namespace test;

namespace {

const io::Space kSpace = image_space(1, 4, 4);

at::Tensor run(const std::string& command, int64_t n = 3, double timeout_s = 20) {
  return make_reward("exec:" + command, kSpace, at::kCPU, timeout_s)->score({random_images(n, 1, 4, 4), {}, 0});
}

Exit failure(const std::string& command, std::string* message, double timeout_s = 20) {
  return exit_of([&] { run(command, 3, timeout_s); }, message);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("exec: numbers and JSON lines") {
  const at::Tensor numbers = run("printf '1\\n-2.5e-1\\n\\n+3\\n' #");
  CHECK(numbers[0].item<double>() == 1.0);
  CHECK(numbers[1].item<double>() == -0.25);
  CHECK(numbers[2].item<double>() == 3.0);
  const at::Tensor json = run("printf '{\"reward\":1}\\n{\"id\":2,\"reward\":-0.25}\\n{\"reward\":3e0}\\n' #");
  CHECK(at::equal(numbers, json));
}

TEST_CASE("exec: the path comes last, or where $1 stands; it names a samples artefact") {
  const std::string signature = "head -c 8 \"$1\" | od -An -c | grep -q H && printf '1\\n2\\n3\\n'";
  CHECK(run(signature)[2].item<double>() == 3.0);
  CHECK(run("sh -c 'test -f \"$0\" && printf \"4\\n5\\n6\\n\"'")[1].item<double>() == 5.0);
}

TEST_CASE("exec: each failure is one clear line") {
  std::string message;
  CHECK(failure("exit 3; true", &message) == Exit::kFailed);
  CHECK(contains(message, "exec:exit 3; true"));
  CHECK(contains(message, "status 3"));
  CHECK(failure("no-such-command-here", &message) == Exit::kFailed);
  CHECK(contains(message, "status 127"));
  CHECK(failure("kill -SEGV $$; true", &message) == Exit::kFailed);
  CHECK(contains(message, "signal 11"));
  CHECK(failure("printf '1\\n2\\n' #", &message) == Exit::kFailed);
  CHECK(contains(message, "2 rewards for 3 items"));
  CHECK(failure("printf '1\\ntwo\\n3\\n' #", &message) == Exit::kFailed);
  CHECK(contains(message, "line 2"));
  CHECK(contains(message, "'two'"));
  CHECK(failure("printf '{\"score\":1}\\n2\\n3\\n' #", &message) == Exit::kFailed);
  CHECK(contains(message, "no number \"reward\""));
  CHECK(failure("printf '1\\n2 3\\n' #", &message) == Exit::kFailed);
}

TEST_CASE("exec: numbers that are not finite") {
  std::string message;
  CHECK(failure("printf '1\\nnan\\n3\\n' #", &message) == Exit::kBadNumbers);
  CHECK(contains(message, "line 2"));
  CHECK(failure("printf '1\\n2\\ninf\\n' #", &message) == Exit::kBadNumbers);
  CHECK(failure("printf '{\"reward\": NaN}\\n2\\n3\\n' #", &message) == Exit::kBadNumbers);
  CHECK(failure("printf '{\"reward\": -Infinity, \"id\": 1}\\n2\\n3\\n' #", &message) == Exit::kBadNumbers);
}

TEST_CASE("exec: a program that hangs is killed with all it started") {
  const std::string pid_file = "/tmp/plumb-test-pid-" + std::to_string(getpid());
  const auto start = std::chrono::steady_clock::now();
  std::string message;
  CHECK(failure("sleep 60 & echo $! > " + pid_file + "; wait #", &message, 0.4) == Exit::kFailed);
  CHECK(contains(message, "within 0.4 s"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  std::ifstream file(pid_file);
  int64_t pid = 0;
  file >> pid;
  REQUIRE(pid > 0);
  bool gone = false;  // killed; its zombie goes when init reaps it
  for (int i = 0; i < 100 && !gone; ++i) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
    std::string text((std::istreambuf_iterator<char>(status)), {});
    gone = text.empty() || contains(text, ") Z");
    if (!gone) usleep(20000);
  }
  CHECK(gone);
  unlink(pid_file.c_str());
}

TEST_CASE("exec: standard input is empty, a background child does not hold us") {
  CHECK(run("cat; printf '1\\n2\\n3\\n' #")[0].item<double>() == 1.0);
  const auto start = std::chrono::steady_clock::now();
  CHECK(run("sleep 30 & printf '1\\n2\\n3\\n' #")[0].item<double>() == 1.0);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("exec: the same items are asked for once") {
  const std::string tally = "/tmp/plumb-test-once-" + std::to_string(getpid());
  auto reward = make_reward("exec:echo >> " + tally + "; printf '1\\n2\\n3\\n' #", kSpace, at::kCPU);
  const at::Tensor images = random_images(3, 1, 4, 4);
  const at::Tensor label = at::tensor({int64_t{0}, int64_t{1}, int64_t{2}});
  reward->score({images, {}, 0});
  reward->score({images.clone(), {}, 99});
  reward->score({images, label, 0});
  reward->score({random_images(3, 1, 4, 4, 6), {}, 0});
  std::ifstream file(tally);
  CHECK(std::string((std::istreambuf_iterator<char>(file)), {}).size() == 3);  // other labels, other items: asked again
  unlink(tally.c_str());
}

TEST_CASE("exec: works on any space, nothing stays in TMPDIR") {
  const std::string folder = "/tmp/plumb-test-tmp-" + std::to_string(getpid());
  REQUIRE(system(("mkdir -p " + folder).c_str()) == 0);
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before ? before : "";
  setenv("TMPDIR", folder.c_str(), 1);
  auto reward = make_reward("exec:echo 7 #", {"vector", {4}, ""}, at::kCPU);
  CHECK(reward->score({at::zeros({1, 4}), {}, 0})[0].item<double>() == 7);
  CHECK(failure("exit 1", nullptr) == Exit::kFailed);
  if (before) setenv("TMPDIR", kept.c_str(), 1); else unsetenv("TMPDIR");
  CHECK(rmdir(folder.c_str()) == 0);  // refuses a folder that is not empty
}

}  // namespace plumb::rewards
