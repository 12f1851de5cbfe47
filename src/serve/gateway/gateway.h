// The image service: it turns orders into jobs, gives jobs to workers, watches and replaces
// workers, and returns images.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serve/jobs/image_service.h"
#include "serve/jobs/settings.h"

namespace inkstone::serve {

// How to start a worker for a device: the program and its arguments; its end of the socket pair is
// descriptor 3.
using WorkerProgram = std::function<std::vector<std::string>(const std::string& device)>;

class Gateway : public ImageService {
 public:
  // Starts the workers when the event loop runs.
  Gateway(boost::asio::io_context& events, ServeSettings settings, WorkerProgram program);
  ~Gateway() override;

  SubmitResult submit(Order order) override;
  const OrderState* find(std::string_view id, std::string_view client) override;
  std::vector<const OrderState*> orders_of(std::string_view client) override;
  void watch(const OrderState& order, OrderWatcher& watcher) override;
  void unwatch(const OrderState& order, OrderWatcher& watcher) override;
  bool cancel(const OrderState& order) override;
  bool cut_short(const OrderState& order) override;
  const std::vector<ServedModel>& models() const override;
  const std::vector<AdapterName>* adapters() const override;
  void rescan(std::function<void()> done) override;
  ServiceFigures figures() const override;
  double now() const override;

  void on_ready(std::function<void()> ready);  // when the first worker is
  // Nothing is admitted any more; told when all orders have ended.
  void drain(std::function<void()> drained);
  // One after the other, each when its successor is ready (SIGHUP).
  void replace_workers();
  // What is left fails with "shutting_down"; workers are killed.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inkstone::serve
