#include "atc/om_file.h"

#include <algorithm>
#include <cstring>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kMagic = 0x444F4D49;  // the file begins with IMOD

class Head {
 public:
  explicit Head(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t number(size_t offset, size_t size) const {  // little-endian
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value |= std::to_integer<uint64_t>(bytes_[offset + i]) << (8 * i);
    return value;
  }
  uint32_t word(size_t offset) const { return static_cast<uint32_t>(number(offset, 4)); }
  // Up to a zero byte. Characters that cannot be shown become '?'.
  std::string text(size_t offset, size_t size) const {
    std::string result;
    for (size_t i = 0; i < size && bytes_[offset + i] != std::byte{0}; ++i) {
      const char c = static_cast<char>(bytes_[offset + i]);
      result += c >= ' ' && c <= '~' ? c : '?';
    }
    return result;
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace

OmHeader parse_om_header(std::span<const std::byte> head, uint64_t file_bytes, const std::string& source) {
  INKSTONE_CHECK(head.size() >= kOmHeaderBytes && file_bytes >= kOmHeaderBytes, source, " is no .om: it has ",
                 std::min<uint64_t>(head.size(), file_bytes), " bytes, the header alone has ", kOmHeaderBytes);
  const Head at(head);
  INKSTONE_CHECK(at.word(0) == kMagic, source, " is no .om: at offset 0 stands ", at.word(0), " in place of ", kMagic,
                 " (\"IMOD\")");
  INKSTONE_CHECK(at.word(4) == kOmHeaderBytes, source, ": at offset 4 the header's size is ", at.word(4), ", not ",
                 kOmHeaderBytes, ": made by a CANN that this program does not know");
  INKSTONE_CHECK(at.number(80, 1) == 0, source, ": at offset 80 it is said to be encrypted (", at.number(80, 1),
                 "): compile it without a key");
  OmHeader header;
  header.version = at.word(8);
  header.name = at.text(84, 32);
  header.ir_version = at.word(152);
  header.platform_version = at.text(160, 20);
  header.is_host_bound = at.number(192, 1) != 0;
  header.is_dynamic = at.number(193, 1) != 0;
  // The second has 32 bits; older CANN writes only this one.
  const size_t length_offset = at.number(184, 8) != 0 ? 184 : 76;
  header.model_bytes = at.number(length_offset, length_offset == 184 ? 8 : 4);
  const uint64_t rest = file_bytes - kOmHeaderBytes;
  INKSTONE_CHECK(header.model_bytes == rest, source, ": at offset ", length_offset, " the model is said to have ",
                 header.model_bytes, " bytes, ", rest, " follow the header: the file is ",
                 header.model_bytes > rest ? "cut off" : "not as ATC wrote it", ": copy or compile it again");
  return header;
}

OmHeader read_om_header(const fs::path& path) {
  const MappedFile file(path);
  return parse_om_header(file.bytes(), file.bytes().size(), path.string());
}

FileRecord record_of(const fs::path& path) {
  constexpr size_t kPiece = size_t{16} << 20;
  const MappedFile file(path);
  Digest digest;
  for (size_t begin = 0; begin < file.bytes().size(); begin += kPiece) {
    const size_t length = std::min(kPiece, file.bytes().size() - begin);
    digest.add(file.bytes().subspan(begin, length));
    file.release(begin, length);
  }
  return {path.filename().string(), file.bytes().size(), digest.text()};
}

}  // namespace inkstone
