#include "weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// The largest published models have a hundredth of it. A tensor's description takes ten values.
constexpr size_t kMaxTensors = 100'000, kMaxValues = 10 * kMaxTensors;

struct StoredType {
  std::string_view name;
  uint64_t bytes;
  std::optional<DType> type;  // in which it is read
  Float8 float8 = Float8::kNone;
};
constexpr StoredType kTypes[] = {{"F32", 4, DType::kF32},
                                 {"F16", 2, DType::kF16},
                                 {"BF16", 2, DType::kBF16},
                                 {"F64", 8, {}},
                                 {"I64", 8, {}},
                                 {"U64", 8, {}},
                                 {"C64", 8, {}},
                                 {"I32", 4, {}},
                                 {"U32", 4, {}},
                                 {"I16", 2, {}},
                                 {"U16", 2, {}},
                                 {"I8", 1, {}},
                                 {"U8", 1, {}},
                                 {"BOOL", 1, {}},
                                 {"F8_E4M3", 1, DType::kF16, Float8::kE4M3},
                                 {"F8_E5M2", 1, DType::kF16, Float8::kE5M2},
                                 {"F8_E8M0", 1, {}},
                                 {"F8_E4M3FNUZ", 1, {}},
                                 {"F8_E5M2FNUZ", 1, {}}};

struct Range {
  uint64_t begin, end;  // in the bytes after the header
};
struct Parsed {
  std::string name;
  const StoredType* type;
  Shape shape;
  Range range;
};

// Recognises what a file that is not safetensors probably is. The length of a header may look like
// each of these, but the header itself begins with a brace.
std::string known_stranger(std::string_view start) {
  constexpr size_t kTarMark = 257;
  if (start.size() > 8 && start[8] == '{') return "";
  if (start.starts_with("version https://git-lfs"))
    return "is a Git LFS pointer, not the weights: run `git lfs pull` there";
  constexpr const char* kSaveAgain =
      ": get it as safetensors, or load it by torch.load(..., weights_only=True) and save it again";
  if (start.starts_with("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"))
    return std::string("was saved in PyTorch's form from before 1.6, which is not read") + kSaveAgain;
  if (start.size() > kTarMark && start.substr(kTarMark).starts_with("ustar"))
    return std::string("is a tar file, the form of PyTorch's first versions, which is not read") + kSaveAgain;
  if (start.starts_with("\x80")) return std::string("is a Python pickle that is no file of PyTorch's") + kSaveAgain;
  if (start.starts_with("PK")) return "is a zip file, not safetensors";
  if (start.starts_with("<")) return "is a web page, not weights: download it again";
  if (start.starts_with("GGUF")) return "is a GGUF file; safetensors is read";
  return "";
}

uint64_t header_length(std::span<const std::byte> file, const std::string& source) {
  const std::string_view start(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 512));
  const std::string stranger = known_stranger(start);
  INKSTONE_CHECK(stranger.empty(), source, " ", stranger);
  INKSTONE_CHECK(file.size() >= 8, source, " has ", file.size(),
                 " bytes, too few for a safetensors file: download it again");
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<uint64_t>(file[static_cast<size_t>(i)]);
  INKSTONE_CHECK(length >= 2, source, " says its header has ", length, " bytes: not a safetensors file");
  INKSTONE_CHECK(length <= kMaxHeaderBytes, source, " says its header has ", length, " bytes, at most ",
                 kMaxHeaderBytes, " are read: not a safetensors file");
  INKSTONE_CHECK(length <= file.size() - 8, source, " ends at byte ", file.size(),
                 ", inside its header, which runs to byte ", length + 8,
                 ": the download is incomplete, download it again");
  return length;
}

uint64_t whole_number(const Json& json, const std::string& what) {
  INKSTONE_CHECK(json.is_int64() || json.is_uint64(), what, " is not a whole number");
  if (json.is_uint64()) return json.get_uint64();
  INKSTONE_CHECK(json.get_int64() >= 0, what, " is negative: ", json.get_int64());
  return static_cast<uint64_t>(json.get_int64());
}

const Json& member(const JsonObject& object, const char* key, const std::string& tensor) {
  const Json* found = object.if_contains(key);
  INKSTONE_CHECK(found, tensor, " has no \"", key, "\"");
  return *found;
}

