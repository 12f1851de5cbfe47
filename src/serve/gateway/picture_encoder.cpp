#include "serve/gateway/picture_encoder.h"

#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "serve/picture_file.h"

namespace inkstone {
namespace {

EncodedPicture encoded(const EncodingTask& task) {
  const auto begin = std::chrono::steady_clock::now();
  EncodedPicture picture{task.job, {}, {}, 0};
  try {
    picture.file = picture_file(task.image, task.format, task.quality, task.parameters);
  } catch (const std::exception& error) {
    picture.error = error.what();
  }
  picture.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return picture;
}

}  // namespace

PictureEncoder::PictureEncoder(boost::asio::io_context& events, int threads, Done done)
    : events_(events), done_(std::make_shared<Done>([this, done = std::move(done)](EncodedPicture picture) {
        waiting_--;
        done(std::move(picture));
      })) {
  for (int i = 0; i < threads; i++) threads_.emplace_back([this] { work(); });
}

PictureEncoder::~PictureEncoder() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  come_.notify_all();
  threads_.clear();
}

void PictureEncoder::encode(EncodingTask task) {
  waiting_++;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  come_.notify_one();
}

void PictureEncoder::work() {
  const std::weak_ptr<Done> done = done_;
  while (true) {
    EncodingTask task;
    {
      std::unique_lock lock(mutex_);
      come_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
      if (stop_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    boost::asio::post(events_, [done, picture = encoded(task)]() mutable {
      if (const std::shared_ptr<Done> there = done.lock()) (*there)(std::move(picture));
    });
  }
}

}  // namespace inkstone
