#include "base/digest.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace inkstone {

Digest::Digest(Kind kind) : context_(EVP_MD_CTX_new()) {
  const EVP_MD* algorithm = kind == Kind::kSha1 ? EVP_sha1() : EVP_sha256();
  INKSTONE_CHECK(context_ && EVP_DigestInit_ex(context_.get(), algorithm, nullptr) == 1,
                 kind == Kind::kSha1 ? "SHA-1" : "SHA-256", " cannot be had from this machine's libcrypto");
}

void Digest::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

void Digest::add(std::span<const std::byte> bytes) {
  INKSTONE_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1,
                 "libcrypto cannot compute a digest");
}

std::string Digest::text() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  INKSTONE_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1, "libcrypto cannot compute a digest");
  std::string text;
  for (unsigned i = 0; i < size; ++i)
    for (const int digit : {digest[i] >> 4, digest[i] & 15}) text += "0123456789abcdef"[digit];
  return text;
}

std::string sha256(std::string_view text) {
  Digest digest;
  digest.add(std::as_bytes(std::span(text)));
  return digest.text();
}

}  // namespace inkstone
