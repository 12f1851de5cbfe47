#include "weights/torch_file.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "weights/pickle.h"
#include "weights/zip.h"

namespace inkstone {
namespace {

using Kind = PickleValue::Kind;
using Index = PickleValue::Index;

// Not by loading it with PyTorch: that may run what we do not.
constexpr const char* kVectors = "string_to_param";
// Where the tensors lie in a dict that has more: checkpoints of PyTorch Lightning; of BasicSR, which
// trains upscalers, the averaged weights before the last ones.
constexpr const char* kNested[] = {"state_dict", "params_ema", "params"};
constexpr const char* kSaveAgain = "get it as safetensors, or its state_dict() alone";

struct TorchType {
  std::string_view storage, dtype;  // of module torch; a type without a storage class of its own has ""
  const char* name;                 // as safetensors has it
  uint64_t bytes;
  std::optional<DType> type;  // in which it is read
  Float8 float8 = Float8::kNone;
};
constexpr TorchType kTorchTypes[] = {{"FloatStorage", "float32", "F32", 4, DType::kF32},
                                     {"HalfStorage", "float16", "F16", 2, DType::kF16},
                                     {"BFloat16Storage", "bfloat16", "BF16", 2, DType::kBF16},
                                     {"DoubleStorage", "float64", "F64", 8, {}},
                                     {"LongStorage", "int64", "I64", 8, {}},
                                     {"IntStorage", "int32", "I32", 4, {}},
                                     {"ShortStorage", "int16", "I16", 2, {}},
                                     {"CharStorage", "int8", "I8", 1, {}},
                                     {"ByteStorage", "uint8", "U8", 1, {}},
                                     {"BoolStorage", "bool", "BOOL", 1, {}},
                                     {"", "float8_e4m3fn", "F8_E4M3", 1, DType::kF16, Float8::kE4M3},
                                     {"", "float8_e5m2", "F8_E5M2", 1, DType::kF16, Float8::kE5M2}};

const TorchType* type_of_storage(const PickleValue& global) {
  if (global.kind != Kind::kGlobal || global.module != "torch" || global.text.empty()) return nullptr;
  const auto* found = std::ranges::find(kTorchTypes, global.text, &TorchType::storage);
  return found == std::end(kTorchTypes) ? nullptr : found;
}

const TorchType* type_of_dtype(const PickleValue& global) {
  if (global.kind != Kind::kGlobal || global.module != "torch") return nullptr;
  const auto* found = std::ranges::find(kTorchTypes, global.text, &TorchType::dtype);
  return found == std::end(kTorchTypes) ? nullptr : found;
}

bool is_global(const PickleValue& value, std::string_view module, std::string_view name) {
  return value.kind == Kind::kGlobal && value.module == module && value.text == name;
}

// The one folder that the zip's entries lie in: "archive/".
std::string folder_of(const ZipEntries& entries, const std::string& source) {
  constexpr std::string_view kPickle = "data.pkl";
  std::vector<std::string> folders;
  for (const auto& [name, bytes] : entries)
    if (const size_t slash = name.find('/'); slash != std::string::npos && name.substr(slash + 1) == kPickle)
      folders.push_back(name.substr(0, slash + 1));
  INKSTONE_CHECK(!folders.empty(), source, " is a zip file, but not one that torch.save wrote: it has no ", kPickle);
  INKSTONE_CHECK(folders.size() == 1, source, " has ", folders.size(), " pickles (", shown(folders[0]), kPickle, ", ",
                 shown(folders[1]), kPickle, ")");
  INKSTONE_CHECK(!entries.contains(folders[0] + "constants.pkl"), source,
                 " is a TorchScript program, not weights: get the model's weights");
  return folders[0];
}

class TorchFileReader {
 public:
  TorchFileReader(std::span<const std::byte> file, const std::string& source)
      : source_(source),
        entries_(zip_entries(file, source + " (a zip file, as PyTorch's pickles are)")),
        folder_(folder_of(entries_, source)) {
    if (const auto order = entries_.find(folder_ + "byteorder"); order != entries_.end()) {
      const std::string_view text(reinterpret_cast<const char*>(order->second.data()), order->second.size());
      INKSTONE_CHECK(text == "little", source_, " has the byte order ", shown(text), "; little is read");
    }
    pickle_ = read_pickle(entries_.find(folder_ + "data.pkl")->second, source_);
    read(2 * uint64_t{file.size()});
  }

  ParsedTensors found() { return std::move(found_); }

 private:
  void read(uint64_t most_copied) {
    uint64_t copied = 0;
    for (const auto& [name, value] : state_dict()) {
      if (std::optional<WeightView> view = tensor(name, value)) {
        if (!view->form.is_plain()) copied += bytes(view->shape, view->type);
        INKSTONE_CHECK(copied <= most_copied, source_,
                       ": its tensors overlap, and would take more than twice the file's bytes: ", kSaveAgain);
        found_.tensors.push_back(std::move(*view));
      }
    }
  }

