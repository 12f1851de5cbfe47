#include "serve/http/outbox.h"

#include <algorithm>
#include <utility>

namespace inkstone::http {

void Outbox::push(std::string bytes) {
  constexpr size_t kGathered = 4096;
  if (bytes.empty()) return;
  const size_t size = bytes.size();
  if (first_ < pieces_.size() && !pieces_.back().shared && pieces_.back().own.size() + size <= kGathered)
    pieces_.back().own += bytes;
  else
    pieces_.push_back({std::move(bytes), nullptr});
  grow(size);
}

void Outbox::push(std::shared_ptr<const std::string> bytes) {
  if (!bytes || bytes->empty()) return;
  const size_t size = bytes->size();
  pieces_.push_back({"", std::move(bytes)});
  grow(size);
}

void Outbox::grow(size_t bytes) {
  size_ += bytes;
  budget_.add_unsent(bytes);
}

std::array<boost::asio::const_buffer, 8> Outbox::front() const {
  std::array<boost::asio::const_buffer, 8> buffers;
  const size_t count = std::min(buffers.size(), pieces_.size() - first_);
  for (size_t i = 0; i < count; ++i) buffers[i] = boost::asio::buffer(pieces_[first_ + i].text());
  if (count) buffers[0] += offset_;
  return buffers;
}

void Outbox::consume(size_t bytes) {
  size_ -= bytes;
  budget_.remove_unsent(bytes);
  if (size_ == 0) return clear();
  offset_ += bytes;
  while (offset_ >= pieces_[first_].text().size()) {
    offset_ -= pieces_[first_].text().size();
    std::string().swap(pieces_[first_].own);  // an assignment would keep its memory
    pieces_[first_++].shared.reset();
  }
  if (first_ > 64 && first_ > pieces_.size() / 2) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void Outbox::clear() {
  budget_.remove_unsent(size_);
  pieces_ = {};
  first_ = offset_ = size_ = 0;
}

}  // namespace inkstone::http
