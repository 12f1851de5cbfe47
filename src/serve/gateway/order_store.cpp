#include "serve/gateway/order_store.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxKept = 4096;  // orders

int64_t seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool may_come_with_another_attempt(const OrderState& order) {
  return order.ended() && std::ranges::any_of(order.images, [](const ImageState& image) {
           return image.stage == Stage::kCancelled || (image.stage == Stage::kFailed && image.failure.again);
         });
}

size_t bytes_of(const OrderState& order) {
  size_t bytes = 1024;
  for (const ImageState& image : order.images)
    bytes += (image.file ? image.file->size() : 0) + 2 * image.parameters.size() + 512;
  for (const RequestPtr& request : order.order.images)
    bytes += request->prompt.size() + request->negative_prompt.size() + sizeof *request;
  return bytes;
}

// What is kept of an order that has ended says what they were called.
RequestPtr without_pictures(const ResolvedRequest& request) {
  auto copy = std::make_shared<ResolvedRequest>(request);
  for (std::optional<GivenFile>* file : {&copy->image, &copy->repaint.mask})
    if (*file) *file = GivenFile{{}, nullptr, std::move((*file)->source)};
  for (ResolvedControl& control : copy->controls)
    control.use.image = GivenFile{{}, nullptr, std::move(control.use.image.source)};
  return copy;
}

bool ends_before(const OrderEntry& a, const OrderEntry& b) {
  return a.end != b.end ? a.end < b.end : a.number < b.number;
}

}  // namespace

std::string OrderStore::key_of(const Order& order) { return order.client + "\n" + order.idempotency; }

OrderEntry& OrderStore::add(Order order, size_t picture_bytes, double now) {
  std::string id = random_id(16);
  OrderEntry& entry = entries_[id];
  try {
    if (!order.idempotency.empty()) keys_[key_of(order)] = id;
    entry.number = orders_++;
    if (order.deadline) entry.deadline = now + *order.deadline;
    entry.state.images.resize(order.images.size());
    live_[entry.number] = &entry;
    client_images_[order.client] += static_cast<int>(order.images.size());
  } catch (...) {  // memory is short
    live_.erase(entry.number);
    entries_.erase(id);
    throw;
  }
  live_images_ += static_cast<int>(order.images.size());
  picture_bytes_ += entry.picture_bytes = picture_bytes;
  entry.state.id = std::move(id);
  entry.state.order = std::move(order);
  entry.state.arrival = now;
  entry.state.created = seconds_since_1970();
  return entry;
}

OrderEntry* OrderStore::find(std::string_view id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

const OrderEntry* OrderStore::find(std::string_view id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

OrderEntry* OrderStore::repeated(const Order& order, bool* same) {
  const auto known = order.idempotency.empty() ? keys_.end() : keys_.find(key_of(order));
  if (known == keys_.end()) return nullptr;
  OrderEntry* entry = find(known->second);
  if (!entry || may_come_with_another_attempt(entry->state)) return nullptr;
  *same = entry->state.order.asked == order.asked;
  return entry;
}

std::vector<OrderEntry*> OrderStore::of_client(std::string_view client) {
  std::vector<OrderEntry*> found;
  for (auto& [id, entry] : entries_)
    if (entry.state.order.client == client) found.push_back(&entry);
  std::ranges::sort(found, {}, &OrderEntry::number);
  return found;
}

std::vector<OrderEntry*> OrderStore::live() {
  std::vector<OrderEntry*> live;
  for (const auto& [number, entry] : live_) live.push_back(entry);
  return live;
}

std::vector<OrderEntry*> OrderStore::moved() {
  std::vector<OrderEntry*> line = live(), moved;
  std::ranges::sort(line, [](const OrderEntry* a, const OrderEntry* b) { return ends_before(*a, *b); });
  int position = 0;
  for (OrderEntry* entry : line)
    if (const int now = position++; std::exchange(entry->last_position, now) != now) moved.push_back(entry);
  return moved;
}

void OrderStore::has_ended(OrderEntry& entry, double now) {
  if (!live_.contains(entry.number)) return;
  kept_[orders_] = &entry;
  orders_++;
  live_.erase(entry.number);
  live_images_ -= static_cast<int>(entry.state.images.size());
  const auto images = client_images_.find(entry.state.order.client);
  images->second -= static_cast<int>(entry.state.images.size());
  if (images->second == 0) client_images_.erase(images);
  picture_bytes_ -= entry.picture_bytes;
  if (std::exchange(entry.picture_bytes, 0) > 0)
    for (RequestPtr& request : entry.state.order.images) request = without_pictures(*request);
  entry.ended_at = now;
  entry.state.position = 0;
  entry.kept_bytes = bytes_of(entry.state);
  kept_bytes_ += static_cast<int64_t>(entry.kept_bytes);
}

std::vector<OrderEntry*> OrderStore::untold() {
  std::vector<OrderEntry*> untold;
  for (const auto& [number, entry] : kept_)
    if (!entry->told_end) untold.push_back(entry);
  return untold;
}

void OrderStore::forget(double now) {
  const auto too_much = [&](const OrderEntry& entry) {
    return now - entry.ended_at > kept_seconds_ || kept_bytes_ > max_kept_bytes_ || kept_.size() > kMaxKept;
  };
  for (auto it = kept_.begin(); it != kept_.end() && too_much(*it->second);) {
    OrderEntry& entry = *it->second;
    if (!entry.told_end || !entry.watchers.empty()) {
      ++it;
      continue;
    }
    const auto key = keys_.find(key_of(entry.state.order));
    if (key != keys_.end() && key->second == entry.state.id) keys_.erase(key);
    kept_bytes_ -= static_cast<int64_t>(entry.kept_bytes);
    it = kept_.erase(it);
    entries_.erase(std::string(entry.state.id));
  }
}

void OrderStore::refresh_position(OrderEntry& entry) const {
  const auto before = [&](const auto& live) { return ends_before(*live.second, entry); };
  entry.state.position = live_.contains(entry.number) ? static_cast<int>(std::ranges::count_if(live_, before)) : 0;
}

int OrderStore::live_images(const std::string& client) const {
  const auto images = client_images_.find(client);
  return images == client_images_.end() ? 0 : images->second;
}

size_t OrderStore::picture_bytes(const std::string& client) const {
  size_t bytes = 0;
  for (const auto& [number, entry] : live_)
    if (entry->state.order.client == client) bytes += entry->picture_bytes;
  return bytes;
}

int OrderStore::watchers() const {
  int watchers = 0;
  for (const auto& [id, entry] : entries_) watchers += static_cast<int>(entry.watchers.size());
  return watchers;
}

}  // namespace inkstone::serve
