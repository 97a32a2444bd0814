// The page's server: one browser on this machine, or behind ssh -L, and nobody else.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/manifest.h"

namespace plumb::feedback {

/// What the browser sent: "answer", "undo" or "quit", and its JSON.
struct WebMessage {
  std::string what;
  io::Json body;
};

/// Serves the page (web_page.h) and its state on 127.0.0.1. Every request is refused that does not name a loopback host (a page that
/// rebinds its own name to 127.0.0.1 does not), or lacks the token of 128 random bits that the URL carries; every POST also if its
/// Origin is not this server's, or its body not JSON.
///
/// State is a number that grows and a JSON object. A message is taken only if it names the current state, so a page that is behind
/// (a second tab, a doubled click) answers nothing twice: it gets the state instead, with status 409. A taken message is answered
/// with the state that follows it, that is after the answer is durable.
class WebServer {
 public:
  /// Throws Error(kFailed) if the port cannot be had. port 0: any free one.
  explicit WebServer(int64_t port);
  ~WebServer();
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;
  int port() const;
  const std::string& token() const;
  std::string url() const;   ///< with the token

  /// A new state. problem: what is wrong with an answer's JSON, "" if nothing. on_quit: what a quit does, once, where nobody waits for
  /// the message.
  void publish(io::Json state, std::function<std::string(const io::Json&)> problem = nullptr, std::function<void()> on_quit = nullptr);
  /// Waits up to `seconds` for a message to the current state.
  std::optional<WebMessage> receive(double seconds);
  /// Waits up to `seconds` until a browser has the current state.
  void deliver(double seconds);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace plumb::feedback