const StoredType& stored_type(const Json& json, const std::string& tensor) {
  INKSTONE_CHECK(json.is_string(), tensor, ": dtype is not a string");
  const std::string_view name(json.get_string().data(), json.get_string().size());
  const auto* found = std::ranges::find(kTypes, name, &StoredType::name);
  INKSTONE_CHECK(found != std::end(kTypes), tensor, " has the dtype ", shown(name),
                 "; F32, F16, BF16, F8_E4M3 and F8_E5M2 are read");
  return *found;
}

Shape stored_shape(const Json& json, const std::string& tensor) {
  INKSTONE_CHECK(json.is_array(), tensor, ": shape is not a list");
  Shape shape;
  for (const Json& size : json.get_array()) {
    const uint64_t number = whole_number(size, tensor + ": a size in its shape");
    INKSTONE_CHECK(number <= INT64_MAX, tensor, ": the size ", number, " in its shape is too large");
    shape.push_back(static_cast<int64_t>(number));
  }
  return shape;
}

Range stored_range(const Json& json, const std::string& tensor) {
  INKSTONE_CHECK(json.is_array() && json.get_array().size() == 2, tensor,
                 ": data_offsets is not a list of two numbers");
  const Range range{whole_number(json.get_array()[0], tensor + ": its first offset"),
                    whole_number(json.get_array()[1], tensor + ": its last offset")};
  INKSTONE_CHECK(range.begin <= range.end, tensor, " begins at byte ", range.begin, " and ends before it, at ",
                 range.end);
  return range;
}

Parsed parse_tensor(const std::string& name, const Json& json, const std::string& source) {
  const std::string tensor = source + ": the tensor " + shown(name);
  INKSTONE_CHECK(json.is_object(), tensor, " is described by something that is no object");
  const JsonObject& object = json.get_object();
  Parsed parsed{name, &stored_type(member(object, "dtype", tensor), tensor),
                stored_shape(member(object, "shape", tensor), tensor),
                stored_range(member(object, "data_offsets", tensor), tensor)};
  uint64_t size = parsed.type->bytes;
  for (const int64_t dim : parsed.shape)
    INKSTONE_CHECK(!__builtin_mul_overflow(size, static_cast<uint64_t>(dim), &size), tensor, " has the shape ",
                   shown(to_string(parsed.shape)), ", which has more bytes than can be counted");
  const auto [begin, end] = parsed.range;
  INKSTONE_CHECK(end - begin == size, tensor, " has ", end - begin, " bytes where ", shown(to_string(parsed.shape)),
                 " of ", parsed.type->name, " needs ", size);
  return parsed;
}

// The tensors, in the order of their bytes, fill the data from its first byte to its last.
void check_layout(const std::vector<Parsed>& tensors, uint64_t header_bytes, uint64_t data_bytes,
                  const std::string& source) {
  uint64_t at = 0;
  std::string before = "the header";
  for (const Parsed& tensor : tensors) {
    INKSTONE_CHECK(tensor.range.begin >= at, source, ": the tensors ", before, " and ", shown(tensor.name),
                   " overlap at byte ", tensor.range.begin, " of the data");
    INKSTONE_CHECK(tensor.range.begin == at, source, ": a hole of ", tensor.range.begin - at, " bytes between ", before,
                   " and the tensor ", shown(tensor.name));
    at = tensor.range.end;
    before = shown(tensor.name);
  }
  INKSTONE_CHECK(at <= data_bytes, source, " ends at byte ", header_bytes + data_bytes, ", its header promises ",
                 at > UINT64_MAX - header_bytes ? UINT64_MAX : header_bytes + at,
                 ": the download is incomplete, download it again");
  INKSTONE_CHECK(at == data_bytes, source, " has ", data_bytes - at,
                 " bytes after its last tensor: damaged, download it again");
}

// The single number of a tensor.
std::optional<double> number_of(std::string_view type, std::span<const std::byte> bytes) {
  const auto read = [&](auto value) {
    if (bytes.size() != sizeof value) return std::optional<double>();
    std::memcpy(&value, bytes.data(), sizeof value);
    return std::optional<double>(static_cast<double>(value));
  };
  if (type == "I64") return read(int64_t{});
  if (type == "I32") return read(int32_t{});
  if (type == "F64") return read(double{});
  return {};
}