  std::map<std::string, Index> state_dict() const {
    constexpr int kMaxNesting = 8;
    Index at = pickle_.root;
    for (int level = 0; level < kMaxNesting; ++level) {
      INKSTONE_CHECK(is_dict(at), source_, " holds ", described(at), ", not a dict of tensors: ", kSaveAgain);
      std::map<std::string, Index> values = items(at);
      const auto nested = [&](const char* key) {
        const auto found = values.find(key);
        return found != values.end() && is_dict(found->second);
      };
      const auto* key = std::ranges::find_if(kNested, nested);
      if (key == std::end(kNested)) return with_vectors(std::move(values));
      at = values.at(*key);
    }
    fail(INKSTONE_HERE, {source_, " has more than ", kMaxNesting, " dicts in each other: ", kSaveAgain});
  }

  // A textual inversion of AUTOMATIC1111's web UI has a dict of vectors in the dict, or a torch.nn.ParameterDict.
  std::map<std::string, Index> with_vectors(std::map<std::string, Index> values) const {
    const auto found = values.find(kVectors);
    if (found == values.end()) return values;
    std::optional<Index> vectors = found->second;
    const PickleValue& value = pickle_[*vectors];
    if (value.kind == Kind::kObject &&
        is_global(pickle_[value.callable], "torch.nn.modules.container", "ParameterDict")) {
      vectors.reset();
      if (value.state && is_dict(*value.state))
        if (const auto state = items(*value.state); state.contains("_parameters")) vectors = state.at("_parameters");
    }
    if (!vectors || !is_dict(*vectors)) return values;
    values.erase(found);
    for (const auto& [key, vector] : items(*vectors)) values.emplace(std::string(kVectors) + "." + key, vector);
    return values;
  }

  bool is_dict(Index index) const {
    const PickleValue& value = pickle_[index];
    if (value.kind == Kind::kDict) return true;
    return value.kind == Kind::kObject && is_global(pickle_[value.callable], "collections", "OrderedDict");
  }

  // Of a dict. Keys that are no text are left out; of several equal ones the last counts, as in
  // Python.
  std::map<std::string, Index> items(Index dict) const {
    std::map<std::string, Index> values;
    const auto add = [&](const std::vector<Index>& pair, size_t at) {
      if (pickle_[pair[at]].kind == Kind::kText)
        values.insert_or_assign(std::string(pickle_[pair[at]].text), pair[at + 1]);
    };
    const PickleValue& value = pickle_[dict];
    if (value.kind == Kind::kObject)  // OrderedDict([[key, value], ...])
      for (const Index pairs : pickle_[value.argument].items)
        for (const Index pair : pickle_[pairs].items)
          if (pickle_[pair].items.size() == 2) add(pickle_[pair].items, 0);
    for (size_t i = 0; i + 1 < value.items.size(); i += 2) add(value.items, i);
    return values;
  }

  std::string described(Index index) const {
    const PickleValue& value = pickle_[index];
    const auto name_of = [](const PickleValue& global) {
      return shown(std::string(global.module) + "." + std::string(global.text));
    };
    switch (value.kind) {
      case Kind::kNone: return "None";
      case Kind::kInteger: return "a number";
      case Kind::kText: return "a text";
      case Kind::kTuple: return "a tuple";
      case Kind::kList: return "a list";
      case Kind::kDict: return "a dict";
      case Kind::kGlobal: return "the name " + name_of(value);
      case Kind::kPersistent: return "a storage";
      case Kind::kObject: break;
      case Kind::kOther: return "a value that is no tensor";
    }
    const PickleValue& callable = pickle_[value.callable];
    return "an object of " + (callable.kind == Kind::kGlobal ? name_of(callable) : std::string("no name"));
  }

  // Notes what is no tensor that we read.
  std::optional<WeightView> unread(const std::string& name, std::string type) {
    found_.unread.emplace_back(name, std::move(type));
    return {};
  }

  std::optional<WeightView> tensor(const std::string& name, Index index) {
    constexpr std::string_view kUtils = "torch._utils";
    const PickleValue* value = &pickle_[index];
    const auto made_by = [&](std::string_view function) {
      return value->kind == Kind::kObject && is_global(pickle_[value->callable], kUtils, function);
    };
    const auto arguments = [&]() -> const std::vector<Index>& { return pickle_[value->argument].items; };
    if ((made_by("_rebuild_parameter") || made_by("_rebuild_parameter_with_state")) && !arguments().empty())
      value = &pickle_[arguments()[0]];
    if (!made_by("_rebuild_tensor_v2") && !made_by("_rebuild_tensor_v3")) return unread(name, described(index));
    const std::string what = source_ + ": the tensor " + shown(name);
    INKSTONE_CHECK(arguments().size() >= (made_by("_rebuild_tensor_v3") ? 7u : 6u), what, " is described by ",
                   arguments().size(), " values, which are too few");
    const TorchType* type = made_by("_rebuild_tensor_v3") ? type_of_dtype(pickle_[arguments()[6]]) : nullptr;
    const Storage storage = storage_of(arguments()[0], what);
    if (made_by("_rebuild_tensor_v2")) type = storage.type;
    if (!type) return unread(name, "a type that is not known");
    return view(name, arguments(), storage.bytes, *type);
  }

