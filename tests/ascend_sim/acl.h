// AscendCL as its published interface declares it (docs/ascend.md), in declarations of our own. C
// enums are int.
#pragma once

#include <cstddef>
#include <cstdint>

#define ACL_SIM_API extern "C" __attribute__((visibility("default")))

using aclError = int;
using aclrtStream = void*;
using aclrtEvent = void*;
using aclrtContext = void*;

struct aclDataBuffer;
struct aclTensorDesc;
struct aclmdlDataset;
struct aclmdlDesc;
struct aclmdlConfigHandle;
struct aclmdlExecConfigHandle;
struct aclrtExceptionInfo;

struct aclCANNPackageVersion {
  char version[128], majorVersion[64], minorVersion[64], releaseVersion[64], patchVersion[64], reserved[128];
};
struct aclrtUtilizationInfo {
  int32_t cubeUtilization, vectorUtilization, aicpuUtilization, memoryUtilization;
  void* utilizationExtend;
};
struct aclmdlIODims {
  char name[128];
  size_t dimCount;
  int64_t dims[128];
};
struct aclmdlBatch {
  size_t batchCount;
  uint64_t batch[128];
};
struct aclmdlHW {
  size_t hwCount;
  uint64_t hw[128][2];
};
struct aclmdlIODimsRange {
  size_t rangeCount;
  int64_t range[128][2];
};
static_assert(sizeof(aclmdlIODims) == 1160);

using aclrtCallback = void (*)(void*);
using aclrtExceptionInfoCallback = void (*)(aclrtExceptionInfo*);

ACL_SIM_API aclError aclInit(const char* config);
ACL_SIM_API aclError aclFinalize();
ACL_SIM_API const char* aclGetRecentErrMsg();
ACL_SIM_API const char* aclrtGetSocName();
ACL_SIM_API aclError aclrtGetVersion(int32_t* major, int32_t* minor, int32_t* patch);
ACL_SIM_API aclError aclsysGetCANNVersion(int name, aclCANNPackageVersion* version);
ACL_SIM_API aclError aclsysGetVersionStr(char* package, char* version);
ACL_SIM_API aclError aclsysGetVersionNum(char* package, int32_t* number);
ACL_SIM_API aclError aclGetCannAttribute(int attribute, int32_t* value);
ACL_SIM_API aclError aclGetDeviceCapability(uint32_t device, int info, int64_t* value);
ACL_SIM_API aclError aclrtGetDeviceInfo(uint32_t device, int attribute, int64_t* value);
ACL_SIM_API aclError aclrtCheckArchCompatibility(const char* soc, int32_t* compatible);
ACL_SIM_API aclError aclrtSetSysParamOpt(int option, int64_t value);
ACL_SIM_API aclError aclrtCtxSetSysParamOpt(int option, int64_t value);
ACL_SIM_API aclError aclrtGetLastError(int level);
ACL_SIM_API aclError aclrtPeekAtLastError(int level);
ACL_SIM_API aclError aclrtSetExceptionInfoCallback(aclrtExceptionInfoCallback callback);
ACL_SIM_API uint32_t aclrtGetTaskIdFromExceptionInfo(const aclrtExceptionInfo* info);
ACL_SIM_API uint32_t aclrtGetStreamIdFromExceptionInfo(const aclrtExceptionInfo* info);
ACL_SIM_API uint32_t aclrtGetThreadIdFromExceptionInfo(const aclrtExceptionInfo* info);
ACL_SIM_API uint32_t aclrtGetDeviceIdFromExceptionInfo(const aclrtExceptionInfo* info);
ACL_SIM_API uint32_t aclrtGetErrorCodeFromExceptionInfo(const aclrtExceptionInfo* info);

