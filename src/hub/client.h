// Speaks with the hub: follows its redirects, keeps the token from other hosts, tells what to try again from what is
// refused for good, and says why.
#pragma once

#include <functional>
#include <string>

#include "hub/access.h"
#include "hub/id.h"
#include "hub/transport.h"

namespace inkstone {

// It may go well another time; what() is the error if no try is left.
class TryAgain : public Error {
 public:
  explicit TryAgain(const std::string& what, double seconds = 0) : Error(what), seconds_(seconds) {}
  double seconds() const { return seconds_; }  // to wait, as the server asks; 0: it does not say

 private:
  double seconds_;
};

// Counts the tries of one thing, and waits between them: 1, 2, 4, 8 seconds, or as long as the server asks.
class Patience {
 public:
  using Pause = std::function<void(const std::string& why, double seconds)>;
  explicit Patience(const Pause& pause) : pause_(pause) {}
  // Throws the failure as an Error if it was one too many, or if the server asks for more than 5 minutes.
  void again(const TryAgain& failure);
  void progressed() { tries_ = 0; }

 private:
  const Pause& pause_;
  int tries_ = 0;
};

class HubClient {
 public:
  // Borrows the transport.
  HubClient(HttpTransport& transport, HubAccess access, HubId id, Patience::Pause pause);

  std::string listing_url() const;
  std::string file_url(const std::string& commit, const std::string& path) const;
  std::string host() const;
  const Patience::Pause& pause() const { return pause_; }

  // A whole document, with patience. Throws Error if it has more bytes.
  std::string text(const std::string& url, size_t most_bytes);

  struct Receiver {
    std::function<void(const HttpAnswer&)> on_hub;    // of each answer of the hub itself, redirects among them
    std::function<void(const HttpAnswer&)> on_begin;  // before the first byte; the status is 200, 206 or 416
    HttpTransport::OnBytes on_bytes;
  };
  // One try to get the bytes from `from` on. Throws TryAgain, or Error for what is refused.
  void fetch(const std::string& url, uint64_t from, const Receiver& receiver);

 private:
  HttpAnswer exchange(const std::string& url, uint64_t from, bool is_hub, const Receiver& receiver);
  std::string next_url(const std::string& url, const HttpAnswer& answer) const;
  [[noreturn]] void refuse(const HttpAnswer& answer, const std::string& url, bool is_hub) const;
  std::string token_advice() const;

  HttpTransport& transport_;
  HubAccess access_;
  HubId id_;
  Patience::Pause pause_;
  bool reached_ = false;  // somebody has answered
};

}  // namespace inkstone
