#include "serve/api/order_listener.h"

#include "serve/api/fault.h"

namespace inkstone::serve {

void OrderListener::start(const OrderState& order) {
  const std::shared_ptr<OrderListener> keep = shared_from_this();
  self_ = keep;
  if (order.ended()) {
    self_.reset();
    guarded(order, [&] {
      begun(order);
      finished(order);
    });
    return;
  }
  service_.watch(order, *this);
  exchange_->on_gone([weak = weak_from_this(), &order] {
    const auto listener = weak.lock();
    if (listener && listener->self_) listener->stop_watching(order);
  });
  if (self_) guarded(order, [&] { begun(order); });
}

void OrderListener::changed(const OrderState& order, size_t image) {
  const std::shared_ptr<OrderListener> keep = shared_from_this();
  if (!self_) return;
  if (!order.ended()) return guarded(order, [&] { progressed(order, image); });
  stop_watching(order);
  guarded(order, [&] { finished(order); });
}

void OrderListener::guarded(const OrderState& order, const std::function<void()>& body) {
  try {
    body();
  } catch (...) {
    if (self_) stop_watching(order);
    // Without memory even this may fail. The exchange is then dropped, and its client is told by that.
    try {
      broken();
    } catch (const std::exception&) {
      exchange_.reset();
    }
  }
}

void OrderListener::stop_watching(const OrderState& order) {
  service_.unwatch(order, *this);
  self_.reset();
}

namespace {

class Answer : public OrderListener {
 public:
  Answer(ImageService& service, const http::ExchangePtr& exchange, http::ErrorShape errors,
         std::function<http::Reply(const OrderState&)> answer)
      : OrderListener(service, exchange), errors_(errors), answer_(std::move(answer)) {}

 protected:
  void finished(const OrderState& order) override { exchange().reply(answer_(order)); }
  void broken() override { exchange().reply(reply_of_exception(errors_, exchange().request().id)); }

 private:
  http::ErrorShape errors_;
  std::function<http::Reply(const OrderState&)> answer_;
};

}  // namespace

void answer_when_ended(ImageService& service, const http::ExchangePtr& exchange, const OrderState& order,
                       http::ErrorShape errors, std::function<http::Reply(const OrderState&)> answer) {
  std::make_shared<Answer>(service, exchange, errors, std::move(answer))->start(order);
}

}  // namespace inkstone::serve
