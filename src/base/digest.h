// SHA-256, fed piece by piece, as `sha256sum` prints it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace inkstone {

class Digest {
 public:
  Digest();
  void add(std::span<const std::byte> bytes);
  std::string text();  // ends it

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256(std::string_view text);

}  // namespace inkstone
