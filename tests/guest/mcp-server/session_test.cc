#include "guest/mcp-server/session.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace capsem::guest::mcp_server {
namespace {

using nlohmann::json;

json ask(Session& session, const std::string& line) {
  auto answer = session.handle(line);
  return answer ? json::parse(*answer) : json("silence");
}

json initialize(Session& session, const std::string& version) {
  return ask(session, json{{"jsonrpc", "2.0"},
                           {"id", 1},
                           {"method", "initialize"},
                           {"params", {{"protocolVersion", version}}}}
                          .dump());
}

Session begun(const std::string& version = "2025-06-18") {
  Session session;
  initialize(session, version);
  return session;
}

int error_code(const json& answer) {
  return answer.is_object() && answer.contains("error") ? answer["error"]["code"].get<int>() : 0;
}

TEST(Session, InitializesAndSaysThatThereAreNoTools) {
  Session session;
  auto answer = initialize(session, "2025-06-18");
  EXPECT_EQ(answer["id"], 1);
  EXPECT_EQ(answer["result"]["protocolVersion"], "2025-06-18");
  EXPECT_EQ(answer["result"]["serverInfo"]["name"], "capsem-mcp-server");
  EXPECT_NE(answer["result"]["instructions"].get<std::string>().find("offers no tools"),
            std::string::npos);
}

TEST(Session, NegotiatesOlderRevisionsAndOffersTheNewestForOthers) {
  for (auto [asked, got] :
       {std::pair("2025-03-26", "2025-03-26"), std::pair("2024-11-05", "2024-11-05"),
        std::pair("2199-01-01", "2025-06-18"), std::pair("", "2025-06-18")}) {
    Session session;
    EXPECT_EQ(initialize(session, asked)["result"]["protocolVersion"], got) << asked;
  }
}

TEST(Session, ListsNoTools) {
  auto session = begun();
  auto answer = ask(session, R"({"jsonrpc":"2.0","id":"a","method":"tools/list"})");
  EXPECT_EQ(answer, json::parse(R"({"jsonrpc":"2.0","id":"a","result":{"tools":[]}})"));
}

TEST(Session, AnswersPingBeforeAndAfterInitialize) {
  Session session;
  const std::string ping = R"({"jsonrpc":"2.0","id":7,"method":"ping"})";
  EXPECT_EQ(ask(session, ping)["result"], json::object());
  initialize(session, "2025-06-18");
  EXPECT_EQ(ask(session, ping)["result"], json::object());
}

TEST(Session, WantsInitializeFirst) {
  Session session;
  EXPECT_EQ(error_code(ask(session, R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})")), -32600);
}

TEST(Session, CallingAToolNamesWhatIsMissing) {
  auto session = begun();
  auto answer =
      ask(session, R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch"}})");
  EXPECT_EQ(error_code(answer), -32602);
  EXPECT_EQ(answer["error"]["message"],
            "there is no tool \"fetch\": this VM's host offers no tools");
}

TEST(Session, IsSilentOnNotificationsAndResponses) {
  auto session = begun();
  for (const char* line :
       {R"({"jsonrpc":"2.0","method":"notifications/initialized"})",
        R"({"jsonrpc":"2.0","method":"no/such/notification","params":[1]})",
        R"({"jsonrpc":"2.0","id":1,"result":{}})",
        R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}})", "", " \r"})
    EXPECT_EQ(ask(session, line), "silence") << line;
}

struct Refusal {
  const char* line;
  int code;
  json id;
};

TEST(Session, RefusesWithTheCodeOfJsonRpc) {
  auto session = begun();
  for (const auto& [line, code, id] : {
           Refusal{"{", -32700, nullptr},
           Refusal{"\xff", -32700, nullptr},
           Refusal{"1", -32600, nullptr},
           Refusal{R"({"id":1,"method":"ping"})", -32600, 1},
           Refusal{R"({"jsonrpc":"1.0","id":1,"method":"ping"})", -32600, 1},
           Refusal{R"({"jsonrpc":"2.0","id":1,"method":5})", -32600, 1},
           Refusal{R"({"jsonrpc":"2.0","id":null,"method":"ping"})", -32600, nullptr},
           Refusal{R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})", -32600, nullptr},
           Refusal{R"({"jsonrpc":"2.0","id":[1],"method":"ping"})", -32600, nullptr},
           Refusal{R"({"jsonrpc":"2.0","id":1,"method":"ping","params":[]})", -32602, 1},
           Refusal{R"({"jsonrpc":"2.0","id":1,"method":"initialize"})", -32602, 1},
           Refusal{R"({"jsonrpc":"2.0","id":1,"method":"tools/call"})", -32602, 1},
           Refusal{R"({"jsonrpc":"2.0","id":"x","method":"resources/list"})", -32601, "x"},
       }) {
    auto answer = ask(session, line);
    EXPECT_EQ(error_code(answer), code) << line;
    EXPECT_EQ(answer["id"], id) << line;
    EXPECT_EQ(answer["jsonrpc"], "2.0") << line;
  }
}

TEST(Session, AnswersBatchesOnlyInRevisionsThatHaveThem) {
  const std::string batch =
      R"([{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":2,"method":"ping"}])";
  auto older = begun("2025-03-26");
  EXPECT_EQ(ask(older, batch).size(), 2u);
  EXPECT_EQ(ask(older, R"([{"jsonrpc":"2.0","method":"n"}])"), "silence");
  EXPECT_EQ(error_code(ask(older, "[]")), -32600);
  auto newer = begun("2025-06-18");
  EXPECT_EQ(error_code(ask(newer, batch)), -32600);
}

TEST(Session, SurvivesDeepNesting) {
  auto session = begun();
  EXPECT_EQ(error_code(ask(session, std::string(500000, '['))), -32700);
  auto deep = std::string(200000, '[') + std::string(200000, ']');
  EXPECT_EQ(
      error_code(ask(session, R"({"jsonrpc":"2.0","id":1,"method":"ping","params":)" + deep + "}")),
      -32602);
}

}  // namespace
}  // namespace capsem::guest::mcp_server