  struct Storage {
    std::span<const std::byte> bytes;
    const TorchType* type;  // nullptr: not known, or of no type
  };
  // Of the persistent id ("storage", class, key, location, elements).
  Storage storage_of(Index index, const std::string& what) const {
    const PickleValue& value = pickle_[index];
    const std::vector<Index>* id = nullptr;
    if (value.kind == Kind::kPersistent) id = &pickle_[value.argument].items;
    INKSTONE_CHECK(id && id->size() >= 5 && pickle_[(*id)[2]].kind == Kind::kText, what, " has no storage");
    const PickleValue &kind = pickle_[(*id)[1]], &elements = pickle_[(*id)[4]];
    const std::string key(pickle_[(*id)[2]].text);
    const auto entry = entries_.find(folder_ + "data/" + key);
    INKSTONE_CHECK(entry != entries_.end(), what, ": the file has not its storage ", shown(key));
    const Storage storage{entry->second, type_of_storage(kind)};
    const uint64_t size = storage.type ? storage.type->bytes : 1;
    if (!storage.type && !is_global(kind, "torch.storage", "UntypedStorage")) return storage;
    INKSTONE_CHECK(elements.kind == Kind::kInteger && elements.integer >= 0 && storage.bytes.size() % size == 0 &&
                       static_cast<uint64_t>(elements.integer) == storage.bytes.size() / size,
                   what, ": its storage ", shown(key), " has ", storage.bytes.size(), " bytes, not ", elements.integer,
                   " elements of ", size);
    return storage;
  }

  // A tuple of sizes or strides, or a torch.Size.
  Shape numbers(Index index, const char* of, const std::string& what) const {
    constexpr size_t kMaxAxes = 64;  // as PyTorch
    const PickleValue* value = &pickle_[index];
    if (value->kind == Kind::kObject && is_global(pickle_[value->callable], "torch", "Size") &&
        !pickle_[value->argument].items.empty())
      value = &pickle_[pickle_[value->argument].items[0]];
    INKSTONE_CHECK(value->kind == Kind::kTuple || value->kind == Kind::kList, what, ": its ", of,
                   " are no tuple of numbers");
    INKSTONE_CHECK(value->items.size() <= kMaxAxes, what, " has ", value->items.size(), " axes");
    Shape result;
    for (const Index item : value->items) {
      const PickleValue& number = pickle_[item];
      INKSTONE_CHECK(number.kind == Kind::kInteger && number.integer >= 0, what, ": one of its ", of, " is ",
                     number.kind == Kind::kInteger ? std::to_string(number.integer) : "no number");
      result.push_back(number.integer);
    }
    return result;
  }

  // `arguments`: storage, offset, size, stride, ...
  std::optional<WeightView> view(const std::string& name, const std::vector<Index>& arguments,
                                 std::span<const std::byte> storage, const TorchType& type) {
    const std::string what = source_ + ": the tensor " + shown(name);
    const PickleValue& offset = pickle_[arguments[1]];
    INKSTONE_CHECK(offset.kind == Kind::kInteger && offset.integer >= 0, what, ": its offset is ",
                   offset.kind == Kind::kInteger ? std::to_string(offset.integer) : "no number");
    const Shape shape = numbers(arguments[2], "sizes", what), strides = numbers(arguments[3], "strides", what);
    INKSTONE_CHECK(shape.size() == strides.size(), what, " has ", shape.size(), " sizes and ", strides.size(),
                   " strides");
    const uint64_t elements = storage.size() / type.bytes, begin = static_cast<uint64_t>(offset.integer);
    const std::optional<uint64_t> spanned = spanned_elements(shape, strides);
    INKSTONE_CHECK(spanned && begin <= elements && *spanned <= elements - begin, what, ", ", shown(to_string(shape)),
                   " with the strides ", shown(to_string(strides)), " from element ", begin,
                   ", runs past its storage, which has ", elements);
    if (!type.type) {
      if (is_row_major(shape, strides) && !repeats(shape, elements))
        found_.others.push_back({name, type.name, shape, storage.subspan(begin * type.bytes, *spanned * type.bytes)});
      return unread(name, type.name);
    }
    if (repeats(shape, elements)) return unread(name, std::string(type.name) + " of repeated elements");
    WeightView found{name, shape, *type.type, storage.subspan(begin * type.bytes, *spanned * type.bytes)};
    found.form.float8 = type.float8;
    if (!is_row_major(shape, strides)) found.form.strides = strides;
    return found;
  }

  // Whether a tensor has more elements than its storage, as an expanded one, or more than can be
  // counted.
  static bool repeats(const Shape& shape, uint64_t elements) {
    int64_t total = 1;
    for (const int64_t size : shape)
      if (__builtin_mul_overflow(total, size, &total)) return true;
    return static_cast<uint64_t>(total) > elements;
  }

  const std::string& source_;
  ZipEntries entries_;
  std::string folder_;
  Pickle pickle_;
  ParsedTensors found_;
};

}  // namespace

ParsedTensors parse_torch_file(std::span<const std::byte> file, const std::string& source) {
  return TorchFileReader(file, source).found();
}

}  // namespace inkstone
