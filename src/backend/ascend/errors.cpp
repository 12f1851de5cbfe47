// The tables are of docs/ascend.md ("error codes" and "failures").
#include "backend/ascend/errors.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace inkstone::ascend {
namespace {

// Advice for codes; several codes share one.
constexpr const char* kOurs = "this is a mistake of Inkstone's: please report it with this line";
constexpr const char* kStub =
    "this is CANN's stub library for compiling only (devlib): let LD_LIBRARY_PATH or INKSTONE_ASCENDCL name the real "
    "one";
constexpr const char* kFile =
    "the file is damaged, incomplete or of a newer CANN than this machine's: compile it again (inkstone export)";
constexpr const char* kMemory =
    "not enough device memory: see what else uses the chip (npu-smi info), or use a smaller size or batch, or tiles "
    "for "
    "the VAE (inkstone export --vae-tile)";
constexpr const char* kVisible =
    "no such device: see npu-smi info; in a container it must be mounted (/dev/davinciN, /dev/davinci_manager, "
    "/dev/devmm_svm, /dev/hisi_hdc) and ASCEND_RT_VISIBLE_DEVICES must name it";
constexpr const char* kSetUp =
    "the chip cannot be opened: it is used by another container, the user is not in the group HwHiAiUser, or driver "
    "and "
    "firmware do not fit each other: see npu-smi info";
constexpr const char* kKernel =
    "a kernel failed on the chip: the worker is to be started anew; if it happens again, report it with the CANN "
    "version "
    "(a buffer too small, or a fault of CANN's kernel)";
constexpr const char* kSlow = "a kernel ran for too long: use a smaller size or batch, and start the worker anew";
constexpr const char* kAicpu =
    "an operator ran on the chip's AI CPU and failed: is the AICPU package of this CANN installed? Start the worker "
    "anew";
constexpr const char* kTimeout =
    "the device did not finish in time: start the worker anew; if the image is just large, set INKSTONE_STEP_TIMEOUT "
    "to more seconds";
constexpr const char* kHardware =
    "the chip's memory has failed: take this card out of service (npu-smi info -t health)";
constexpr const char* kGone = "the chip does not answer: reset it (npu-smi set -t reset) or reboot; see npu-smi info";
constexpr const char* kShape = "the file does not take these sizes: compile it again (inkstone export)";
constexpr const char* kVirtual =
    "this (virtual) chip cannot run the file: compile it with --virtual_type=1, or use the whole chip";

struct Row {
  Code code;
  const char* name;
  Outcome outcome = Outcome::kRefused;
  const char* advice = nullptr;
};
constexpr Outcome kRefused = Outcome::kRefused, kNoMemory = Outcome::kOutOfMemory, kLost = Outcome::kLost;

constexpr Row kRows[] = {
    // of the caller and what surrounds it
    {100000, "ACL_ERROR_INVALID_PARAM", kRefused, kOurs},
    {100001, "ACL_ERROR_UNINITIALIZE", kRefused, kOurs},
    {kAlreadyInitialised, "ACL_ERROR_REPEAT_INITIALIZE"},
    {100003, "ACL_ERROR_INVALID_FILE", kRefused, kFile},
    {100004, "ACL_ERROR_WRITE_FILE"},
    {100005, "ACL_ERROR_INVALID_FILE_SIZE", kRefused, kFile},
    {100006, "ACL_ERROR_PARSE_FILE", kRefused, kFile},
    {100011, "ACL_ERROR_INVALID_MODEL_ID", kRefused, kOurs},
    {100012, "ACL_ERROR_DESERIALIZE_MODEL", kRefused, kFile},
    {100013, "ACL_ERROR_PARSE_MODEL", kRefused, kFile},
    {100014, "ACL_ERROR_READ_MODEL_FAILURE", kRefused, kFile},
    {100015, "ACL_ERROR_MODEL_SIZE_INVALID", kRefused, kFile},
    {100016, "ACL_ERROR_MODEL_MISSING_ATTR", kRefused, kFile},
    {100017, "ACL_ERROR_MODEL_INPUT_NOT_MATCH", kRefused, kShape},
    {100018, "ACL_ERROR_MODEL_OUTPUT_NOT_MATCH", kRefused, kShape},
    {100019, "ACL_ERROR_MODEL_NOT_DYNAMIC", kRefused, kShape},
    {100024, "ACL_ERROR_OP_NOT_FOUND"},
    {100026, "ACL_ERROR_UNSUPPORTED_DATA_TYPE"},
    {100027, "ACL_ERROR_FORMAT_NOT_MATCH"},
    {100037, "ACL_ERROR_REPEAT_FINALIZE"},
    {100039, "ACL_ERROR_COMPILING_STUB_MODE", kRefused, kStub},
    {148049, "ACL_ERROR_INVALID_OPP_PATH", kRefused,
     "ASCEND_OPP_PATH is wrong: source CANN's set_env.sh in this shell"},
    {148053, "ACL_ERROR_INVALID_BUNDLE_MODEL_ID", kRefused, kOurs},
    {200000, "ACL_ERROR_BAD_ALLOC", kNoMemory, kMemory},
    {200001, "ACL_ERROR_API_NOT_SUPPORT"},
    {200002, "ACL_ERROR_INVALID_DEVICE", kRefused, kVisible},
    {200006, "ACL_ERROR_FEATURE_UNSUPPORTED"},
    {300000, "ACL_ERROR_STORAGE_OVER_LIMIT"},
    {500000, "ACL_ERROR_INTERNAL_ERROR"},
    {500001, "ACL_ERROR_FAILURE"},
    {500002, "ACL_ERROR_GE_FAILURE"},
    {500003, "ACL_ERROR_RT_FAILURE"},
    {500004, "ACL_ERROR_DRV_FAILURE"},
    {500005, "ACL_ERROR_PROFILING_FAILURE"},
    // of the runtime
    {107000, "ACL_ERROR_RT_PARAM_INVALID", kRefused, kOurs},
    {107001, "ACL_ERROR_RT_INVALID_DEVICEID", kRefused, kVisible},
    {107002, "ACL_ERROR_RT_CONTEXT_NULL", kRefused, kOurs},
    {107003, "ACL_ERROR_RT_STREAM_CONTEXT", kRefused, kOurs},
    {107004, "ACL_ERROR_RT_MODEL_CONTEXT", kRefused, kOurs},
    {107005, "ACL_ERROR_RT_STREAM_MODEL", kRefused, kOurs},
    {107006, "ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID"},
    {107007, "ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL"},
    {107008, "ACL_ERROR_RT_ADDR_UNALIGNED", kRefused, kOurs},
    {107016, "ACL_ERROR_RT_MEMORY_TYPE", kRefused, kOurs},
    {107017, "ACL_ERROR_RT_INVALID_HANDLE", kRefused, kOurs},
    {107019, "ACL_ERROR_RT_WAIT_TIMEOUT", kLost, kTimeout},
    {107020, "ACL_ERROR_RT_TASK_TIMEOUT", kLost, kTimeout},
    {107022, "ACL_ERROR_RT_DEVICE_TASK_ABORT", kLost, kKernel},
    {107023, "ACL_ERROR_RT_STREAM_ABORT", kLost, kKernel},
    {207000, "ACL_ERROR_RT_FEATURE_NOT_SUPPORT"},
    {207001, "ACL_ERROR_RT_MEMORY_ALLOCATION", kNoMemory, kMemory},
    {207002, "ACL_ERROR_RT_MEMORY_FREE"},
    {207003, "ACL_ERROR_RT_AICORE_OVER_FLOW"},
    {207004, "ACL_ERROR_RT_NO_DEVICE", kRefused, kVisible},
    {207005, "ACL_ERROR_RT_RESOURCE_ALLOC_FAIL"},
    {207006, "ACL_ERROR_RT_NO_PERMISSION", kRefused, kSetUp},
    {207007, "ACL_ERROR_RT_NO_EVENT_RESOURCE"},
    {207008, "ACL_ERROR_RT_NO_STREAM_RESOURCE"},
    {207010, "ACL_ERROR_RT_NO_MODEL_RESOURCE"},
    {207012, "ACL_ERROR_RT_RESOURCE_OVER_LIMIT"},
    {207018, "ACL_ERROR_RT_DEVICE_OOM", kNoMemory, kMemory},
    {507000, "ACL_ERROR_RT_INTERNAL_ERROR"},
    {507001, "ACL_ERROR_RT_TS_ERROR"},
    {507002, "ACL_ERROR_RT_STREAM_TASK_FULL"},
    {507008, "ACL_ERROR_RT_SOC_VERSION", kRefused, "the file was compiled for another chip: compile it for this one"},
    {507009, "ACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT", kRefused, kVirtual},
    {507010, "ACL_ERROR_RT_LOST_HEARTBEAT", kLost, kGone},
    {507011, "ACL_ERROR_RT_MODEL_EXECUTE", kRefused, kShape},
    {507012, "ACL_ERROR_RT_REPORT_TIMEOUT", kLost, kTimeout},
    {507013, "ACL_ERROR_RT_SYS_DMA"},
    {507014, "ACL_ERROR_RT_AICORE_TIMEOUT", kLost, kSlow},
    {507015, "ACL_ERROR_RT_AICORE_EXCEPTION", kLost, kKernel},
    {507016, "ACL_ERROR_RT_AICORE_TRAP_EXCEPTION", kLost, kKernel},
    {507017, "ACL_ERROR_RT_AICPU_TIMEOUT", kLost, kAicpu},
    {507018, "ACL_ERROR_RT_AICPU_EXCEPTION", kLost, kAicpu},
    {507033, "ACL_ERROR_RT_DEV_SETUP_ERROR", kRefused, kSetUp},
    {507034, "ACL_ERROR_RT_VECTOR_CORE_TIMEOUT", kLost, kSlow},
    {507035, "ACL_ERROR_RT_VECTOR_CORE_EXCEPTION", kLost, kKernel},
    {507036, "ACL_ERROR_RT_VECTOR_CORE_TRAP_EXCEPTION", kLost, kKernel},
    {507046, "ACL_ERROR_RT_STREAM_SYNC_TIMEOUT", kLost, kTimeout},
    {507047, "ACL_ERROR_RT_EVENT_SYNC_TIMEOUT", kLost, kTimeout},
    {507048, "ACL_ERROR_RT_FFTS_PLUS_TIMEOUT", kLost, kSlow},
    {507049, "ACL_ERROR_RT_FFTS_PLUS_EXCEPTION", kLost, kKernel},
    {507050, "ACL_ERROR_RT_FFTS_PLUS_TRAP_EXCEPTION", kLost, kKernel},
    {507051, "ACL_ERROR_RT_SEND_MSG", kLost, kGone},
    {507053, "ACL_ERROR_RT_DEVICE_MEM_ERROR", kLost, kHardware},
    {507054, "ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR", kLost, kHardware},
    {507899, "ACL_ERROR_RT_DRV_INTERNAL_ERROR", kLost, kGone},
    {507900, "ACL_ERROR_RT_AICPU_INTERNAL_ERROR", kLost, kAicpu},
    {507901, "ACL_ERROR_RT_SOCKET_CLOSE", kLost, kGone},
    // of the graph engine
    {145000, "ACL_ERROR_GE_PARAM_INVALID", kRefused, kShape},
    {145001, "ACL_ERROR_GE_EXEC_NOT_INIT", kRefused, kOurs},
    {145002, "ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID", kRefused, kFile},
    {145003, "ACL_ERROR_GE_EXEC_MODEL_ID_INVALID", kRefused, kOurs},
    {145006, "ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID", kRefused, kFile},
    {145007, "ACL_ERROR_GE_EXEC_MODEL_ADDR_INVALID", kRefused, kOurs},
    {145011, "ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID", kRefused, kOurs},
    {145012, "ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID", kRefused, kOurs},
    {145013, "ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID", kRefused, kShape},
    {145019, "ACL_ERROR_GE_PLUGIN_PATH_INVALID"},
    {145020, "ACL_ERROR_GE_FORMAT_INVALID", kRefused, kShape},
    {145021, "ACL_ERROR_GE_SHAPE_INVALID", kRefused, kShape},
    {145022, "ACL_ERROR_GE_DATATYPE_INVALID", kRefused, kShape},
    {245000, "ACL_ERROR_GE_MEMORY_ALLOCATION", kNoMemory, kMemory},
    {245001, "ACL_ERROR_GE_MEMORY_OPERATE_FAILED"},
    {245002, "ACL_ERROR_GE_DEVICE_MEMORY_ALLOCATION_FAILED", kNoMemory, kMemory},
    {545000, "ACL_ERROR_GE_INTERNAL_ERROR"},
    {545001, "ACL_ERROR_GE_LOAD_MODEL", kRefused, kFile},
    {545002, "ACL_ERROR_GE_EXEC_LOAD_MODEL_PARTITION_FAILED", kRefused, kFile},
    {545003, "ACL_ERROR_GE_EXEC_LOAD_WEIGHT_PARTITION_FAILED", kRefused, kFile},
    {545004, "ACL_ERROR_GE_EXEC_LOAD_TASK_PARTITION_FAILED", kRefused, kFile},
    {545005, "ACL_ERROR_GE_EXEC_LOAD_KERNEL_PARTITION_FAILED", kRefused, kFile},
    {545009, "ACL_ERROR_GE_EXEC_UNLOAD_MODEL_FAILED"},
    {545601, "ACL_ERROR_GE_MODEL_EXECUTE_TIMEOUT", kLost, kTimeout},
};

const Row* find(Code code) {
  const auto row = std::ranges::find(kRows, code, &Row::code);
  return row == std::end(kRows) ? nullptr : row;
}

// Decimal; the graph engine's own codes are known by their hexadecimal form.
std::string number(Code code) {
  constexpr Code kMaxPublished = 999'999;
  std::string text = std::to_string(static_cast<uint32_t>(code));
  if (code >= 0 && code <= kMaxPublished) return text;
  char hex[16];
  std::snprintf(hex, sizeof hex, "0x%08X", static_cast<uint32_t>(code));
  return text + " (" + hex + ")";
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

std::string one_line(const std::string& text) {
  constexpr size_t kMax = 2000;
  std::string line;
  bool gap = false;
  for (const char c : text.substr(0, kMax)) {
    if (static_cast<unsigned char>(c) <= ' ') {
      gap = true;
      continue;
    }
    if (gap && !line.empty()) line += ' ';
    gap = false;
    line += c;
  }
  return text.size() > kMax ? line + " ..." : line;
}

std::string text_of(const Failure& failure) {
  std::string text = failure.device.empty() ? "" : failure.device + ": ";
  text += failure.call + " failed with " + number(failure.code) + " " + name_of_code(failure.code);
  if (!failure.file.empty()) text += ", file " + failure.file;
  if (!failure.soc.empty()) text += ", chip " + failure.soc;
  if (!failure.cann.empty()) text += ", CANN " + failure.cann;
  const std::string message = one_line(failure.message);
  if (!message.empty()) text += "; CANN says: " + message;
  const std::string advice = advice_for(failure.code, message, failure.soc);
  return advice.empty() ? text : text + "; " + advice;
}

}  // namespace

Outcome outcome_of(Code code) {
  const Row* row = find(code);
  return row ? row->outcome : Outcome::kRefused;
}

std::string name_of_code(Code code) {
  const Row* row = find(code);
  return row ? row->name : "(a code without a published name)";
}

std::string advice_for(Code code, const std::string& message, const std::string& soc) {
  // What CANN's text says is closer to the cause than a general code.
  const std::string chip = soc.substr(0, soc.find('('));
  if (has(message, "soc_version") || has(message, "soc version"))
    return "the file was compiled for another chip: compile it with inkstone export --soc " +
           (chip.empty() ? "CHIP" : chip);
  if (has(message, "EL0004") || has(message, "Failed to allocate memory")) return kMemory;
  if (has(message, "does not match the current opp"))
    return "the file was compiled with another CANN: compile it with the installed one (inkstone export)";
  const Row* row = find(code);
  if (row && row->advice) return row->advice;
  return "what CANN wrote is in $HOME/ascend/log (ASCEND_GLOBAL_LOG_LEVEL=1 writes more)";
}

Error::Kind kind_of(Code code) {
  switch (outcome_of(code)) {
    case Outcome::kLost: return Error::Kind::kDeviceLost;
    case Outcome::kOutOfMemory: return Error::Kind::kOutOfMemory;
    default: return Error::Kind::kOther;
  }
}

AclError::AclError(const Failure& failure, const char* where)
    : Error(text_of(failure), where, kind_of(failure.code)), code_(failure.code) {}

}  // namespace inkstone::ascend
