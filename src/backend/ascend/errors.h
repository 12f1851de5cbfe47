// The names of AscendCL's codes, what they mean for the device, and what a user can do. A failing
// call throws AclError.
#pragma once

#include <string>

#include "backend/ascend/acl_api.h"
#include "base/error.h"

namespace inkstone::ascend {

// Another library of this process has done it; harmless.
inline constexpr Code kAlreadyInitialised = 100002;

enum class Outcome {
  // The call failed; the device still works.
  kRefused,
  // As kRefused; with less memory in use the call may succeed.
  kOutOfMemory,
  // The device's context is broken: nothing works until a new process starts, or the card is
  // repaired.
  kLost,
};
Outcome outcome_of(Code code);
std::string name_of_code(Code code);  // "ACL_ERROR_RT_AICORE_EXCEPTION", or "unknown code"
std::string advice_for(Code code, const std::string& message, const std::string& soc);

struct Failure {
  std::string call;  // "aclrtMalloc"
  Code code = 0;
  // From aclGetRecentErrMsg, read on the thread that failed. May be empty.
  std::string message;
  std::string device, soc, cann;  // "npu:0", "Ascend910B4", "8.1.RC1"; empty: unknown
  // the model's, if it is about one
  std::string file;
};

Error::Kind kind_of(Code code);

class AclError : public Error {
 public:
  AclError(const Failure& failure, const char* where);
  AclError(const std::string& what, Code code, const char* where) : Error(what, where, kind_of(code)), code_(code) {}
  Code code() const { return code_; }
  bool device_lost() const { return kind() == Kind::kDeviceLost; }
  bool out_of_memory() const { return kind() == Kind::kOutOfMemory; }

 private:
  Code code_;
};

}  // namespace inkstone::ascend
