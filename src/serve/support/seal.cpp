// sealed = version (1) key's id (4) nonce (12) encrypted text, tag (16)
#include "serve/support/seal.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <span>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace inkstone::serve {
namespace {

constexpr char kVersion = 1;
constexpr size_t kIdBytes = 4, kNonceBytes = 12, kTagBytes = 16, kHeadBytes = 1 + kIdBytes + kNonceBytes;
constexpr size_t kMaxKeys = 2, kMaxText = size_t{256} << 20;
using KeyBytes = std::array<unsigned char, 32>;
struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<KeyBytes> key_of(std::string_view line) {
  KeyBytes key{};
  if (line.size() != 2 * key.size()) return std::nullopt;
  for (size_t i = 0; i < line.size(); i++) {
    const int value = digit(line[i]);
    if (value < 0) return std::nullopt;
    key[i / 2] = static_cast<unsigned char>(key[i / 2] << 4 | value);
  }
  return key;
}

KeyBytes key_for(const KeyBytes& key, std::string_view name) {
  KeyBytes made{};
  unsigned int size = 0;
  INKSTONE_CHECK(
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(name), name.size(), made.data(), &size) &&
          size == made.size(),
      "HMAC-SHA256 failed");
  return made;
}

}  // namespace

FleetKeys::FleetKeys(const std::filesystem::path& file) {
  struct stat state {};
  INKSTONE_CHECK_USAGE(stat(file.c_str(), &state) == 0, file.string(), ": ", std::strerror(errno));
  INKSTONE_CHECK_USAGE((state.st_mode & 077) == 0, file.string(), ": others than its owner may read it: chmod 600 ",
                       file.string());
  const std::string text = read_file(file, 4096);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    const auto key = key_of(line);
    INKSTONE_CHECK_USAGE(key && keys_.size() < kMaxKeys, file.string(),
                         ": it must have one or two lines of 64 hexadecimal digits, as `inkstone fleet init "
                         "--write-key` makes them");
    keys_.push_back({*key, ""});
    const std::string named = sha256(std::string(key->begin(), key->end()));
    for (size_t i = 0; i < kIdBytes; i++)
      keys_.back().id += static_cast<char>(digit(named[2 * i]) << 4 | digit(named[2 * i + 1]));
  }
  INKSTONE_CHECK_USAGE(!keys_.empty(), file.string(), ": there is no key in it");
}

void FleetKeys::make_file(const std::filesystem::path& file) {
  const int place = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  INKSTONE_CHECK(place >= 0, file.string(), ": ",
                 errno == EEXIST ? "is there already: a fleet's key must not be lost" : std::strerror(errno));
  const std::string line = random_id(32) + "\n";
  const bool written =
      ::write(place, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fsync(place) == 0;
  const int why = errno;
  ::close(place);
  if (!written) ::unlink(file.c_str());
  INKSTONE_CHECK(written, file.string(), ": ", std::strerror(why));
}

std::string FleetKeys::seal(std::string_view name, std::string_view text) const {
  INKSTONE_CHECK(text.size() <= kMaxText, "a text of ", text.size(), " bytes to be sealed");
  const KeyBytes key = key_for(keys_.front().bytes, name);
  std::string sealed(1, kVersion);
  sealed += keys_.front().id;
  sealed.resize(kHeadBytes + text.size() + kTagBytes);
  unsigned char* out = reinterpret_cast<unsigned char*>(sealed.data());
  unsigned char* nonce = out + 1 + kIdBytes;
  random_bytes(std::as_writable_bytes(std::span(nonce, kNonceBytes)));
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0, rest = 0;
  INKSTONE_CHECK(
      cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce) == 1 &&
          EVP_EncryptUpdate(cipher.get(), nullptr, &size, out, static_cast<int>(1 + kIdBytes)) == 1 &&
          EVP_EncryptUpdate(cipher.get(), out + kHeadBytes, &size, bytes_of(text), static_cast<int>(text.size())) ==
              1 &&
          EVP_EncryptFinal_ex(cipher.get(), out + kHeadBytes + size, &rest) == 1 &&
          EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, out + kHeadBytes + text.size()) == 1,
      "AES-256-GCM failed");
  return sealed;
}

std::optional<std::string> FleetKeys::open(std::string_view name, std::string_view sealed) const {
  if (sealed.size() < kOverhead || sealed.size() > kMaxText + kOverhead || sealed[0] != kVersion) return std::nullopt;
  for (const Key& one : keys_) {
    if (sealed.substr(1, kIdBytes) != one.id) continue;
    const KeyBytes key = key_for(one.bytes, name);
    const unsigned char* in = bytes_of(sealed);
    std::string text(sealed.size() - kOverhead, '\0');
    std::array<unsigned char, kTagBytes> tag{};
    std::memcpy(tag.data(), in + sealed.size() - kTagBytes, kTagBytes);
    unsigned char* out = reinterpret_cast<unsigned char*>(text.data());
    const Cipher cipher(EVP_CIPHER_CTX_new());
    int size = 0, rest = 0;
    const bool good =
        cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), in + 1 + kIdBytes) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, in, static_cast<int>(1 + kIdBytes)) == 1 &&
        EVP_DecryptUpdate(cipher.get(), out, &size, in + kHeadBytes, static_cast<int>(text.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), out + size, &rest) == 1;
    if (good) return text;
  }
  return std::nullopt;
}

}  // namespace inkstone::serve
