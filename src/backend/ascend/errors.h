// What AscendCL's codes are called, what they mean for the device, and what a user can do; one
// error for every failing call.
#pragma once

#include <string>

#include "backend/ascend/acl_api.h"
#include "base/error.h"

namespace inkstone::ascend {

// by another library of this process: benign
inline constexpr Code kAlreadyInitialised = 100002;

enum class Outcome {
  kRefused,  // the call; the device goes on
  // the same, and with less memory in use it may succeed
  kOutOfMemory,
  // the device's context is broken: nothing works until a new process, or a repair
  kLost,
};
Outcome outcome_of(Code code);
std::string name_of_code(Code code);  // "ACL_ERROR_RT_AICORE_EXCEPTION", or "unknown code"
std::string advice_for(Code code, const std::string& message, const std::string& soc);

struct Failure {
  std::string call;  // "aclrtMalloc"
  Code code = 0;
  // aclGetRecentErrMsg, read on the thread that failed; may be empty
  std::string message;
  std::string device, soc, cann;  // "npu:0", "Ascend910B4", "8.1.RC1"; empty: unknown
  std::string file;               // the model's, where one is concerned
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
