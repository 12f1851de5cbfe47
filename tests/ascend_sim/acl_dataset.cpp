// Data buffers, datasets and tensor descriptions.
#include "model.h"
#include "thread_state.h"

using namespace ascend_sim;

namespace {

aclError no_handle(const char* what) {
  std::lock_guard lock(world().mutex);
  return breach(kInvalidParam, "EH0002", std::string("a ") + what + " that does not exist, or no longer");
}

}  // namespace

aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) {
  return keep_handle(kDataBuffer, new aclDataBuffer{data, size});
}

aclError aclDestroyDataBuffer(const aclDataBuffer* buffer) {
  return call_api("aclDestroyDataBuffer", Need::kNothing, [&]() -> aclError {
    if (!drop_handle(kDataBuffer, buffer)) return kInvalidParam;
    delete buffer;
    return kOk;
  });
}

aclError aclUpdateDataBuffer(aclDataBuffer* buffer, void* data, size_t size) {
  return call_api("aclUpdateDataBuffer", Need::kNothing, [&]() -> aclError {
    if (!is_handle(kDataBuffer, buffer)) return no_handle("data buffer");
    *buffer = {data, size};
    return kOk;
  });
}

void* aclGetDataBufferAddr(const aclDataBuffer* buffer) {
  return is_handle(kDataBuffer, buffer) ? buffer->data : nullptr;
}
size_t aclGetDataBufferSizeV2(const aclDataBuffer* buffer) { return is_handle(kDataBuffer, buffer) ? buffer->size : 0; }
uint32_t aclGetDataBufferSize(const aclDataBuffer* buffer) {
  return static_cast<uint32_t>(aclGetDataBufferSizeV2(buffer));
}

aclmdlDataset* aclmdlCreateDataset() { return keep_handle(kDataset, new aclmdlDataset); }

aclError aclmdlDestroyDataset(const aclmdlDataset* dataset) {
  return call_api("aclmdlDestroyDataset", Need::kNothing, [&]() -> aclError {
    if (!drop_handle(kDataset, dataset)) return kInvalidParam;
    delete dataset;
    return kOk;
  });
}

aclError aclmdlAddDatasetBuffer(aclmdlDataset* dataset, aclDataBuffer* buffer) {
  return call_api("aclmdlAddDatasetBuffer", Need::kNothing, [&]() -> aclError {
    if (!is_handle(kDataset, dataset)) return no_handle("dataset");
    if (!is_handle(kDataBuffer, buffer)) return no_handle("data buffer");
    dataset->buffers.push_back(buffer);
    dataset->descs.push_back(nullptr);
    return kOk;
  });
}

size_t aclmdlGetDatasetNumBuffers(const aclmdlDataset* dataset) {
  return is_handle(kDataset, dataset) ? dataset->buffers.size() : 0;
}
aclDataBuffer* aclmdlGetDatasetBuffer(const aclmdlDataset* dataset, size_t index) {
  return index < aclmdlGetDatasetNumBuffers(dataset) ? dataset->buffers[index] : nullptr;
}

aclError aclmdlSetDatasetTensorDesc(aclmdlDataset* dataset, aclTensorDesc* desc, size_t index) {
  return call_api("aclmdlSetDatasetTensorDesc", Need::kNothing, [&]() -> aclError {
    if (!is_handle(kDataset, dataset) || index >= dataset->buffers.size()) return no_handle("dataset");
    dataset->descs[index] = desc;
    return kOk;
  });
}
aclTensorDesc* aclmdlGetDatasetTensorDesc(const aclmdlDataset* dataset, size_t index) {
  return index < aclmdlGetDatasetNumBuffers(dataset) ? dataset->descs[index] : nullptr;
}

aclTensorDesc* aclCreateTensorDesc(int type, int rank, const int64_t* dims, int format) {
  if (rank < 0) return nullptr;
  return keep_handle(kTensorDesc, new aclTensorDesc{type, format, Shape(dims, dims + rank)});
}
void aclDestroyTensorDesc(const aclTensorDesc* desc) {
  if (drop_handle(kTensorDesc, desc)) delete desc;
}
size_t aclGetTensorDescNumDims(const aclTensorDesc* desc) {
  return is_handle(kTensorDesc, desc) ? desc->dims.size() : 0;
}
aclError aclGetTensorDescDimV2(const aclTensorDesc* desc, size_t index, int64_t* size) {
  return call_api("aclGetTensorDescDimV2", Need::kNothing, [&]() -> aclError {
    if (index >= aclGetTensorDescNumDims(desc)) return fail(kInvalidParam, "EH0002", "no such axis");
    *size = desc->dims[index];
    return kOk;
  });
}
int aclGetTensorDescType(const aclTensorDesc* desc) { return is_handle(kTensorDesc, desc) ? desc->type : -1; }
size_t aclGetTensorDescSize(const aclTensorDesc* desc) {
  if (!is_handle(kTensorDesc, desc)) return 0;
  for (int type = kFloat; type <= kBfloat16; ++type)
    if (acl_type(type) == desc->type) return static_cast<size_t>(count(desc->dims)) * bytes_of(type);
  return 0;
}
