// Gears and execution, with every rule of docs/ascend.md that can be checked.
#include <algorithm>
#include <cstring>

#include "model.h"
#include "thread_state.h"

using namespace ascend_sim;

struct aclmdlExecConfigHandle {
  int timeout_ms = -1;
};

namespace {

constexpr size_t kMaxRemembered = 4096;
constexpr size_t kWorkDirty = 64 << 20, kWorkStep = 4096, kWorkMark = 64;

// One run: all that it needs, since datasets and buffers may be gone when it comes to it.
struct Run {
  Model* model = nullptr;
  size_t gear = 0;
  std::vector<const std::byte*> inputs;
  std::vector<std::byte*> outputs;
  std::byte* work = nullptr;
  std::unique_ptr<Use> use;

  ~Run() {
    std::lock_guard lock(world().mutex);
    const auto alive = [&](auto& m) { return m.second.get() == model; };
    if (queued && std::ranges::any_of(world().models, alive)) --model->queued;
  }
  bool queued = false;
};

aclError check_buffer(const aclDataBuffer* buffer, size_t need, const std::string& what, bool align = true) {
  World& w = world();
  if (!w.handles[kDataBuffer].contains(buffer))
    return breach(kInvalidParam, "EH0002", what + ": its data buffer was destroyed");
  if (buffer->size < need)
    return breach(kDataSize, "E19999",
                  what + " is too small: " + std::to_string(buffer->size) + " of " + std::to_string(need));
  if (!w.is_device(buffer->data)) return breach(kDataAddress, "E19999", what + " is no device memory");
  if (!w.find(buffer->data, buffer->size))
    return breach(kDataAddress, "E19999", what + " reaches past its device memory, or that was freed");
  if (align && reinterpret_cast<uintptr_t>(buffer->data) % 64)
    return breach(kUnaligned, "EE1001", what + " is not aligned to 64 bytes");
  return kOk;
}

// Each buffer takes its size up to 32, and 32 more: within its block, and not over another one of
// the same run.
void check_slots(const std::vector<const aclDataBuffer*>& buffers) {
  std::map<uintptr_t, uintptr_t> slots;
  for (const aclDataBuffer* buffer : buffers) {
    const auto at = reinterpret_cast<uintptr_t>(buffer->data);
    const size_t slot = (buffer->size + 31) / 32 * 32 + 32;
    if (!world().find(buffer->data, slot))
      world().violation("the slot of a buffer (its size up to 32, and 32 more) reaches past its device memory");
    if (!slots.emplace(at, at + slot).second) world().violation("two buffers of a run at the same address");
  }
  for (auto a = slots.begin(); a != slots.end() && std::next(a) != slots.end(); ++a)
    if (a->second > std::next(a)->first) world().violation("the slots of two buffers of a run overlap");
}

bool overlap(const Model& a, const Model& b) {
  return a.work < b.work + b.info.work_bytes && b.work < a.work + a.info.work_bytes;
}

// With the lock held.
aclError check_together(const Model& model, const Stream* stream) {
  for (const auto& [id, other] : world().models) {
    if (!other->queued || (stream && other->queue == stream)) continue;
    // ordered by an event, it may be
    if (stream && stream->waits > 0) continue;
    if (other.get() == &model)
      return breach(kModelExecute, "EE9999", "a model executed while it executes on another stream");
    if (overlap(*other, model))
      return breach(kModelExecute, "EE9999", "two models that share a work buffer executed at the same time");
  }
  return kOk;
}

aclError choose_gear(const Model& model, const aclmdlDataset& inputs, size_t& gear) {
  if (model.info.gear_kind == GearKind::kNone) return kOk;
  const aclDataBuffer* buffer = inputs.buffers.back();
  if (const aclError code = check_buffer(buffer, model.info.gears[0].size() * 8, "the gear input")) return code;
  gear = model.info.largest_gear();
  if (inputs.gear < 0 || inputs.gear_model != model.id)
    world().violation("a model with gears executed without a gear set: the largest runs");
  else
    gear = static_cast<size_t>(inputs.gear);
  return kOk;
}

aclError prepare(uint32_t id, const aclmdlDataset* inputs, const aclmdlDataset* outputs, Stream* stream, Run& run) {
  World& w = world();
  std::lock_guard lock(w.mutex);
  const auto found = w.models.find(id);
  if (found == w.models.end()) return breach(kModelId, "EE1001", "a model executed that is not loaded, or no longer");
  Model& model = *found->second;
  if (model.context != current_context())
    return breach(kModelContext, "EE1001", "a model executed in another context than it was loaded in");
  if (!w.handles[kDataset].contains(inputs) || !w.handles[kDataset].contains(outputs))
    return breach(kInvalidParam, "EH0002", "a dataset that does not exist, or no longer");
  const OmInfo& info = model.info;
  const size_t want = info.inputs.size() + (info.gear_kind != GearKind::kNone);
  if (inputs->buffers.size() != want)
    return breach(kBadGe, "E19999",
                  std::to_string(inputs->buffers.size()) + " input buffers for " + std::to_string(want));
  if (outputs->buffers.size() != info.outputs.size())
    return breach(
        kBadGe, "E19999",
        std::to_string(outputs->buffers.size()) + " output buffers for " + std::to_string(info.outputs.size()));
  if (const aclError code = choose_gear(model, *inputs, run.gear)) return code;
  const auto shapes = info.input_shapes(run.gear);
  std::vector<const aclDataBuffer*> buffers;
  std::vector<const void*> used{reinterpret_cast<void*>(model.work), reinterpret_cast<void*>(model.weight)};
  const auto take = [&](aclDataBuffer* buffer, const OmPort& port, const Shape& shape, auto& list,
                        const char* kind) -> aclError {
    const size_t need = static_cast<size_t>(count(shape)) * bytes_of(port.type);
    if (const aclError code = check_buffer(buffer, need, std::string(kind) + " " + port.name)) return code;
    buffers.push_back(buffer);
    used.push_back(buffer->data);
    list.push_back(w.bytes_at(buffer->data));
    return kOk;
  };
  for (size_t i = 0; i < info.inputs.size(); ++i)
    if (const aclError code = take(inputs->buffers[i], info.inputs[i], shapes[i], run.inputs, "input")) return code;
  for (size_t i = 0; i < info.outputs.size(); ++i)
    if (const aclError code =
            take(outputs->buffers[i], info.outputs[i], model.output_shapes[run.gear][i], run.outputs, "output"))
      return code;
  check_slots(buffers);
  run.work = w.bytes_at(reinterpret_cast<void*>(model.work));
  if (!run.work || !w.bytes_at(reinterpret_cast<void*>(model.weight)))
    return breach(kDataAddress, "E19999", "the work or weight memory of a model was freed");
  if (const aclError code = check_together(model, stream)) return code;
  run.model = &model;
  run.use = std::make_unique<Use>(used);
  run.queued = true;
  ++model.queued;
  model.queue = stream;
  w.report.allocations_before.resize(std::min<size_t>(w.report.executions + 1, kMaxRemembered), w.report.allocations);
  ++w.report.executions;
  return kOk;
}

// Nobody may keep anything in the work buffer from one run to the next.
void dirty(const Run& run) {
  const size_t bytes = std::min<size_t>(run.model->info.work_bytes, kWorkDirty);
  for (size_t at = 0; at < bytes; at += kWorkStep) std::memset(run.work + at, 0xFF, std::min(kWorkMark, bytes - at));
}

aclError execute(const Run& run) {
  Model& model = *run.model;
  {
    std::lock_guard lock(world().mutex);
    World& w = world();
    if (w.settings.lost_after >= 0 && w.settings.lost_after-- == 0) {
      w.lost = true;
      return kLostHeartbeat;
    }
    model.gear = run.gear;
    ++model.running;
  }
  aclError code = kOk;
  try {
    dirty(run);
    run_model(model, run.gear, run.inputs, run.outputs);
  } catch (const std::exception& error) {
    code = fail(kModelExecute, "EZ9999", std::string("Model execute failed: ") + error.what());
    std::lock_guard lock(world().mutex);
    world().violation(std::string("a run failed: ") + error.what());
  }
  std::lock_guard lock(world().mutex);
  --model.running;
  return code;
}

aclError execute_now(const char* call, uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs) {
  return call_api(call, Need::kContext, [&]() -> aclError {
    Run run;
    if (const aclError code = prepare(id, inputs, outputs, nullptr, run)) return code;
    const aclError code = execute(run);
    return code == kLostHeartbeat ? fail(code, "EL9999", "the device lost its heartbeat") : code;
  });
}

aclError execute_later(const char* call, uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs,
                       aclrtStream handle) {
  return call_api(call, Need::kContext, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(handle, code);
    if (!stream) return code;
    auto run = std::make_shared<Run>();
    if ((code = prepare(id, inputs, outputs, stream, *run))) return code;
    stream->push({call, take_task_outcome(), [run] { return execute(*run); }});
    return kOk;
  });
}

