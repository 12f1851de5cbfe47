#include "serve/scheduling/client_shares.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

namespace inkstone::serve {

void ClientShares::joined(const JobEntry& entry) {
  Lane& lane = lanes_[key_of(entry)];
  Account& account = lane.accounts[entry.job.client];
  jobs_[entry.job.client]++;  // the last that may throw
  if (account.jobs++ > 0) return;
  account.used = std::max(account.used, lane.clock);
  lane.clients++;
}

void ClientShares::ran(const JobEntry& entry, double seconds) {
  Lane& lane = lanes_.at(key_of(entry));
  lane.clock += seconds / lane.clients;
}

void ClientShares::left(const JobEntry& entry) {
  if (const auto client = jobs_.find(entry.job.client); --client->second == 0) jobs_.erase(client);
  const auto found = lanes_.find(key_of(entry));
  Lane& lane = found->second;
  Account& account = lane.accounts.at(entry.job.client);
  account.used += entry.seconds;
  if (--account.jobs > 0) return;
  if (--lane.clients == 0) return void(lanes_.erase(found));
  std::erase_if(lane.accounts, [&](const auto& a) { return a.second.jobs == 0 && a.second.used <= lane.clock; });
}

double ClientShares::used(const JobEntry& entry) const {
  const auto lane = lanes_.find(key_of(entry));
  if (lane == lanes_.end()) return 0;
  const auto account = lane->second.accounts.find(entry.job.client);
  if (account == lane->second.accounts.end()) return lane->second.clock;
  const Account& its = account->second;
  return its.jobs > 0 ? its.used : std::max(its.used, lane->second.clock);
}

std::vector<ClientShares::Placed> ClientShares::turns(std::vector<const JobEntry*> lane,
                                                      const SecondsLeft& left) const {
  struct Client {
    double had = 0;     // in all
    double before = 0;  // what its earlier jobs still need
    double last = 0;    // where its last job begins
  };
  struct Begin {
    const JobEntry* entry;
    double at;
    bool leads;
  };
  std::ranges::sort(lane, [](const JobEntry* a, const JobEntry* b) {
    return a->job.arrival != b->job.arrival ? a->job.arrival < b->job.arrival : a->job.id < b->job.id;
  });
  std::unordered_map<std::string_view, Client> clients;
  for (const JobEntry* entry : lane) {
    const auto [client, is_new] = clients.try_emplace(entry->job.client);
    if (is_new) client->second.had = used(*entry);
    client->second.had += entry->seconds;
  }
  std::vector<Begin> begins;
  std::vector<double> ranks;
  for (const JobEntry* entry : lane) {
    Client& client = clients.at(entry->job.client);
    const bool leads = client.before == 0;
    const double at = client.had - entry->seconds + client.before;
    client.last = leads ? at : std::max(client.last, at);
    client.before += left(*entry);
    begins.push_back({entry, client.last, leads});
    ranks.push_back(entry->turn.rank);
  }
  std::ranges::sort(ranks);
  std::ranges::stable_sort(begins, {}, &Begin::at);
  std::vector<Placed> placed;
  for (size_t i = 0; i < begins.size(); i++)
    placed.push_back({begins[i].entry, {ranks[i], static_cast<int>(i), begins[i].leads}});
  return placed;
}

std::vector<double> bucket_weights(size_t buckets, std::span<const JobEntry* const> jobs) {
  std::vector<double> weights(buckets);
  std::map<std::string_view, std::set<size_t>> by_client;
  for (const JobEntry* entry : jobs) by_client[entry->job.client].insert(entry->bucket);
  for (const auto& [client, its] : by_client)
    for (const size_t bucket : its) weights[bucket] += 1 / static_cast<double>(its.size());
  return weights;
}

}  // namespace inkstone::serve
