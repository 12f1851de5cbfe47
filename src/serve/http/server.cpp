#include "serve/http/server.h"

#include "serve/http/listener.h"

namespace inkstone {

struct HttpServer::Impl {
  std::shared_ptr<Hall> hall;
  std::shared_ptr<Listener> listener;
  uint16_t port = 0;
};

HttpServer::HttpServer(boost::asio::io_context& events, HttpSettings settings, Router router)
    : impl_(std::make_unique<Impl>()) {
  auto acceptor = listen_at(events, settings);
  const auto place = acceptor.local_endpoint();
  impl_->port = place.port();
  impl_->hall = std::make_shared<Hall>(events, std::move(settings), std::move(router), place.address().is_loopback());
  impl_->listener = std::make_shared<Listener>(impl_->hall, std::move(acceptor));
  impl_->listener->start();
}

HttpServer::~HttpServer() {
  impl_->hall->silent = true;
  impl_->listener->stop();
  close();
}

uint16_t HttpServer::port() const { return impl_->port; }

HttpFigures HttpServer::figures() const {
  HttpFigures figures = impl_->hall->figures;
  figures.answers.assign(impl_->hall->answers.begin(), impl_->hall->answers.end());
  return figures;
}

void HttpServer::reload_keys() {
  Hall& hall = *impl_->hall;
  if (!hall.settings.key_file.empty()) hall.keys = Keys::read(hall.settings.key_file);
}

void HttpServer::drain() { impl_->hall->draining = true; }

void HttpServer::stop_accepting() {
  Hall& hall = *impl_->hall;
  impl_->listener->stop();
  hall.draining = hall.leaving = true;
  const std::vector<Connection*> all(hall.connections.begin(), hall.connections.end());
  for (Connection* connection : all)
    if (connection->resting()) connection->shared_from_this()->close();
}

bool HttpServer::idle() const { return impl_->hall->figures.exchanges == 0; }

void HttpServer::close() {
  std::vector<std::shared_ptr<Connection>> all;
  for (Connection* connection : impl_->hall->connections) all.push_back(connection->shared_from_this());
  for (const auto& connection : all) connection->close();
}

}  // namespace inkstone
