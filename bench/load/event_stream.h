// Server-sent events, piece by piece as they come: "event: step\ndata: {...}\n\n".
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace inkstone {

class EventStream {
 public:
  using Receiver = std::function<void(const std::string& name, const std::string& data)>;
  explicit EventStream(Receiver receiver) : receiver_(std::move(receiver)) {}
  // Lines end with LF or CRLF; comments and unknown fields are left out.
  void add(std::string_view bytes);

 private:
  void take_line(std::string_view line);

  Receiver receiver_;
  std::string line_, name_, data_;
  bool has_data_ = false;
};

}  // namespace inkstone
