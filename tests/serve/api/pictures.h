// Requests with pictures, for tests of the APIs.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/image_file.h"
#include "serve/api/fakes.h"

namespace inkstone::serve {

inline std::string picture(int width = 64, int height = 64, ImageFormat format = ImageFormat::kPng,
                           const std::string& parameters = "") {
  Image image{width, height, {}};
  for (int i = 0; i < 3 * width * height; ++i) image.rgb.push_back(static_cast<uint8_t>(7 * i));
  return image_file(image, format, 90, parameters);
}

using Parts = std::vector<std::pair<std::string, std::string>>;  // those that begin with @ are files

inline Ask form(const std::string& path, const Parts& parts) {
  std::string body;
  for (const auto& [name, value] : parts) {
    const bool file = value.starts_with('@');
    body += "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"" + (file ? "; filename=\"a.png\"" : "") +
            "\r\n\r\n" + value.substr(file) + "\r\n";
  }
  return {"POST", path, body + "--XX--\r\n", {}, {{"content-type", "multipart/form-data; boundary=XX"}}};
}

inline Ask json(const std::string& path, const JsonObject& body) { return {"POST", path, json_text(body)}; }

struct PictureServer : FakeServer {
  PictureServer() { service.card.traits.encodes = true; }
  const ResolvedRequest& asked(size_t image = 0) { return *service.last().order.images.at(image); }
  std::string refusal(const Ask& ask, int status) {
    const auto exchange = this->ask(ask);
    EXPECT_TRUE(exchange->answer);
    if (!exchange->answer) return "";
    EXPECT_EQ(exchange->answer->status, status) << exchange->answer->body;
    return exchange->answer->body;
  }
};

}  // namespace inkstone::serve
