#include "serve/gateway/image_encoder.h"

#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "base/image_file.h"

namespace inkstone::serve {
namespace {

EncodedImage encoded(const EncodingTask& task) {
  const auto begin = std::chrono::steady_clock::now();
  EncodedImage image{task.job, {}, {}, 0};
  try {
    image.file = image_file(task.image, task.format, task.quality, task.parameters);
  } catch (const std::exception& error) {
    image.error = error.what();
  }
  image.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return image;
}

}  // namespace

ImageEncoder::ImageEncoder(boost::asio::io_context& events, int threads, Done done)
    : events_(events), done_(std::make_shared<Done>([this, done = std::move(done)](EncodedImage image) {
        waiting_--;
        done(std::move(image));
      })) {
  for (int i = 0; i < threads; i++) threads_.emplace_back([this] { work(); });
}

ImageEncoder::~ImageEncoder() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  come_.notify_all();
  threads_.clear();
}

void ImageEncoder::encode(EncodingTask task) {
  waiting_++;
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  come_.notify_one();
}

void ImageEncoder::work() {
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
    boost::asio::post(events_, [done, image = encoded(task)]() mutable {
      if (const std::shared_ptr<Done> there = done.lock()) (*there)(std::move(image));
    });
  }
}

}  // namespace inkstone::serve
