// SHA-256 (or SHA-1, of which git makes its names) of bytes that come piece by piece, as `sha256sum`
// prints it.
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
  enum class Kind { kSha256, kSha1 };
  explicit Digest(Kind kind = Kind::kSha256);
  void add(std::span<const std::byte> bytes);
  std::string text();  // nothing may be added afterwards

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256(std::string_view text);

}  // namespace inkstone
