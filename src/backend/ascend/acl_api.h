// AscendCL as this program uses it: declarations of our own for functions that are opened at run
// time (library.h). Names, types and values are those of the published interface of CANN 7 to 9; no
// vendor header is needed, or copied.
#pragma once

#include <cstddef>
#include <cstdint>

namespace inkstone::ascend {

using Code = int;  // 0: done
using Opaque = void*;
using ModelId = uint32_t;

// C enumerations are passed as int.
enum MemoryPolicy : int { kHugePagesFirst = 0 };
// HBM; the DDR of a chip that has none
enum MemoryKind : int { kDeviceMemory = 1 };
enum CopyKind : int { kHostToDevice = 1, kDeviceToHost = 2, kDeviceToDevice = 3 };
// Where this process runs: on the chip's own processor, or on a server's.
enum RunMode : int { kOnDevice = 0, kOnHost = 1 };
enum ElementType : int { kAclFloat = 0, kAclFloat16 = 1, kAclInt32 = 3, kAclBFloat16 = 27 };
enum PackageName : int { kPackageCann = 0, kPackageToolkit = 4 };
inline constexpr uint64_t kStopOnFailure = 1;  // of a stream
inline constexpr const char* kGearInput = "ascend_mbatch_shape_data";

struct Dims {  // 1160 bytes
  char name[128];
  size_t count;
  int64_t sizes[128];
};
static_assert(sizeof(Dims) == 1160);

struct PackageVersion {
  char version[128];
  char major[64], minor[64], release[64], patch[64];
  char reserved[128];
};

// X(name, result, (arguments)): without one of these nothing runs.
#define INKSTONE_ACL_REQUIRED(X)                                                                                   \
  X(aclInit, Code, (const char* config))                                                                           \
  X(aclFinalize, Code, ())                                                                                         \
  X(aclGetRecentErrMsg, const char*, ())                                                                           \
  X(aclrtGetSocName, const char*, ())                                                                              \
  X(aclrtGetDeviceCount, Code, (uint32_t * count))                                                                 \
  X(aclrtGetRunMode, Code, (int* mode))                                                                            \
  X(aclrtSetDevice, Code, (int32_t device))                                                                        \
  X(aclrtResetDevice, Code, (int32_t device))                                                                      \
  X(aclrtCreateContext, Code, (Opaque * context, int32_t device))                                                  \
  X(aclrtDestroyContext, Code, (Opaque context))                                                                   \
  X(aclrtSetCurrentContext, Code, (Opaque context))                                                                \
  X(aclrtCreateStream, Code, (Opaque * stream))                                                                    \
  X(aclrtDestroyStream, Code, (Opaque stream))                                                                     \
  X(aclrtSynchronizeStream, Code, (Opaque stream))                                                                 \
  X(aclrtMalloc, Code, (void** memory, size_t bytes, int policy))                                                  \
  X(aclrtFree, Code, (void* memory))                                                                               \
  X(aclrtMallocHost, Code, (void** memory, size_t bytes))                                                          \
  X(aclrtFreeHost, Code, (void* memory))                                                                           \
  X(aclrtGetMemInfo, Code, (int kind, size_t* free, size_t* total))                                                \
  X(aclrtMemcpyAsync, Code, (void* to, size_t max_bytes, const void* from, size_t bytes, int kind, Opaque stream)) \
  X(aclmdlQuerySize, Code, (const char* file, size_t* work, size_t* weights))                                      \
  X(aclmdlLoadFromFileWithMem, Code,                                                                               \
    (const char* file, ModelId* model, void* work, size_t work_bytes, void* weights, size_t weight_bytes))         \
  X(aclmdlUnload, Code, (ModelId model))                                                                           \
  X(aclmdlCreateDesc, Opaque, ())                                                                                  \
  X(aclmdlDestroyDesc, Code, (Opaque desc))                                                                        \
  X(aclmdlGetDesc, Code, (Opaque desc, ModelId model))                                                             \
  X(aclmdlGetNumInputs, size_t, (Opaque desc))                                                                     \
  X(aclmdlGetNumOutputs, size_t, (Opaque desc))                                                                    \
  X(aclmdlGetInputSizeByIndex, size_t, (Opaque desc, size_t at))                                                   \
  X(aclmdlGetOutputSizeByIndex, size_t, (Opaque desc, size_t at))                                                  \
  X(aclmdlGetInputNameByIndex, const char*, (Opaque desc, size_t at))                                              \
  X(aclmdlGetOutputNameByIndex, const char*, (Opaque desc, size_t at))                                             \
  X(aclmdlGetInputDims, Code, (Opaque desc, size_t at, Dims * dims))                                               \
  X(aclmdlGetOutputDims, Code, (Opaque desc, size_t at, Dims * dims))                                              \
  X(aclmdlGetInputDataType, int, (Opaque desc, size_t at))                                                         \
  X(aclmdlGetOutputDataType, int, (Opaque desc, size_t at))                                                        \
  X(aclmdlCreateDataset, Opaque, ())                                                                               \
  X(aclmdlDestroyDataset, Code, (Opaque dataset))                                                                  \
  X(aclmdlAddDatasetBuffer, Code, (Opaque dataset, Opaque buffer))                                                 \
  X(aclCreateDataBuffer, Opaque, (void* memory, size_t bytes))                                                     \
  X(aclDestroyDataBuffer, Code, (Opaque buffer))                                                                   \
  X(aclUpdateDataBuffer, Code, (Opaque buffer, void* memory, size_t bytes))                                        \
  X(aclmdlSetInputDynamicDims, Code, (ModelId model, Opaque dataset, size_t at, const Dims* dims))                 \
  X(aclmdlExecuteAsync, Code, (ModelId model, Opaque inputs, Opaque outputs, Opaque stream))

// Null where the CANN at hand lacks them.
#define INKSTONE_ACL_OPTIONAL(X)                                          \
  X(aclrtResetDeviceForce, Code, (int32_t device))                        \
  X(aclrtDestroyStreamForce, Code, (Opaque stream))                       \
  X(aclrtSynchronizeStreamWithTimeout, Code, (Opaque stream, int32_t ms)) \
  X(aclrtSetStreamFailureMode, Code, (Opaque stream, uint64_t mode))      \
  X(aclsysGetVersionStr, Code, (char* package, char* version))            \
  X(aclsysGetCANNVersion, Code, (int package, PackageVersion* version))   \
  X(aclmdlGetTensorRealName, const char*, (Opaque desc, const char* name))

struct Api {
#define INKSTONE_ACL_MEMBER(name, result, arguments) result(*name) arguments = nullptr;
  INKSTONE_ACL_REQUIRED(INKSTONE_ACL_MEMBER)
  INKSTONE_ACL_OPTIONAL(INKSTONE_ACL_MEMBER)
#undef INKSTONE_ACL_MEMBER
};

}  // namespace inkstone::ascend
