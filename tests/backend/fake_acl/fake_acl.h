// What tests ask of the fake libascendcl.so (fake_acl.cpp) beside AscendCL's own functions. Found
// with dlsym().
#pragma once

#include <cstddef>

struct FakeAcl {
  // The nth call of it from now on, 1 the next, gives this code; every one after it too where
  // `always`.
  void (*fail)(const char* call, int nth, int code, bool always);
  // no failures, memory without limit, counts from zero
  void (*clear)();
  long (*live)();                   // handles and memory not given back
  long (*calls)(const char* call);  // since clear()
  long (*violations)();             // calls that AscendCL does not allow
  void (*limit)(size_t bytes);      // of device memory
};
extern "C" const FakeAcl* fake_acl();
