// Texts that only the machines of a fleet can read, and that nobody else can make, alter or pass for another: what goes
// through the fleet's engine, which others operate. AES-256-GCM; each name has a key of its own, made of the fleet's key by
// HMAC-SHA256, so that random nonces do not wear it out.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone::serve {

class FleetKeys {
 public:
  // A file of one key a line, 64 hexadecimal digits each, two at most: the first seals, any opens. Throws UsageError for
  // another content, and where others than its owner may read it.
  explicit FleetKeys(const std::filesystem::path& file);
  // A new file with a new key, for its owner alone. Throws Error where one is there already.
  static void make_file(const std::filesystem::path& file);

  // `name`: whose it is, such as an order's image; it is not in the sealed text.
  std::string seal(std::string_view name, std::string_view text) const;
  // Nothing: it was sealed by another key or for another name, or is not as it was sealed.
  std::optional<std::string> open(std::string_view name, std::string_view sealed) const;
  static constexpr size_t kOverhead = 1 + 4 + 12 + 16;  // bytes more than the text has

 private:
  struct Key {
    std::array<unsigned char, 32> bytes;
    std::string id;  // 4 bytes, which tell it from others
  };
  std::vector<Key> keys_;
};

}  // namespace inkstone::serve
