// An exchange that waits for its order. Watches from start() until the order has ended or the
// client is gone, and keeps itself alive for so long. Whatever throws in it ends the exchange with
// an error.
#pragma once

#include <functional>
#include <memory>

#include "serve/http/http.h"
#include "serve/jobs/image_service.h"

namespace inkstone::serve {

class OrderListener : public OrderWatcher, public std::enable_shared_from_this<OrderListener> {
 public:
  OrderListener(ImageService& service, http::ExchangePtr exchange)
      : service_(service), exchange_(std::move(exchange)) {}
  // Of a listener that a shared_ptr owns.
  void start(const OrderState& order);
  void changed(const OrderState& order, size_t image) final;

 protected:
  virtual void begun(const OrderState&) {}
  virtual void progressed(const OrderState&, size_t /*image*/) {}  // not after the order's end
  // Once, also where it had ended before start().
  virtual void finished(const OrderState& order) = 0;
  // In a catch block: say so to the client.
  virtual void broken() = 0;
  http::Exchange& exchange() { return *exchange_; }
  ImageService& service() { return service_; }

 private:
  void guarded(const OrderState& order, const std::function<void()>& body);
  void stop_watching(const OrderState& order);

  ImageService& service_;
  http::ExchangePtr exchange_;
  std::shared_ptr<OrderListener> self_;  // while it watches
};

// One answer when the order has ended. What `answer` throws is answered in `errors`' shape.
void answer_when_ended(ImageService& service, const http::ExchangePtr& exchange, const OrderState& order,
                       http::ErrorShape errors, std::function<http::Reply(const OrderState&)> answer);

}  // namespace inkstone::serve
