// What a client is told of an error: its kind and a text without paths, addresses or broken
// characters.
#pragma once

#include <string>

#include "base/error.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {

// The files of a model or an adapter are no longer those that the gateway listed.
class FilesChanged : public Error {
 public:
  using Error::Error;
};

// Of the exception that is being handled. The whole of it goes to standard error. A lost device is
// no job's fault: it is thrown on.
JobFault fault_of_current(JobId job);
JobFault fault_of(JobId job, Error::Kind kind, const std::string& what);

}  // namespace inkstone::serve
