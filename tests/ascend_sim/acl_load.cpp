// Loading an `.om`: its chip and CANN version are checked, its weights are copied into device
// memory, and read from there at every run.
#include <algorithm>
#include <cstring>
#include <fstream>

#include "model.h"
#include "thread_state.h"

namespace ascend_sim {
namespace {

constexpr size_t kPiece = 16 << 20;

aclError code_of(OmFault fault) {
  switch (fault) {
    case OmFault::kPath: return kModelPath;
    case OmFault::kSize: return kDataSize;
    default: return kLoadModel;
  }
}

// "8.1.RC1-simulated" in parts that compare: numbers first, then the rest.
std::pair<std::vector<int>, std::string> version_of(const std::string& text) {
  std::vector<int> numbers;
  size_t at = 0;
  while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at]))) {
    const size_t dot = std::min(text.find('.', at), text.size());
    numbers.push_back(std::atoi(text.substr(at, dot - at).c_str()));
    at = dot + 1;
  }
  return {numbers, at < text.size() ? text.substr(at) : "~"};
}

aclError check_fit(const OmInfo& info) {
  std::lock_guard lock(world().mutex);
  const std::string soc = world().settings.soc, cann = world().settings.cann + kCannSuffix;
  if (info.soc != soc)
    return fail(kLoadModel, "E10001",
                "Value [" + info.soc +
                    "] for parameter [soc_version] is invalid. Reason: Model soc version is not support in "
                    "this device. (This one is " +
                    soc + ".)");
  if (version_of(info.cann) > version_of(cann))
    return fail(kLoadModel, "E19999", "the model was made by CANN " + info.cann + ", newer than " + cann + " here.");
  return kOk;
}

struct Reader {
  const LoadRequest& request;
  bool read(uint64_t at, uint64_t bytes, std::byte* to) const {
    if (request.memory) {
      if (at + bytes > request.size) return false;
      std::memcpy(to, static_cast<const std::byte*>(request.memory) + at, bytes);
      return true;
    }
    return read_file(request.path, at, bytes, to);
  }
  static bool read_file(const std::string& path, uint64_t at, uint64_t bytes, std::byte* to) {
    std::ifstream in(path, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(at));
    for (uint64_t done = 0; in && done < bytes; done += kPiece)
      in.read(reinterpret_cast<char*>(to + done),
              static_cast<std::streamsize>(std::min<uint64_t>(kPiece, bytes - done)));
    return static_cast<bool>(in);
  }
};

aclError read_weights(const LoadRequest& request, const OmInfo& info, const onnx::ModelProto& model, std::byte* to) {
  if (!info.external_weight) {
    if (Reader{request}.read(info.weights_at, info.weight_bytes, to)) return kOk;
    return fail(kDataSize, "E19999", "the weights are cut short");
  }
  std::filesystem::path folder = request.weight_folder;
  if (folder.empty()) folder = std::filesystem::path(request.path).parent_path() / "weight";
  if (!info.weight_file.empty()) {
    if (Reader::read_file(folder / info.weight_file, 0, info.weight_bytes, to)) return kOk;
    return fail(kLoadModel, "E19999", "external weights [" + (folder / info.weight_file).string() + "] cannot be read");
  }
  for (const auto& tensor : model.graph().initializer()) {
    WeightPlace place;
    if (!place_of(tensor, place)) continue;
    if (!Reader::read_file(folder / place.file, 0, place.bytes, to + place.offset))
      return fail(kLoadModel, "E19999", "external weights [" + (folder / place.file).string() + "] cannot be read");
  }
  return kOk;
}

// What was given must be device memory, aligned and big enough; what was not is allocated. With the
// lock held.
aclError take_memory(void* given, size_t size, size_t need, bool own, const char* what, uintptr_t& place, bool& owned) {
  if (!given) {
    if (!own && need) return breach(kDataAddress, "E19999", std::string("no ") + what + " memory is given");
    void* address = nullptr;
    if (const aclError code = world().allocate(&address, need, current_context()->device, true)) return code;
    owned = true;
    place = reinterpret_cast<uintptr_t>(address);
    return kOk;
  }
  place = reinterpret_cast<uintptr_t>(given);
  const std::string text = std::string(what) + " memory of a model ";
  if (size < need)
    return breach(kDataSize, "E19999", text + "is too small: " + std::to_string(size) + " of " + std::to_string(need));
  if (!world().find(given, size)) return breach(kDataAddress, "E19999", text + "is not all device memory");
  if (place % 64) return breach(kUnaligned, "EE1001", text + "is not aligned to 64 bytes");
  return kOk;
}

}  // namespace

int acl_type(int type) {
  switch (type) {
    case kFloat: return 0;
    case kHalf: return 1;
    case kInt8: return 2;
    case kInt32: return 3;
    case kUint8: return 4;
    case kInt16: return 6;
    case kUint16: return 7;
    case kUint32: return 8;
    case kInt64: return 9;
    case kUint64: return 10;
    case kDouble: return 11;
    case kBool: return 12;
    case kBfloat16: return 27;
    default: return -1;
  }
}

aclError read_info(const LoadRequest& request, OmInfo& info, onnx::ModelProto* model) {
  std::string why;
  const OmFault fault = request.memory ? read_om(request.memory, request.size, info, model, why)
                                       : read_om(request.path, info, model, why);
  if (fault == OmFault::kNone) return kOk;
  return fail(code_of(fault), "E19999", "Load model failed: [" + request.path + "]: " + why);
}

aclError load_model(const LoadRequest& request, uint32_t* id) {
  if (!id) return fail(kInvalidParam, "EH0002", "no place for the model's id");
  auto model = std::make_unique<Model>();
  if (const aclError code = read_info(request, model->info, &model->proto)) return code;
  const OmInfo& info = model->info;
  if (const aclError code = check_fit(info)) return code;
  std::byte* weights = nullptr;
  aclError code;
  {
    std::lock_guard lock(world().mutex);
    model->context = current_context();
    code = take_memory(request.work, request.work_size, info.work_bytes, request.own_memory, "work", model->work,
                       model->owns_work);
    if (!code)
      code = take_memory(request.weight, request.weight_size, info.weight_bytes, request.own_memory, "weight",
                         model->weight, model->owns_weight);
    if (!code) weights = world().bytes_at(reinterpret_cast<void*>(model->weight));
  }
  if (!code) code = read_weights(request, info, model->proto, weights);
  try {
    if (!code) model->output_shapes = shapes_of_outputs(info, model->proto);
  } catch (const OpError& error) {
    code = fail(kLoadModel, "E19999", error.what());
  }
  std::lock_guard lock(world().mutex);
  if (code) {
    if (model->owns_work) world().free(model->work);
    if (model->owns_weight) world().free(model->weight);
    return code;
  }
  model->id = *id = world().next_model++;
  world().models[*id] = std::move(model);
  return kOk;
}

}  // namespace ascend_sim