// The index of the gear, once all of its conditions hold. With the lock held.
template <class Match>
aclError set_gear(uint32_t id, aclmdlDataset* inputs, size_t index, GearKind kind, Match match) {
  World& w = world();
  std::lock_guard lock(w.mutex);
  const auto found = w.models.find(id);
  if (found == w.models.end()) return breach(kModelId, "EE1001", "a gear set for a model that is not loaded");
  const OmInfo& info = found->second->info;
  if (info.gear_kind != kind) return breach(kNotDynamic, "E19999", "a gear set of a kind that the model does not have");
  if (!w.handles[kDataset].contains(inputs) || index != info.inputs.size() || index >= inputs->buffers.size())
    return breach(kDynamicInput, "E19999", "a gear set for another input than ascend_mbatch_shape_data");
  aclDataBuffer* buffer = inputs->buffers[index];
  if (const aclError code = check_buffer(buffer, info.gears[0].size() * 8, "the gear input")) return code;
  for (size_t gear = 0; gear < info.gears.size(); ++gear)
    if (match(info, gear)) {
      std::memcpy(w.bytes_at(buffer->data), info.gears[gear].data(), info.gears[gear].size() * 8);
      inputs->gear = static_cast<int64_t>(gear);
      inputs->gear_model = id;
      return kOk;
    }
  return breach(kDynamicBatch, "E19999", "what is set is none of the model's gears");
}

}  // namespace

