// Which connection gives way when there are too many, or when they hold too much. It is one of those
// who take most, so that many unfinished requests shut out only who sends them.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>

#include "serve/http/server_state.h"

namespace inkstone::http {

// How an address is counted: of IPv6 the network of 64 bits, because one host may have all of it.
std::string key_of(const boost::asio::ip::address& address);

// Closes, of the address that holds most places, the connection that has waited longest without an
// admitted request. False if there is none: all have work, or an answer that goes out.
bool evict_one(ServerState& state);
// The same for a body of so many bytes: closes, of the client that keeps most bytes for bodies on
// their way, the one of these that has waited longest. False if no client keeps more than the asker then would.
bool evict_body_for(ServerState& state, const Connection& asker, size_t bytes);
// Closes the slowest readers until what all connections hold is within the budget.
void enforce_budget(ServerState& state);

}  // namespace inkstone::http
