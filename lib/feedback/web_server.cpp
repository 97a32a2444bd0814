// SPDX-License-Identifier: Apache-2.0
#include "feedback/web_server.h"

#include <signal.h>
#include <sys/random.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <httplib.h>

#include "core/error.h"
#include "core/text.h"
#include "feedback/web_page.h"

namespace plumb::feedback {
namespace {

using std::chrono::duration;

std::string random_hex(size_t bytes) {
  std::string raw(bytes, '\0'), hex;
  if (getrandom(raw.data(), bytes, 0) != static_cast<ssize_t>(bytes)) throw Error(Exit::kFailed, "page", "the system gives no random bytes");
  for (const char c : raw) {
    hex += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    hex += "0123456789abcdef"[static_cast<uint8_t>(c) & 15];
  }
  return hex;
}

/// Takes as long for a wrong guess as for a right one.
bool same_secret(const std::string& a, const std::string& b) {
  unsigned different = a.size() != b.size();
  for (size_t i = 0; i < b.size(); ++i) different |= static_cast<uint8_t>(i < a.size() ? a[i] : 0) ^ static_cast<uint8_t>(b[i]);
  return different == 0;
}

/// "127.0.0.1", "localhost" or "[::1]", with or without a port: ssh -L may have given it another.
bool is_loopback(const std::string& host) {
  const size_t colon = host.rfind(':');
  const bool has_port = colon != std::string::npos && host.find(']', colon) == std::string::npos;
  const std::string name = host.substr(0, has_port ? colon : std::string::npos);
  const bool digits = !has_port || (colon + 1 < host.size() && host.find_first_not_of("0123456789", colon + 1) == std::string::npos);
  return digits && (name == "127.0.0.1" || name == "localhost" || name == "[::1]");
}

void set_json(httplib::Response& response, int status, const io::Json& json) {
  response.status = status;
  response.set_content(json.dump(-1, ' ', false, io::Json::error_handler_t::replace), "application/json");
}

}  // namespace

struct WebServer::State {
  httplib::Server server;
  std::thread thread;
  int port = 0;
  std::string token = random_hex(16);

  std::mutex mutex;
  std::condition_variable changed;
  int64_t number = 0, delivered = -1;
  io::Json shown = io::Json{{"status", "wait"}, {"message", "Starting."}};
  std::function<std::string(const io::Json&)> problem;
  std::function<void()> on_quit;
  std::optional<WebMessage> message;

  /// With the mutex held.
  io::Json current() const {
    io::Json json{{"state", number}};
    json.update(shown);
    return json;
  }

  bool refuse(const httplib::Request& request, httplib::Response& response) const {
    const std::string host = request.get_header_value("Host");
    const char* why = nullptr;
    if (request.get_header_value_count("Host") != 1 || !is_loopback(host)) why = "this server answers to 127.0.0.1 only";
    else if (request.method == "POST" && request.get_header_value("Origin") != "http://" + host) why = "another page may not post here";
    else if (request.method == "POST" && request.get_header_value("Content-Type") != "application/json") why = "only JSON is taken";
    else if (!same_secret(request.has_header("X-Plumb-Token") ? request.get_header_value("X-Plumb-Token") : request.method == "GET" ? request.get_param_value("token") : "", token)) {
      why = "the address lacks this session's token: open the one that the command printed";
    }
    if (!why) return false;
    response.status = 403;
    response.set_content(std::string(why) + "\n", "text/plain");
    return true;
  }