aclError aclmdlSetDynamicBatchSize(uint32_t id, aclmdlDataset* inputs, size_t index, uint64_t batch) {
  return call_api("aclmdlSetDynamicBatchSize", Need::kContext, [&] {
    return set_gear(id, inputs, index, GearKind::kBatch, [&](const OmInfo& info, size_t gear) {
      return static_cast<uint64_t>(info.gears[gear][0]) == batch;
    });
  });
}

aclError aclmdlSetDynamicHWSize(uint32_t id, aclmdlDataset* inputs, size_t index, uint64_t h, uint64_t w) {
  return call_api("aclmdlSetDynamicHWSize", Need::kContext, [&] {
    return set_gear(id, inputs, index, GearKind::kImage, [&](const OmInfo& info, size_t gear) {
      return info.gears[gear] == std::vector<int64_t>{static_cast<int64_t>(h), static_cast<int64_t>(w)};
    });
  });
}

// The sizes of all inputs, one after another.
aclError aclmdlSetInputDynamicDims(uint32_t id, aclmdlDataset* inputs, size_t index, const aclmdlIODims* dims) {
  return call_api("aclmdlSetInputDynamicDims", Need::kContext, [&]() -> aclError {
    if (!dims || dims->dimCount > 128) return fail(kInvalidParam, "EH0002", "no sizes");
    const Shape given(dims->dims, dims->dims + dims->dimCount);
    return set_gear(id, inputs, index, GearKind::kDims, [&](const OmInfo& info, size_t gear) {
      Shape all;
      for (const Shape& shape : info.input_shapes(gear)) all.insert(all.end(), shape.begin(), shape.end());
      return all == given;
    });
  });
}

aclError aclmdlExecute(uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs) {
  return execute_now("aclmdlExecute", id, inputs, outputs);
}
aclError aclmdlExecuteAsync(uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs, aclrtStream stream) {
  return execute_later("aclmdlExecuteAsync", id, inputs, outputs, stream);
}
aclError aclmdlExecuteAsyncV2(uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs, aclrtStream stream,
                              const aclmdlExecConfigHandle*) {
  return execute_later("aclmdlExecuteAsyncV2", id, inputs, outputs, stream);
}

aclError aclmdlExecuteV2(uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs, aclrtStream handle,
                         const aclmdlExecConfigHandle* config) {
  if (const aclError code = execute_later("aclmdlExecuteV2", id, inputs, outputs, handle)) return code;
  aclError code;
  Stream* stream = stream_of(handle, code);
  return stream ? leave("aclmdlExecuteV2", stream->synchronize(config ? config->timeout_ms : -1)) : code;
}

aclmdlExecConfigHandle* aclmdlCreateExecConfigHandle() { return keep_handle(kConfig, new aclmdlExecConfigHandle); }
aclError aclmdlDestroyExecConfigHandle(const aclmdlExecConfigHandle* handle) {
  if (!drop_handle(kConfig, handle)) return kInvalidParam;
  delete handle;
  return kOk;
}
aclError aclmdlSetExecConfigOpt(aclmdlExecConfigHandle* handle, int attribute, const void* value, size_t size) {
  return call_api("aclmdlSetExecConfigOpt", Need::kNothing, [&]() -> aclError {
    if (!is_handle(kConfig, handle) || attribute < 0 || attribute > 1 || size != 4 || !value)
      return fail(kInvalidParam, "EH0002", "no such option");
    if (attribute == 0) std::memcpy(&handle->timeout_ms, value, 4);
    return kOk;
  });
}