ACL_SIM_API aclError aclrtSetDevice(int32_t device);
ACL_SIM_API aclError aclrtResetDevice(int32_t device);
ACL_SIM_API aclError aclrtResetDeviceForce(int32_t device);
ACL_SIM_API aclError aclrtGetDevice(int32_t* device);
ACL_SIM_API aclError aclrtGetDeviceCount(uint32_t* count);
ACL_SIM_API aclError aclrtGetRunMode(int* mode);
ACL_SIM_API aclError aclrtSynchronizeDevice();
ACL_SIM_API aclError aclrtSynchronizeDeviceWithTimeout(int32_t ms);
ACL_SIM_API aclError aclrtQueryDeviceStatus(int32_t device, int* status);
ACL_SIM_API aclError aclrtGetDeviceUtilizationRate(int32_t device, aclrtUtilizationInfo* info);
ACL_SIM_API aclError aclrtCreateContext(aclrtContext* context, int32_t device);
ACL_SIM_API aclError aclrtDestroyContext(aclrtContext context);
ACL_SIM_API aclError aclrtSetCurrentContext(aclrtContext context);
ACL_SIM_API aclError aclrtGetCurrentContext(aclrtContext* context);
ACL_SIM_API aclError aclrtDeviceCanAccessPeer(int32_t* can, int32_t device, int32_t peer);
ACL_SIM_API aclError aclrtDeviceEnablePeerAccess(int32_t peer, uint32_t flags);
ACL_SIM_API aclError aclrtDeviceDisablePeerAccess(int32_t peer);
ACL_SIM_API aclError aclrtSetOpExecuteTimeOut(uint32_t seconds);

ACL_SIM_API aclError aclrtCreateStream(aclrtStream* stream);
ACL_SIM_API aclError aclrtCreateStreamWithConfig(aclrtStream* stream, uint32_t priority, uint32_t flag);
ACL_SIM_API aclError aclrtDestroyStream(aclrtStream stream);
ACL_SIM_API aclError aclrtDestroyStreamForce(aclrtStream stream);
ACL_SIM_API aclError aclrtSynchronizeStream(aclrtStream stream);
ACL_SIM_API aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t ms);
ACL_SIM_API aclError aclrtStreamQuery(aclrtStream stream, int* status);
ACL_SIM_API aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event);
ACL_SIM_API aclError aclrtSetStreamFailureMode(aclrtStream stream, uint64_t mode);
ACL_SIM_API aclError aclrtStreamAbort(aclrtStream stream);
ACL_SIM_API aclError aclrtLaunchHostFunc(aclrtStream stream, aclrtCallback function, void* data);
ACL_SIM_API aclError aclrtCreateEvent(aclrtEvent* event);
ACL_SIM_API aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag);
ACL_SIM_API aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag);
ACL_SIM_API aclError aclrtDestroyEvent(aclrtEvent event);
ACL_SIM_API aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream);
ACL_SIM_API aclError aclrtResetEvent(aclrtEvent event, aclrtStream stream);
ACL_SIM_API aclError aclrtQueryEventStatus(aclrtEvent event, int* status);
ACL_SIM_API aclError aclrtSynchronizeEvent(aclrtEvent event);
ACL_SIM_API aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t ms);
ACL_SIM_API aclError aclrtEventElapsedTime(float* ms, aclrtEvent start, aclrtEvent end);

ACL_SIM_API aclError aclrtMalloc(void** device, size_t size, int policy);
ACL_SIM_API aclError aclrtMallocAlign32(void** device, size_t size, int policy);
ACL_SIM_API aclError aclrtMallocCached(void** device, size_t size, int policy);
ACL_SIM_API aclError aclrtFree(void* device);
ACL_SIM_API aclError aclrtMallocHost(void** host, size_t size);
ACL_SIM_API aclError aclrtFreeHost(void* host);
ACL_SIM_API aclError aclrtMemcpy(void* to, size_t room, const void* from, size_t size, int kind);
ACL_SIM_API aclError aclrtMemcpyAsync(void* to, size_t room, const void* from, size_t size, int kind,
                                      aclrtStream stream);
ACL_SIM_API aclError aclrtMemset(void* device, size_t room, int32_t value, size_t size);
ACL_SIM_API aclError aclrtMemsetAsync(void* device, size_t room, int32_t value, size_t size, aclrtStream stream);
ACL_SIM_API aclError aclrtGetMemInfo(int kind, size_t* free, size_t* total);

