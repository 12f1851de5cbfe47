// What the head of a request decides, before its body is read: who asks, which route takes it, and
// whether the body is wanted.
#pragma once

#include <optional>

#include "serve/http/alarm.h"
#include "serve/http/request_reader.h"
#include "serve/http/request_record.h"
#include "serve/http/server_state.h"

namespace inkstone::http {

struct Admission {
  const Route* route = nullptr;  // that takes the request; if there is none, `reply` answers it
  std::optional<Reply> reply{};
  // A wrong key: the request is refused after this. Zero: it goes on.
  Clock::duration delay{};
  // The client sends the body after "100 Continue".
  bool awaits_continue = false;
};

class RequestAdmission {
 public:
  // The reader is just behind the head. What becomes known of the request is written to its record.
  RequestAdmission(ServerState& state, RequestReader& reader, RequestRecord& record)
      : state_(state), reader_(reader), request_(reader.request()), record_(record) {}
  // Throws Refusal. To be called once.
  Admission admit(const Peer& peer);

 private:
  void learn_client(const Peer& peer);
  void check_names();
  Router::Match match_route();
  Clock::duration delay_of_client(const Route& route);
  bool admit_body(const Route& route);
  Reply answer_without_route(const Router::Match& match) const;

  ServerState& state_;
  RequestReader& reader_;
  Request& request_;
  RequestRecord& record_;
  Forwarded forwarded_;  // by a trusted proxy
};

}  // namespace inkstone::http