std::map<std::string, std::string> texts_of(const Json& metadata) {
  std::map<std::string, std::string> texts;
  if (!metadata.is_object()) return texts;
  for (const auto& [key, value] : metadata.get_object())
    if (value.is_string()) texts.emplace(key, value.get_string());
  return texts;
}

struct Header {
  std::vector<Parsed> tensors;
  std::map<std::string, std::string> metadata;
};

Header parse_header(std::string_view header, const std::string& source) {
  // Each tensor is a JSON object and a comma parts values, so too many are noticed before any is
  // built.
  const auto has_more = [&](char c, size_t most) { return static_cast<size_t>(std::ranges::count(header, c)) > most; };
  INKSTONE_CHECK(!has_more('{', kMaxTensors), source, " has more than ", kMaxTensors, " tensors");
  INKSTONE_CHECK(!has_more(',', kMaxValues), source, " has more than ", kMaxValues, " values in its header");
  const Json json = parse_json(header, source + " (header)");
  INKSTONE_CHECK(json.is_object(), source, ": the header is not a JSON object");
  Header parsed;
  for (const auto& [key, value] : json.get_object()) {
    const std::string name(key.data(), key.size());
    if (name == "__metadata__")
      parsed.metadata = texts_of(value);
    else
      parsed.tensors.push_back(parse_tensor(name, value, source));
  }
  std::ranges::sort(parsed.tensors, {},
                    [](const Parsed& tensor) { return std::pair(tensor.range.begin, tensor.range.end); });
  return parsed;
}

}  // namespace

ParsedTensors parse_safetensors(std::span<const std::byte> file, const std::string& source) {
  const uint64_t length = header_length(file, source);
  const auto data = file.subspan(8 + length);
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + 8, length);
  Header parsed = parse_header(header, source);
  check_layout(parsed.tensors, 8 + length, data.size(), source);
  ParsedTensors result;
  result.metadata = std::move(parsed.metadata);
  for (const Parsed& tensor : parsed.tensors) {
    const auto bytes = data.subspan(tensor.range.begin, tensor.range.end - tensor.range.begin);
    if (!tensor.type->type) {
      result.unread.emplace_back(tensor.name, tensor.type->name);
      result.others.push_back({tensor.name, std::string(tensor.type->name), tensor.shape, bytes});
      if (const auto number = number_of(tensor.type->name, bytes)) result.numbers.emplace_back(tensor.name, *number);
      continue;
    }
    result.tensors.push_back({tensor.name, tensor.shape, *tensor.type->type, bytes, {tensor.type->float8, {}}});
  }
  return result;
}

std::string safetensors_header(std::span<const StoredTensor> tensors,
                               const std::map<std::string, std::string>& metadata) {
  INKSTONE_CHECK(tensors.size() <= kMaxTensors, "safetensors: ", tensors.size(), " tensors, at most ", kMaxTensors);
  JsonObject about{{"format", "pt"}};
  for (const auto& [key, value] : metadata) about[key] = value;
  std::string json = "{\"__metadata__\":" + json_text(about);
  std::set<std::string_view> names{"__metadata__"};
  size_t at = 0;
  for (const StoredTensor& tensor : tensors) {
    const auto* type = tensor.other.empty()
                           ? std::ranges::find(kTypes, std::optional(tensor.type), &StoredType::type)
                           : std::ranges::find(kTypes, std::string_view(tensor.other), &StoredType::name);
    INKSTONE_CHECK(type != std::end(kTypes), "safetensors: ", tensor.name, " of ",
                   tensor.other.empty() ? name_of(tensor.type) : tensor.other, " is not written");
    INKSTONE_CHECK(names.insert(tensor.name).second, "safetensors: the name ", shown(tensor.name), " stands twice");
    INKSTONE_CHECK(clean_utf8(tensor.name) == tensor.name, "safetensors: the name ", shown(tensor.name),
                   " is no UTF-8 text");
    const size_t end = at + static_cast<size_t>(count(tensor.shape)) * type->bytes;
    json += "," + json_text(Json(tensor.name)) + ":{\"dtype\":\"" + std::string(type->name) +
            "\",\"shape\":" + to_string(tensor.shape) + ",\"data_offsets\":[" + std::to_string(at) + "," +
            std::to_string(end) + "]}";
    at = end;
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string header(8, '\0');
  for (size_t i = 0; i < 8; ++i) header[i] = static_cast<char>(json.size() >> (8 * i));
  return header + json;
}

}  // namespace inkstone
