#include "serve/gateway/image_encoder.h"

#include <boost/asio/post.hpp>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include "base/image_file.h"

namespace inkstone::serve {
namespace {

constexpr std::chrono::milliseconds kUntilMemory{10};  // until the next attempt

EncodedImage encoded(const EncodingTask& task) {
  const auto begin = std::chrono::steady_clock::now();
  EncodedImage image{task.job, {}, {}, 0};
  try {
    image.file = image_file(task.image, task.format, task.quality, task.parameters);
  } catch (const std::bad_alloc&) {
    image.error = "no memory";
  } catch (const std::exception& error) {
    image.error = std::string(error.what()).substr(0, 200);
  }
  image.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return image;
}

}  // namespace

ImageEncoder::ImageEncoder(boost::asio::io_context& events, int threads, Done done)
    : events_(events), done_(std::move(done)) {
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
  std::list<Item> given;
  given.push_back({std::move(task)});
  waiting_++;
  {
    const std::lock_guard lock(mutex_);
    tasks_.splice(tasks_.end(), given);
  }
  come_.notify_one();
}

void ImageEncoder::work() {
  while (true) {
    std::list<Item> item;
    {
      std::unique_lock lock(mutex_);
      come_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
      if (stop_) return;
      item.splice(item.end(), tasks_, tasks_.begin());
    }
    item.front().image = encoded(item.front().task);
    announce(std::move(item));
  }
}

void ImageEncoder::announce(std::list<Item> made) {
  std::unique_lock lock(mutex_);
  made_.splice(made_.end(), made);
  while (!stop_) {
    try {
      boost::asio::post(events_, [this, there = std::weak_ptr(alive_)] {
        if (!there.expired()) collect();
      });
      return;
    } catch (const std::bad_alloc&) {  // the event loop must be told, some time
      come_.wait_for(lock, kUntilMemory);
    }
  }
}

void ImageEncoder::collect() {
  std::list<Item> made;
  {
    const std::lock_guard lock(mutex_);
    made.swap(made_);
  }
  waiting_ -= static_cast<int>(made.size());
  for (Item& item : made) done_(std::move(item.image));
}

}  // namespace inkstone::serve
