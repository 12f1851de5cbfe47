// Encodes pixels as files on threads of its own, so that the event thread never waits. Tasks go in
// and results come out on the event thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/image.h"
#include "serve/jobs/order.h"

namespace inkstone::serve {

struct EncodingTask {
  JobId job = 0;
  Image image;
  ImageFormat format = ImageFormat::kPng;
  int quality = 95;
  std::string parameters;  // for the file's text chunk
};

struct EncodedImage {
  JobId job = 0;
  std::string file;
  std::string error;  // in place of a file
  double seconds = 0;
};

class ImageEncoder {
 public:
  // On the event thread; not after this has gone.
  using Done = std::function<void(EncodedImage)>;
  ImageEncoder(boost::asio::io_context& events, int threads, Done done);
  // Waits for what the threads do just now.
  ~ImageEncoder();
  ImageEncoder(const ImageEncoder&) = delete;
  ImageEncoder& operator=(const ImageEncoder&) = delete;

  // Throws where memory is short: then nothing was given.
  void encode(EncodingTask task);
  int waiting() const { return waiting_; }  // given and not come back

 private:
  struct Item {
    EncodingTask task;
    EncodedImage image{};
  };

  void work();
  void announce(std::list<Item> made);
  void collect();  // on the event thread

  boost::asio::io_context& events_;
  const Done done_;
  int waiting_ = 0;
  std::mutex mutex_;
  std::condition_variable come_;
  // Under the mutex, as is stop_. An image stays in its place from its order to its delivery, so
  // that the threads allocate nothing but files.
  std::list<Item> tasks_, made_;
  bool stop_ = false;
  // What waits in the event loop asks for it.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<std::jthread> threads_;
};

}  // namespace inkstone::serve
