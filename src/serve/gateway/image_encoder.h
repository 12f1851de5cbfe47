// Encodes pixels as files on threads of its own, so that the event thread never waits. Tasks go in
// and results come out on the event thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
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

  void encode(EncodingTask task);
  int waiting() const { return waiting_; }  // given and not come back

 private:
  void work();

  boost::asio::io_context& events_;
  std::shared_ptr<Done> done_;
  int waiting_ = 0;
  std::mutex mutex_;
  std::condition_variable come_;
  std::deque<EncodingTask> tasks_;  // under the mutex, as is stop_
  bool stop_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace inkstone::serve
