#include "serve/wire/spooled.h"

#include <memory>
#include <vector>

#include "serve/wire/message_fields.h"
#include "serve/wire/packet.h"

namespace inkstone::serve {
namespace {

// Visits fields() as a FieldWriter does.
class FileFinder {
 public:
  template <typename T>
  void operator()(std::string_view, T& value) {
    find(value);
  }
  std::vector<GivenFile*> files;

 private:
  void find(GivenFile& file) { files.push_back(&file); }
  void find(std::string&) {}
  template <typename T>
  requires std::is_arithmetic_v<T>
  void find(T&) {}
  template <typename T>
  void find(std::optional<T>& value) {
    if (value) find(*value);
  }
  template <typename T>
  void find(std::vector<T>& values) {
    for (T& value : values) find(value);
  }
  template <typename T>
  requires std::is_class_v<T>
  void find(T& value) { fields(*this, value); }
};

struct MemoryFile {
  Descriptor file;
  std::shared_ptr<const std::byte> bytes;
};
// What a GivenFile's owner ends with tells what it owns.
struct Holder {
  std::shared_ptr<const MemoryFile> held;
  void operator()(const void*) const {}
};

}  // namespace

void spool(ImageRequest& request) {
  FileFinder found;
  fields(found, request);
  if (found.files.empty()) return;
  std::vector<std::span<const uint8_t>> parts;
  size_t size = 0;
  for (const GivenFile* file : found.files) {
    parts.emplace_back(reinterpret_cast<const uint8_t*>(file->bytes.data()), file->bytes.size());
    size += file->bytes.size();
  }
  const auto whole = std::make_shared<MemoryFile>();
  whole->file = sealed_file(parts);
  whole->bytes = mapped(whole->file, size);
  const std::byte* next = whole->bytes.get();
  const std::shared_ptr<const void> owner(next, Holder{whole});
  for (GivenFile* file : found.files) {
    *file = {{next, file->bytes.size()}, owner, std::move(file->source)};
    next += file->bytes.size();
  }
}

int memory_file_of(const GivenFile& file) {
  const Holder* holder = std::get_deleter<Holder>(file.owner);
  return holder ? holder->held->file.get() : -1;
}

std::vector<const GivenFile*> files_of(const ImageRequest& request) {
  FileFinder found;
  fields(found, const_cast<ImageRequest&>(request));  // which looks at it alone
  return {found.files.begin(), found.files.end()};
}

size_t file_bytes(const ImageRequest& request) {
  size_t size = 0;
  for (const GivenFile* file : files_of(request)) size += file->bytes.size();
  return size;
}

}  // namespace inkstone::serve