  void send_page(httplib::Response& response) const {
    const std::string nonce = random_hex(16);
    response.set_header("Content-Security-Policy",
                        "default-src 'none'; img-src data:; connect-src 'self'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce +
                            "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    response.set_content(web_page(nonce), "text/html; charset=utf-8");
  }

  void send_state(httplib::Response& response, int status = 200) {  // with the mutex held
    set_json(response, status, current());
    delivered = number;
    changed.notify_all();
  }

  void take(const std::string& what, const httplib::Request& request, httplib::Response& response) {
    const io::Json body = io::Json::parse(request.body, nullptr, false);
    if (!body.is_object() || !body.contains("state")) return set_json(response, 400, {{"error", "not an object with a state"}});
    std::unique_lock<std::mutex> lock(mutex);
    if (body["state"] != number || message) return send_state(response, 409);
    const std::string wrong = what == "answer" ? (problem ? problem(body) : "nothing is asked") : "";
    if (!wrong.empty()) return set_json(response, 400, {{"error", wrong}});
    if (what == "quit" && on_quit) {
      on_quit();
      on_quit = nullptr;
      ++number;
      shown = {{"status", "saved"}, {"message", "All of it saved. The command stops after the step under way; the same command goes on from there."}};
      return send_state(response);
    }
    message = WebMessage{what, body};
    const int64_t before = number;
    changed.notify_all();
    changed.wait_for(lock, duration<double>(10), [&] { return number != before; });
    send_state(response);
  }
};

WebServer::WebServer(int64_t port) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.server.set_default_headers({{"Cache-Control", "no-store"}, {"Referrer-Policy", "no-referrer"}, {"X-Content-Type-Options", "nosniff"},
                                {"X-Frame-Options", "DENY"}, {"Cross-Origin-Resource-Policy", "same-origin"}, {"Cross-Origin-Opener-Policy", "same-origin"}});
  s.server.set_payload_max_length(1 << 16);
  s.server.set_keep_alive_max_count(1);
  s.server.set_keep_alive_timeout(1);
  s.server.set_read_timeout(2);
  s.server.set_pre_routing_handler([&s](const httplib::Request& request, httplib::Response& response) {
    return s.refuse(request, response) ? httplib::Server::HandlerResponse::Handled : httplib::Server::HandlerResponse::Unhandled;
  });
  s.server.Get("/", [&s](const httplib::Request&, httplib::Response& response) { s.send_page(response); });
  s.server.Get("/state", [&s](const httplib::Request&, httplib::Response& response) {
    const std::lock_guard<std::mutex> lock(s.mutex);
    s.send_state(response);
  });
  for (const std::string what : {"answer", "undo", "quit"}) {
    s.server.Post("/" + what, [&s, what](const httplib::Request& request, httplib::Response& response) { s.take(what, request, response); });
  }
  // SO_REUSEADDR alone: with httplib's default, SO_REUSEPORT, another process of this user could share the port.
  s.server.set_socket_options([](socket_t sock) {
    const int yes = 1;
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  s.port = port == 0 ? s.server.bind_to_any_port("127.0.0.1") : s.server.bind_to_port("127.0.0.1", static_cast<int>(port)) ? static_cast<int>(port) : -1;
  if (s.port <= 0) throw Error(Exit::kFailed, "--port", port ? cat("port ", port, " of 127.0.0.1 is taken") : "127.0.0.1 has no free port", "leave --port out");
  s.thread = std::thread([&s] { s.server.listen_after_bind(); });
}

WebServer::~WebServer() {
  for (int tries = 0; !state_->server.is_running() && tries < 200; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  state_->server.stop();
  if (state_->thread.joinable()) state_->thread.join();
  signal(SIGPIPE, SIG_DFL);  // httplib ignores it; a closed standard output ends us quietly
}

int WebServer::port() const { return state_->port; }
const std::string& WebServer::token() const { return state_->token; }
std::string WebServer::url() const { return cat("http://127.0.0.1:", state_->port, "/?token=", state_->token); }

void WebServer::publish(io::Json state, std::function<std::string(const io::Json&)> problem, std::function<void()> on_quit) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  ++state_->number;
  state_->shown = std::move(state);
  state_->problem = std::move(problem);
  state_->on_quit = std::move(on_quit);
  state_->message.reset();
  state_->changed.notify_all();
}

std::optional<WebMessage> WebServer::receive(double seconds) {
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->changed.wait_for(lock, duration<double>(seconds), [&] { return state_->message.has_value(); });
  return state_->message;  // kept until the next state: a second message to this one is refused
}

void WebServer::deliver(double seconds) {
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->changed.wait_for(lock, duration<double>(seconds), [&] { return state_->delivered == state_->number; });
}

}  // namespace plumb::feedback
