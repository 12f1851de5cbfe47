#include "serve/worker/faults.h"

#include <new>

#include "base/error.h"
#include "base/utf8.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

void tell(JobId job, const char* what) {
  log_line(LogLevel::kError, "job_fault", {{"worker_job", job}, {"reason", what}});
}

JobFault out_of_memory(JobId job) {
  return {job, "out_of_memory", "there was not enough memory for this image: a smaller one needs less"};
}

}  // namespace

JobFault fault_of(JobId job, Error::Kind kind, const std::string& what) {
  tell(job, what.c_str());
  switch (kind) {
    case Error::Kind::kNotFinite: return {job, "nan_output", clean_utf8(what)};
    case Error::Kind::kOutOfMemory: return out_of_memory(job);
    case Error::Kind::kOther:
    case Error::Kind::kDeviceLost: break;
  }
  return {job, "internal", "the worker failed at this image; its log says why"};
}

JobFault fault_of_current(JobId job) {
  try {
    throw;
  } catch (const FilesChanged& error) {
    tell(job, error.what());
    return {job, "model_changed", "a file of the model or of an adapter has changed: ask again after a rescan"};
  } catch (const UsageError& error) {
    return {job, "bad_request", clean_utf8(error.what())};
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::kDeviceLost) throw;
    return fault_of(job, error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    tell(job, "no memory");
    return out_of_memory(job);
  } catch (const std::exception& error) {
    return fault_of(job, Error::Kind::kOther, error.what());
  }
}

}  // namespace inkstone::serve
