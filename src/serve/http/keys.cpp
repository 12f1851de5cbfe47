#include "serve/http/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "serve/support/log.h"

namespace inkstone::http {
namespace {

using serve::log_line;
using serve::LogLevel;

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr size_t kMinKey = 8;

bool plain(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

// RFC 7235: the scheme's name in any case, spaces, the rest.
std::string_view credentials(std::string_view authorization, std::string_view scheme) {
  if (authorization.size() <= scheme.size() || authorization[scheme.size()] != ' ') return {};
  for (size_t i = 0; i < scheme.size(); ++i)
    if ((authorization[i] | 0x20) != scheme[i]) return {};
  authorization.remove_prefix(std::min(authorization.find_first_not_of(' ', scheme.size()), authorization.size()));
  return authorization;
}

std::string decoded_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > 4096) return "";
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return "";
  bytes.resize(static_cast<size_t>(size) - (text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0));
  return bytes;
}

}  // namespace

Keys Keys::read(const fs::path& file) {
  std::error_code error;
  const fs::perms others = fs::status(file, error).permissions() & fs::perms::others_all;
  const std::string text = read_file(file, 1 << 20);
  if (!error && others != fs::perms::none)
    log_line(LogLevel::kWarning, "keys", {{"file", file.string()}, {"problem", "others may open it: chmod o= it"}});
  Keys keys;
  size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    ++number;
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = line.find(':');
    INKSTONE_CHECK_USAGE(colon != line.npos && colon > 0 && plain(line), file.string(), ":", number,
                         ": a line must be NAME:KEY, without spaces");
    INKSTONE_CHECK_USAGE(line.size() - colon - 1 >= kMinKey, file.string(), ":", number, ": the key is shorter than ",
                         kMinKey, " characters; `openssl rand -hex 24` makes a good one");
    Entry entry{std::string(line.substr(0, colon)), sha256(line.substr(colon + 1))};
    for (const Entry& other : keys.entries_) {
      INKSTONE_CHECK_USAGE(other.name != entry.name, file.string(), ":", number, ": the name ", entry.name,
                           " stands twice");
      INKSTONE_CHECK_USAGE(other.digest != entry.digest, file.string(), ":", number, ": the key is ", other.name,
                           "'s too");
    }
    keys.entries_.push_back(std::move(entry));
  }
  INKSTONE_CHECK_USAGE(!keys.none(), file.string(), ": no key in it, nobody could come in; a line is NAME:KEY");
  return keys;
}

std::optional<std::string> Keys::client(std::string_view authorization) const {
  std::string name;
  std::string_view key = credentials(authorization, "bearer");
  const std::string basic = decoded_base64(credentials(authorization, "basic"));
  const size_t colon = basic.find(':');
  const bool user = key.empty() && colon != basic.npos;
  if (user) {
    name = basic.substr(0, colon);
    key = std::string_view(basic).substr(colon + 1);
  }
  const std::string digest = sha256(key);
  const Entry* found = nullptr;
  for (const Entry& entry : entries_)  // all of them, whichever fits
    if (CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0) found = &entry;
  if (!found || key.empty() || (user && found->name != name)) return std::nullopt;
  return "key:" + found->name;
}

std::chrono::milliseconds WrongKeys::delay(const std::string& address, Clock::time_point now) {
  constexpr size_t kMaxAddresses = 4096;
  constexpr int kFree = 3, kMaxDoublings = 5;  // 250 ms to 8 s
  if (counts_.size() >= kMaxAddresses)
    std::erase_if(counts_, [&](const auto& count) { return now - count.second.last > 60s; });
  if (counts_.size() >= kMaxAddresses) counts_.clear();
  Count& count = counts_[address];
  if (now - count.last > 60s) count.wrong = 0;
  count.last = now;
  ++count.wrong;
  if (count.wrong <= kFree) return 0ms;
  return 250ms * (1 << std::min(count.wrong - kFree - 1, kMaxDoublings));
}

}  // namespace inkstone::http
