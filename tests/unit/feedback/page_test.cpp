// The page's server, asked through a plain socket: who gets in, who does not, and what an answer waits for.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "feedback/web_page.h"
#include "feedback/web_server.h"
#include "scene.h"

using namespace plumb::test;

namespace {

struct Response {
  int status = 0;
  std::string head, body;
};

/// Sends the request as it is, byte for byte.
Response send(int port, const std::string& request) {
  const int sock = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  REQUIRE(connect(sock, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::send(sock, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
  std::string all;
  char buffer[4096];
  for (ssize_t got; (got = recv(sock, buffer, sizeof buffer, 0)) > 0;) all.append(buffer, static_cast<size_t>(got));
  close(sock);
  Response response;
  const size_t end = all.find("\r\n\r\n");
  REQUIRE(end != std::string::npos);
  response.head = all.substr(0, end);
  response.body = all.substr(end + 4);
  response.status = std::stoi(all.substr(9, 3));
  return response;
}

struct Client {
  const WebServer& server;
  std::string host = "127.0.0.1:" + std::to_string(server.port());
  std::string origin = "http://" + host, token = server.token(), type = "application/json";

  Response get(const std::string& path) const { return send(server.port(), "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + token_line() + "\r\n"); }
  Response post(const std::string& path, const std::string& body) const {
    return send(server.port(), "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + (origin.empty() ? "" : "Origin: " + origin + "\r\n") + "Content-Type: " + type +
                                   "\r\n" + token_line() + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  std::string token_line() const { return token.empty() ? "" : "X-Plumb-Token: " + token + "\r\n"; }
  Json state() const { return Json::parse(get("/state").body); }
};

}  // namespace

TEST_SUITE("page") {
  TEST_CASE("without the token, by another name, or from another page: refused") {
    WebServer server(0);
    server.publish({{"status", "ask"}, {"secret", "question"}}, [](const Json&) { return ""; });
    const Client good{server};
    CHECK(good.get("/state").status == 200);
    CHECK(good.get("/nothing").status == 404);
    const std::string path = server.url().substr(server.url().find("/?"));
    Client browser = good;
    browser.token = "";
    const Response page = browser.get(path);  // the first request of a browser: the token in the address
    CHECK(page.status == 200);
    CHECK(page.body.find("<!doctype html>") == 0);
    for (const char* wrong : {"/", "/?token=", "/?token=00000000000000000000000000000000", "/state"}) {
      const Response refused = browser.get(wrong);
      CHECK(refused.status == 403);
      CHECK(refused.body.find("token") != std::string::npos);
      CHECK(refused.body.find("question") == std::string::npos);
    }
    browser.token = server.token().substr(1);
    CHECK(browser.get("/state").status == 403);

    const std::string answer = R"({"state":1,"answers":[]})";
    for (const std::string host : {"evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.1:80@evil.example", ""}) {
      Client other = good;
      other.host = host;
      CAPTURE(host);
      CHECK(other.get("/state").status >= 400);
      CHECK(other.post("/answer", answer).status >= 400);
    }
    for (const std::string host : {"localhost:9", "127.0.0.1", "[::1]:80"}) {  // as through ssh -L
      Client other = good;
      other.host = host;
      CHECK(other.get("/state").status == 200);
    }
    for (const std::string origin : {"", "null", "http://evil.example", "https://127.0.0.1:1", "http://localhost:1"}) {
      Client other = good;
      other.origin = origin;
      CAPTURE(origin);
      CHECK(other.post("/answer", answer).status == 403);
    }
    Client form = good;  // what a form of another page could send
    form.type = "text/plain";
    CHECK(form.post("/answer", answer).status == 403);
    Client without = good;
    without.token = "";
    CHECK(without.post("/answer?token=" + server.token(), answer).status == 403);
    CHECK_FALSE(server.receive(0).has_value());
  }

  TEST_CASE("the page loads nothing from elsewhere and lets nothing else run") {
    WebServer server(0);
    const Response page = Client{server}.get("/");
    const std::string policy = page.head.substr(page.head.find("Content-Security-Policy: "));
    CHECK(policy.find("default-src 'none'") != std::string::npos);
    CHECK(policy.find("frame-ancestors 'none'") != std::string::npos);
    CHECK(policy.find("unsafe") == std::string::npos);
    CHECK(page.head.find("Referrer-Policy: no-referrer") != std::string::npos);
    CHECK(page.head.find("Cache-Control: no-store") != std::string::npos);
    CHECK(page.body.find("http://") == std::string::npos);
    CHECK(page.body.find("https://") == std::string::npos);
    CHECK(page.body.find("@NONCE@") == std::string::npos);
    const size_t at = policy.find("'nonce-") + 7;
    CHECK(page.body.find("<script nonce=\"" + policy.substr(at, 32) + "\">") != std::string::npos);
    CHECK(Client{server}.get("/").head.find(policy.substr(at, 32)) == std::string::npos);  // another each time
    CHECK(WebServer(0).token() != server.token());
  }

  TEST_CASE("a message to a state that is past is not taken, and gets the state instead") {
    WebServer server(0);
    server.publish({{"status", "ask"}}, [](const Json& body) { return body.contains("answers") ? "" : "no answers"; });
    const Client client{server};
    CHECK(client.post("/answer", R"({"state":0,"answers":[]})").status == 409);
    CHECK(client.post("/answer", R"({"state":1})").status == 400);
    CHECK(client.post("/answer", "[1]").status == 400);
    CHECK(client.post("/answer", "{").status == 400);
    CHECK(client.post("/answer", std::string(100000, ' ')).status == 413);
    CHECK_FALSE(server.receive(0).has_value());
    Response first;
    std::thread browser([&] { first = client.post("/answer", R"({"state":1,"answers":[7]})"); });
    while (!server.receive(0.1)) {
    }
    CHECK(client.post("/answer", R"({"state":1,"answers":[8]})").status == 409);  // a second click, before the first was written down
    CHECK(server.receive(0)->body["answers"][0] == 7);
    server.publish({{"status", "done"}});
    browser.join();
    CHECK(first.status == 200);
    CHECK(Json::parse(first.body)["status"] == "done");  // the answer to an answer is the next state
    CHECK(client.post("/answer", R"({"state":2,"answers":[]})").status == 400);  // nothing is asked now
  }

  TEST_CASE("a quit while nobody waits for it is taken at once") {
    WebServer server(0);
    int quits = 0;
    server.publish({{"status", "wait"}}, nullptr, [&] { ++quits; });
    const Client client{server};
    const Json state = Json::parse(client.post("/quit", R"({"state":1})").body);
    CHECK(quits == 1);
    CHECK(state["status"] == "saved");
    CHECK(client.post("/quit", R"({"state":1})").status == 409);
    CHECK(quits == 1);
    CHECK_FALSE(server.receive(0).has_value());
  }

  TEST_CASE("a session: each answer is on the disk before the next question is sent") {
    Scene scene(5);
    AnswerLog log(scene.record(), scene.session, "ann", "page");
    // The asker prints its address on standard error: take a server of one's own, at a port that was free.
    int port = 0;
    { port = WebServer(0).port(); }
    AskerInput input = scene.input();
    input.port = port;
    std::string said;
    fflush(stderr);
    const int keep = dup(2);
    const std::string errors = scene.folder / "stderr";
    REQUIRE(freopen(errors.c_str(), "w", stderr) != nullptr);
    auto asker = make_asker("page", input);
    fflush(stderr);
    dup2(keep, 2);
    close(keep);
    said = plumb::io::read_file(errors);
    CHECK(said.find("ssh -N -L " + std::to_string(port)) != std::string::npos);
    const std::string token = said.substr(said.find("token=") + 6, 32);

    End end = End::kStopped;
    std::thread session([&] {
      end = ask_all(*scene.questions, *asker, log, 3);
      asker->finish(end == End::kAll, "All answered.");
    });
    const auto lines = [&] {
      const std::string text = plumb::io::read_file(scene.record());
      return std::count(text.begin(), text.end(), '\n');
    };
    const std::string host = "127.0.0.1:" + std::to_string(port);
    const auto post = [&](const std::string& path, const std::string& body) {
      const Response r = send(port, "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nOrigin: http://" + host + "\r\nContent-Type: application/json\r\nX-Plumb-Token: " +
                                        token + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
      return Json::parse(r.body);
    };
    Json state;
    do state = Json::parse(send(port, "GET /state HTTP/1.1\r\nHost: " + host + "\r\nX-Plumb-Token: " + token + "\r\n\r\n").body);
    while (state["status"] != "ask");  // it may not be published yet
    const auto number = [&] { return state["state"].dump(); };
    CHECK(state["questions"].size() == 3);
    CHECK(post("/answer", "{\"state\":" + number() + ",\"answers\":[{\"y\":1}]}").contains("error"));  // one of three
    state = post("/answer", "{\"state\":" + number() + ",\"ms\":1234,\"answers\":[{\"y\":1},{\"y\":-1},{\"y\":null}]}");
    CHECK(state["first"] == 3);
    CHECK(state["undo"] == true);
    CHECK(lines() == 4);
    state = post("/undo", "{\"state\":" + number() + "}");
    CHECK(state["first"] == 0);
    CHECK(lines() == 5);
    state = post("/answer", "{\"state\":" + number() + ",\"answers\":[{\"y\":1},{\"y\":1},{\"y\":1}]}");
    state = post("/answer", "{\"state\":" + number() + ",\"answers\":[{\"y\":-1},{\"y\":0.25}]}");
    CHECK(state["status"] == "done");
    session.join();
    CHECK(end == End::kAll);
    CHECK(standing(log) == std::vector<double>{1, 1, 1, -1, 0.25});
  }
}