ACL_SIM_API aclError aclmdlQuerySize(const char* file, size_t* work, size_t* weight);
ACL_SIM_API aclError aclmdlQuerySizeFromMem(const void* model, size_t size, size_t* work, size_t* weight);
ACL_SIM_API aclError aclmdlLoadFromFile(const char* path, uint32_t* id);
ACL_SIM_API aclError aclmdlLoadFromMem(const void* model, size_t size, uint32_t* id);
ACL_SIM_API aclError aclmdlLoadFromFileWithMem(const char* path, uint32_t* id, void* work, size_t work_size,
                                               void* weight, size_t weight_size);
ACL_SIM_API aclError aclmdlLoadFromMemWithMem(const void* model, size_t size, uint32_t* id, void* work,
                                              size_t work_size, void* weight, size_t weight_size);
ACL_SIM_API aclmdlConfigHandle* aclmdlCreateConfigHandle();
ACL_SIM_API aclError aclmdlDestroyConfigHandle(aclmdlConfigHandle* handle);
ACL_SIM_API aclError aclmdlSetConfigOpt(aclmdlConfigHandle* handle, int attribute, const void* value, size_t size);
ACL_SIM_API aclError aclmdlLoadWithConfig(const aclmdlConfigHandle* handle, uint32_t* id);
ACL_SIM_API aclError aclmdlUnload(uint32_t id);

ACL_SIM_API aclmdlDesc* aclmdlCreateDesc();
ACL_SIM_API aclError aclmdlDestroyDesc(aclmdlDesc* desc);
ACL_SIM_API aclError aclmdlGetDesc(aclmdlDesc* desc, uint32_t id);
ACL_SIM_API aclError aclmdlGetDescFromFile(aclmdlDesc* desc, const char* path);
ACL_SIM_API size_t aclmdlGetNumInputs(aclmdlDesc* desc);
ACL_SIM_API size_t aclmdlGetNumOutputs(aclmdlDesc* desc);
ACL_SIM_API size_t aclmdlGetInputSizeByIndex(aclmdlDesc* desc, size_t index);
ACL_SIM_API size_t aclmdlGetOutputSizeByIndex(aclmdlDesc* desc, size_t index);
ACL_SIM_API const char* aclmdlGetInputNameByIndex(const aclmdlDesc* desc, size_t index);
ACL_SIM_API const char* aclmdlGetOutputNameByIndex(const aclmdlDesc* desc, size_t index);
ACL_SIM_API const char* aclmdlGetTensorRealName(const aclmdlDesc* desc, const char* name);
ACL_SIM_API aclError aclmdlGetInputIndexByName(const aclmdlDesc* desc, const char* name, size_t* index);
ACL_SIM_API aclError aclmdlGetOutputIndexByName(const aclmdlDesc* desc, const char* name, size_t* index);
ACL_SIM_API aclError aclmdlGetInputDims(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims);
ACL_SIM_API aclError aclmdlGetInputDimsV2(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims);
ACL_SIM_API aclError aclmdlGetOutputDims(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims);
ACL_SIM_API aclError aclmdlGetCurOutputDims(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims);
ACL_SIM_API aclError aclmdlGetInputDimsRange(const aclmdlDesc* desc, size_t index, aclmdlIODimsRange* range);
ACL_SIM_API int aclmdlGetInputDataType(const aclmdlDesc* desc, size_t index);
ACL_SIM_API int aclmdlGetOutputDataType(const aclmdlDesc* desc, size_t index);
ACL_SIM_API int aclmdlGetInputFormat(const aclmdlDesc* desc, size_t index);
ACL_SIM_API int aclmdlGetOutputFormat(const aclmdlDesc* desc, size_t index);
ACL_SIM_API aclError aclmdlGetDynamicBatch(const aclmdlDesc* desc, aclmdlBatch* batch);
ACL_SIM_API aclError aclmdlGetDynamicHW(const aclmdlDesc* desc, size_t index, aclmdlHW* hw);
ACL_SIM_API aclError aclmdlGetInputDynamicGearCount(const aclmdlDesc* desc, size_t index, size_t* count);
ACL_SIM_API aclError aclmdlGetInputDynamicDims(const aclmdlDesc* desc, size_t index, aclmdlIODims* dims, size_t count);

