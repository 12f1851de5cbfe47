// All orders that are known: those that run, and ended ones until they are forgotten. It gives ids
// that nobody can guess, finds a repeated order by its idempotency key, and bounds what it keeps.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "serve/jobs/image_service.h"

namespace inkstone::serve {

struct OrderEntry {
  OrderState state;
  std::vector<JobId> jobs;  // of its images
  std::vector<OrderWatcher*> watchers;
  int64_t number = 0;   // of arrival
  double deadline = 0;  // on the service's clock; 0: none
  // When it will have ended, as predicted on the service's clock; without a worker never.
  double end = std::numeric_limits<double>::infinity();
  double ended_at = 0;
  size_t kept_bytes = 0;     // once it has ended
  size_t picture_bytes = 0;  // of the files that its images share, until it has ended
  int last_position = 0;     // as moved() saw it
  bool told_end = false;
};

class OrderStore {
 public:
  OrderStore(double kept_seconds, int64_t max_kept_bytes)
      : kept_seconds_(kept_seconds), max_kept_bytes_(max_kept_bytes) {}

  // `picture_bytes`: of the files in its requests.
  OrderEntry& add(Order order, size_t picture_bytes, double now);
  OrderEntry* find(std::string_view id);
  const OrderEntry* find(std::string_view id) const;
  // The order that its key stands for; `*same`: it asks for the same. One that ended without its
  // images, where another attempt may bring them, stands for nothing.
  OrderEntry* repeated(const Order& order, bool* same);
  std::vector<OrderEntry*> of_client(std::string_view client);
  std::vector<OrderEntry*> live();  // by arrival
  // Those whose position is another than at the last call.
  std::vector<OrderEntry*> moved();

  std::vector<OrderEntry*> untold();  // they have ended, and nobody was told
  void has_ended(OrderEntry& entry, double now);
  // The oldest that have ended: kept long enough, or too many bytes.
  void forget(double now);
  // How many will have ended before it, or came before, where that is not known.
  void refresh_position(OrderEntry& entry) const;

  int live_orders() const { return static_cast<int>(live_.size()); }
  // Admitted, in orders that have not ended.
  int live_images() const { return live_images_; }
  int live_images(const std::string& client) const;
  // Of their pictures.
  size_t picture_bytes() const { return picture_bytes_; }
  size_t picture_bytes(const std::string& client) const;
  int watchers() const;
  int64_t kept_bytes() const { return kept_bytes_; }

 private:
  static std::string key_of(const Order& order);

  double kept_seconds_;
  int64_t max_kept_bytes_, kept_bytes_ = 0, orders_ = 0;
  int live_images_ = 0;
  size_t picture_bytes_ = 0;
  std::map<std::string, OrderEntry, std::less<>> entries_;  // by id
  std::map<int64_t, OrderEntry*> live_, kept_;              // by arrival, by end
  std::map<std::string, std::string> keys_;                 // client and key -> id
  std::map<std::string, int> client_images_;                // live, by client
};

}  // namespace inkstone::serve
