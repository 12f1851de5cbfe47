#include "serve/http/eviction.h"

#include <algorithm>
#include <unordered_map>

#include "serve/http/connection.h"
#include "serve/support/log.h"

namespace inkstone::http {
namespace {

using serve::log_line;
using serve::LogLevel;

bool before(const Standing& a, const Standing& b) {
  return a.places_of_address != b.places_of_address ? a.places_of_address > b.places_of_address
                                                    : a.waiting_since < b.waiting_since;
}

// A reader of fewer bytes a second, then the one whose answer waits longer.
bool slower(const Standing& a, const Standing& b) {
  return a.pace.rate != b.pace.rate ? a.pace.rate < b.pace.rate : a.pace.since < b.pace.since;
}

// The first in this order, of the connections that are asked for; null if there is none.
Connection* first_of(const ServerState& state, bool (*asked)(const Standing&),
                     bool (*earlier)(const Standing&, const Standing&)) {
  Connection* first = nullptr;
  Standing its;
  for (Connection* connection : state.connections) {
    const Standing standing = connection->standing();
    if (!asked(standing) || (first && !earlier(standing, its))) continue;
    first = connection;
    its = standing;
  }
  return first;
}

}  // namespace

std::string key_of(const boost::asio::ip::address& address) {
  if (!address.is_v6() || address.is_loopback()) return address.to_string();
  const boost::asio::ip::address_v6 six = address.to_v6();
  if (six.is_v4_mapped()) return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, six).to_string();
  boost::asio::ip::address_v6::bytes_type bytes = six.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return boost::asio::ip::address_v6(bytes, six.scope_id()).to_string() + "/64";
}

bool evict_one(ServerState& state) {
  Connection* first = first_of(
      state, [](const Standing& one) { return one.evictable; }, before);
  if (!first) return false;
  ++state.figures.turned_away;
  first->shared_from_this()->close();
  return true;
}

bool evict_body_for(ServerState& state, const Connection& asker, size_t bytes) {
  struct Kept {
    size_t bytes = 0;
    Connection* oldest = nullptr;
  };
  std::unordered_map<std::string, Kept> kept;  // by client
  for (Connection* connection : state.connections) {
    const Standing standing = connection->standing();
    if (standing.body == 0 || connection == &asker) continue;
    Kept& its = kept[*standing.client];
    its.bytes += standing.body;
    if (!its.oldest || standing.waiting_since < its.oldest->standing().waiting_since) its.oldest = connection;
  }
  const size_t own = kept[*asker.standing().client].bytes + bytes;
  const auto most = std::ranges::max_element(kept, {}, [](const auto& entry) { return entry.second.bytes; });
  if (most->second.bytes <= own) return false;
  ++state.figures.turned_away;
  most->second.oldest->shared_from_this()->close();
  return true;
}

void enforce_budget(ServerState& state) {
  while (state.memory.exceeded()) {
    Connection* slowest = first_of(
        state, [](const Standing& one) { return one.unread > 0; }, slower);
    if (!slowest) return;
    ++state.figures.timed_out;
    log_line(LogLevel::kWarning, "slow reader", {{"unsent", slowest->standing().unread}, {"reason", "memory"}});
    slowest->shared_from_this()->close();
  }
}

}  // namespace inkstone::http