ACL_SIM_API aclDataBuffer* aclCreateDataBuffer(void* data, size_t size);
ACL_SIM_API aclError aclDestroyDataBuffer(const aclDataBuffer* buffer);
ACL_SIM_API aclError aclUpdateDataBuffer(aclDataBuffer* buffer, void* data, size_t size);
ACL_SIM_API void* aclGetDataBufferAddr(const aclDataBuffer* buffer);
ACL_SIM_API uint32_t aclGetDataBufferSize(const aclDataBuffer* buffer);
ACL_SIM_API size_t aclGetDataBufferSizeV2(const aclDataBuffer* buffer);
ACL_SIM_API aclTensorDesc* aclCreateTensorDesc(int type, int rank, const int64_t* dims, int format);
ACL_SIM_API void aclDestroyTensorDesc(const aclTensorDesc* desc);
ACL_SIM_API size_t aclGetTensorDescNumDims(const aclTensorDesc* desc);
ACL_SIM_API aclError aclGetTensorDescDimV2(const aclTensorDesc* desc, size_t index, int64_t* size);
ACL_SIM_API int aclGetTensorDescType(const aclTensorDesc* desc);
ACL_SIM_API size_t aclGetTensorDescSize(const aclTensorDesc* desc);
ACL_SIM_API aclmdlDataset* aclmdlCreateDataset();
ACL_SIM_API aclError aclmdlDestroyDataset(const aclmdlDataset* dataset);
ACL_SIM_API aclError aclmdlAddDatasetBuffer(aclmdlDataset* dataset, aclDataBuffer* buffer);
ACL_SIM_API size_t aclmdlGetDatasetNumBuffers(const aclmdlDataset* dataset);
ACL_SIM_API aclDataBuffer* aclmdlGetDatasetBuffer(const aclmdlDataset* dataset, size_t index);
ACL_SIM_API aclError aclmdlSetDatasetTensorDesc(aclmdlDataset* dataset, aclTensorDesc* desc, size_t index);
ACL_SIM_API aclTensorDesc* aclmdlGetDatasetTensorDesc(const aclmdlDataset* dataset, size_t index);

ACL_SIM_API aclError aclmdlSetDynamicBatchSize(uint32_t id, aclmdlDataset* inputs, size_t index, uint64_t batch);
ACL_SIM_API aclError aclmdlSetDynamicHWSize(uint32_t id, aclmdlDataset* inputs, size_t index, uint64_t h, uint64_t w);
ACL_SIM_API aclError aclmdlSetInputDynamicDims(uint32_t id, aclmdlDataset* inputs, size_t index,
                                               const aclmdlIODims* dims);
ACL_SIM_API aclError aclmdlExecute(uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs);
ACL_SIM_API aclError aclmdlExecuteAsync(uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs,
                                        aclrtStream stream);
ACL_SIM_API aclmdlExecConfigHandle* aclmdlCreateExecConfigHandle();
ACL_SIM_API aclError aclmdlDestroyExecConfigHandle(const aclmdlExecConfigHandle* handle);
ACL_SIM_API aclError aclmdlSetExecConfigOpt(aclmdlExecConfigHandle* handle, int attribute, const void* value,
                                            size_t size);
ACL_SIM_API aclError aclmdlExecuteV2(uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs,
                                     aclrtStream stream, const aclmdlExecConfigHandle* config);
ACL_SIM_API aclError aclmdlExecuteAsyncV2(uint32_t id, const aclmdlDataset* inputs, aclmdlDataset* outputs,
                                          aclrtStream stream, const aclmdlExecConfigHandle* config);

// Of the simulator alone, for tests in the same process.
// JSON; valid until the thread's next call
ACL_SIM_API const char* ascend_sim_report();
ACL_SIM_API void ascend_sim_set(const char* settings);  // like INKSTONE_ASCEND_SIM; adds faults
ACL_SIM_API void ascend_sim_reset();                    // all forgotten; only while nothing runs
