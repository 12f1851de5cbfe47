#include "serve/http/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace inkstone::http {

Client::Client(uint16_t port, int receive_buffer, uint8_t from)
    : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(port);
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in own = place;
  own.sin_port = 0;
  own.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffu) | from);
  if (from != 1) bind(socket_, reinterpret_cast<sockaddr*>(&own), sizeof own);
  if (receive_buffer) setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&place), sizeof place) != 0) close(std::exchange(socket_, -1));
}

Client::Client(Client&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), limit_(other.limit_), received_(std::move(other.received_)) {}

Client::~Client() {
  if (socket_ >= 0) close(socket_);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd ready{socket_, POLLOUT, 0};
    if (socket_ < 0 || poll(&ready, 1, static_cast<int>(limit_ * 1000)) != 1) return false;
    const ssize_t size = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN) return false;
    if (size > 0) bytes.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

bool Client::receive_more() {
  pollfd ready{socket_, POLLIN, 0};
  if (socket_ < 0 || poll(&ready, 1, static_cast<int>(limit_ * 1000)) != 1) return false;
  std::array<char, 65536> buffer;
  const ssize_t size = recv(socket_, buffer.data(), buffer.size(), 0);
  if (size > 0) received_.append(buffer.data(), static_cast<size_t>(size));
  return size > 0;
}

bool Client::receive_until(std::string_view text) {
  while (received_.find(text) == received_.npos)
    if (!receive_more()) return false;
  return true;
}

std::string Client::receive_all() {
  while (receive_more())
    ;
  return std::exchange(received_, std::string());
}

bool Client::closed() {
  while (receive_more())
    ;
  char byte;
  return recv(socket_, &byte, 1, MSG_DONTWAIT) == 0 || errno != EAGAIN;
}

std::string Client::line() {
  if (!receive_until("\r\n")) return "";
  const size_t end = received_.find("\r\n");
  const std::string line = received_.substr(0, end);
  received_.erase(0, end + 2);
  return line;
}

Answer Client::answer(bool head_only) {
  Answer answer;
  const std::string first = line();
  if (!first.starts_with("HTTP/1.1 ")) return answer;
  answer.status = std::stoi(first.substr(9));
  for (std::string header = line(); !header.empty(); header = line()) {
    const size_t colon = header.find(": ");
    for (size_t i = 0; i < colon; ++i) header[i] = static_cast<char>(std::tolower(header[i]));
    answer.headers[header.substr(0, colon)] = header.substr(colon + 2);
  }
  if (head_only || answer.status < 200 || answer.status == 204) return answer;
  if (answer.headers.contains("transfer-encoding")) {
    for (size_t size = 1; size > 0;) {
      size = std::stoul("0" + line(), nullptr, 16);
      while (received_.size() < size + 2 && receive_more())
        ;
      answer.body += received_.substr(0, size);
      received_.erase(0, size + 2);
    }
  } else if (answer.headers.contains("content-length")) {
    const size_t size = std::stoul(answer.headers["content-length"]);
    while (received_.size() < size && receive_more())
      ;
    answer.body = received_.substr(0, size);
    received_.erase(0, size);
  } else {
    answer.body = receive_all();
  }
  return answer;
}

void Client::half_close() { shutdown(socket_, SHUT_WR); }

void Client::reset() {
  const linger now{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(std::exchange(socket_, -1));
}

std::string get(std::string_view path, std::string_view more_headers) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(more_headers) + "\r\n";
}

std::string post(std::string_view path, std::string_view body, std::string_view more_headers) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(more_headers) + "\r\n" + std::string(body);
}

}  // namespace inkstone::http
