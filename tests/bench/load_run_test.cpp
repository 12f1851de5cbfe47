// The run against a small server of its own on this machine: every fate that a request may have is told apart.
#include "load/load_run.h"

#include <gtest/gtest.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "base/error.h"
#include "base/image.h"

namespace inkstone {
namespace {

using boost::asio::ip::tcp;

std::string base64(std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  uint32_t bits = 0;
  int held = 0;
  for (const std::byte byte : bytes) {
    bits = bits << 8 | static_cast<uint32_t>(byte);
    for (held += 8; held >= 6;) text += kDigits[bits >> (held -= 6) & 63];
  }
  return held > 0 ? text + kDigits[bits << (6 - held) & 63] : text;
}

std::string image(uint8_t shade) { return base64(encode_png(Image{2, 2, std::vector<uint8_t>(12, shade)})); }

std::string http(const std::string& status, const std::string& body, const std::string& more = "") {
  return "HTTP/1.1 " + status + "\r\n" + more +
         "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Answers so many connections, one after the other, each with what `answer` says to the request's text; an empty answer
// waits until the other side has closed.
class SmallServer {
 public:
  SmallServer(int connections, std::function<std::string(const std::string&)> answer)
      : acceptor_(events_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)),
        thread_([this, connections, answer = std::move(answer)] {
          for (int i = 0; i < connections; ++i) serve(answer);
        }) {}
  ~SmallServer() { thread_.join(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

 private:
  void serve(const std::function<std::string(const std::string&)>& answer) {
    tcp::socket socket = acceptor_.accept();
    std::string text;
    boost::system::error_code error;
    boost::asio::read_until(socket, boost::asio::dynamic_buffer(text), "}", error);  // the end of the body
    const std::string said = answer(text);
    boost::asio::write(socket, boost::asio::buffer(said), error);
    char more[64];
    while (said.empty() && !error) socket.read_some(boost::asio::buffer(more), error);
  }

  boost::asio::io_context events_;
  tcp::acceptor acceptor_;
  std::thread thread_;
};

LoadPlan plan_for(const SmallServer& server, size_t count, bool stream = false) {
  LoadPlan plan;
  plan.target = target_of(server.url(), false);
  plan.wording.stream = stream;
  plan.requests = {LoadRequest{}};
  plan.which.assign(count, 0);
  for (size_t i = 0; i < count; ++i) plan.times.push_back(0.001 * static_cast<double>(i));
  plan.timeout = 20;
  plan.progress_seconds = 0;
  return plan;
}

Record fate_after(const std::string& answer, bool stream = false) {
  const SmallServer server(1, [&](const std::string&) { return answer; });
  HashStore hashes;
  return LoadRun(plan_for(server, 1, stream), hashes).run().at(0);
}

TEST(LoadRun, tells_every_fate_apart) {
  EXPECT_EQ(fate_after(http("200 OK", "{\"image\":\"" + image(1) + "\"}")).fate, Fate::kOk);
  const Record refused = fate_after(http("429 Too Many Requests", "{}", "Retry-After: 2\r\n"));
  EXPECT_EQ(refused.fate, Fate::kRejected);
  EXPECT_EQ(refused.status, 429);
  const Record failed = fate_after(http("500 Oops", "{}"));
  EXPECT_EQ(failed.fate, Fate::kFailed);
  EXPECT_EQ(failed.detail, "500");
  EXPECT_EQ(fate_after(http("200 OK", "{\"image\":\"AAAA\"}")).fate, Fate::kFailed);  // no image
  EXPECT_EQ(fate_after(http("200 OK", "{}")).fate, Fate::kFailed);
  EXPECT_EQ(fate_after("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").fate, Fate::kFailed);
  EXPECT_EQ(fate_after("nonsense").fate, Fate::kFailed);
}

TEST(LoadRun, follows_a_stream_of_events) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
  const Record good = fate_after(head +
                                     "event: queued\ndata: {}\n\nevent: step\ndata: {\"step\":0}\n\nevent: step\ndata: "
                                     "{\"step\":1}\n\nevent: image\ndata: {\"image\":\"" +
                                     image(1) + "\"}\n\nevent: done\ndata: {}\n\n",
                                 true);
  EXPECT_EQ(good.fate, Fate::kOk) << good.detail;
  ASSERT_TRUE(good.first_step);
  EXPECT_LE(*good.first_step, good.total);
  const Record bad = fate_after(head + "event: error\ndata: {\"error\":{\"code\":\"nan_output\"}}\n\n", true);
  EXPECT_EQ(bad.fate, Fate::kFailed);
  EXPECT_EQ(bad.detail, "nan_output");
}

TEST(LoadRun, finds_a_wrong_image) {
  int count = 0;
  const SmallServer server(
      3, [&](const std::string&) { return http("200 OK", "{\"image\":\"" + image(++count == 3 ? 9 : 1) + "\"}"); });
  HashStore hashes;
  LoadPlan plan = plan_for(server, 2);
  plan.verify = true;
  LoadRun run(plan, hashes);
  run.run_solo(0);
  EXPECT_EQ(hashes.size(), 1u);
  const std::vector<Record> records = run.run();
  EXPECT_EQ(records[0].fate, Fate::kOk);
  EXPECT_EQ(records[1].fate, Fate::kWrong);
}

TEST(LoadRun, gives_up_and_times_out_when_it_said) {
  const SmallServer server(2, [](const std::string&) { return ""; });
  HashStore hashes;
  LoadPlan plan = plan_for(server, 1);
  plan.aborts = 1;
  plan.abort_within = 0.05;
  EXPECT_EQ(LoadRun(plan, hashes).run().at(0).fate, Fate::kAborted);
  plan.aborts = 0;
  plan.timeout = 0.05;
  EXPECT_EQ(LoadRun(plan, hashes).run().at(0).fate, Fate::kTimedOut);
}

TEST(LoadRun, does_not_open_more_than_it_may) {
  const SmallServer server(1, [](const std::string&) { return ""; });
  HashStore hashes;
  LoadPlan plan = plan_for(server, 3);
  plan.max_open = 1;
  plan.timeout = 0.2;
  const std::vector<Record> records = LoadRun(plan, hashes).run();
  EXPECT_EQ(records[0].fate, Fate::kTimedOut);
  EXPECT_EQ(records[1].fate, Fate::kNotSent);
  EXPECT_EQ(records[2].fate, Fate::kNotSent);
}

TEST(LoadRun, nobody_there_is_a_failure_that_says_so) {
  LoadPlan plan;
  plan.target = target_of("http://127.0.0.1:1", false);
  plan.requests = {LoadRequest{}};
  plan.times = {0};
  plan.which = {0};
  plan.progress_seconds = 0;
  HashStore hashes;
  const Record record = LoadRun(plan, hashes).run().at(0);
  EXPECT_EQ(record.fate, Fate::kFailed);
  EXPECT_NE(record.detail.find("refused"), std::string::npos) << record.detail;
  EXPECT_THROW(LoadRun(plan, hashes).run_solo(1), Error);
}

}  // namespace
}  // namespace inkstone
