#include "serve/http/server.h"

#include "base/error.h"
#include "serve/http/listener.h"

namespace inkstone::http {

struct Server::Impl {
  std::shared_ptr<ServerState> state;
  std::shared_ptr<Listener> listener;
  uint16_t port = 0;
};

Server::Server(boost::asio::io_context& events, Settings settings, Router router) : impl_(std::make_unique<Impl>()) {
  const std::optional<std::string> root = path_prefix(settings.root_path);
  INKSTONE_CHECK_USAGE(root, "--root-path ", settings.root_path,
                       ": must be a path such as /inkstone, of letters, digits, - and _");
  settings.root_path = *root;
  auto acceptor = listen_at(events, settings);
  const auto endpoint = acceptor.local_endpoint();
  impl_->port = endpoint.port();
  impl_->state =
      std::make_shared<ServerState>(events, std::move(settings), std::move(router), endpoint.address().is_loopback());
  impl_->listener = std::make_shared<Listener>(impl_->state, std::move(acceptor));
  impl_->listener->start();
}

Server::~Server() {
  impl_->state->silent = true;
  impl_->listener->stop();
  close();
}

uint16_t Server::port() const { return impl_->port; }

Figures Server::figures() const {
  Figures figures = impl_->state->figures;
  figures.answers.assign(impl_->state->answers.begin(), impl_->state->answers.end());
  return figures;
}

void Server::reload_keys() {
  ServerState& state = *impl_->state;
  if (!state.settings.key_file.empty()) state.keys = Keys::read(state.settings.key_file);
}

void Server::drain() { impl_->state->draining = true; }

void Server::stop_accepting() {
  ServerState& state = *impl_->state;
  impl_->listener->stop();
  state.draining = state.closing = true;
  const std::vector<Connection*> all(state.connections.begin(), state.connections.end());
  for (Connection* connection : all)
    if (connection->standing().resting) connection->shared_from_this()->close();
}

bool Server::idle() const { return impl_->state->figures.exchanges == 0; }

void Server::close() {
  std::vector<std::shared_ptr<Connection>> all;
  for (Connection* connection : impl_->state->connections) all.push_back(connection->shared_from_this());
  for (const auto& connection : all) connection->close();
}

}  // namespace inkstone::http
