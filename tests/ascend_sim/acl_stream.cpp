// Streams: made, waited for, aborted, destroyed.
#include "thread_state.h"
#include "world.h"

using namespace ascend_sim;

namespace {

aclError create(const char* call, aclrtStream* stream) {
  return call_api(call, Need::kContext, [&]() -> aclError {
    auto made = std::make_unique<Stream>(*current_context());
    std::lock_guard lock(world().mutex);
    *stream = made.get();
    world().streams[made.get()] = std::move(made);
    return kOk;
  });
}

aclError destroy(const char* call, aclrtStream handle, bool force) {
  return call_api(call, Need::kRelease, [&]() -> aclError {
    aclError code;
    Stream* stream = handle ? stream_of(handle, code) : nullptr;
    if (!stream) return handle ? code : fail(kInvalidParam, "EE1001", "the stream is a null pointer");
    std::unique_ptr<Stream> owned;
    {
      std::lock_guard lock(world().mutex);
      if (!force && !stream->idle()) world().violation("a stream destroyed while it works");
      owned = std::move(world().streams.at(stream));
      world().streams.erase(stream);
    }
    if (force || is_fatal(owned->context.broken)) owned->abort();
    return kOk;  // the stream's thread ends here
  });
}

aclError synchronize(const char* call, aclrtStream handle, int ms) {
  return call_api(call, Need::kContext, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(handle, code);
    return stream ? stream->synchronize(ms) : code;
  });
}

}  // namespace

aclError aclrtCreateStream(aclrtStream* stream) { return create("aclrtCreateStream", stream); }
aclError aclrtCreateStreamWithConfig(aclrtStream* stream, uint32_t, uint32_t) {
  return create("aclrtCreateStreamWithConfig", stream);
}
aclError aclrtDestroyStream(aclrtStream stream) { return destroy("aclrtDestroyStream", stream, false); }
aclError aclrtDestroyStreamForce(aclrtStream stream) { return destroy("aclrtDestroyStreamForce", stream, true); }
aclError aclrtSynchronizeStream(aclrtStream stream) { return synchronize("aclrtSynchronizeStream", stream, -1); }
aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t ms) {
  return synchronize("aclrtSynchronizeStreamWithTimeout", stream, ms);
}

aclError aclrtStreamQuery(aclrtStream handle, int* status) {
  return call_api("aclrtStreamQuery", Need::kContext, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(handle, code);
    if (!stream) return code;
    *status = stream->idle() ? 0 : 1;
    return kOk;
  });
}

aclError aclrtSetStreamFailureMode(aclrtStream handle, uint64_t mode) {
  return call_api("aclrtSetStreamFailureMode", Need::kContext, [&]() -> aclError {
    if (!handle || mode > 1) return fail(kInvalidParam, "EE1001", "the default stream, or no such mode");
    aclError code;
    Stream* stream = stream_of(handle, code);
    if (stream) stream->stop_on_failure = mode == 1;
    return code;
  });
}

aclError aclrtStreamAbort(aclrtStream handle) {
  return call_api("aclrtStreamAbort", Need::kRelease, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(handle, code);
    if (stream) stream->abort();
    return code;
  });
}

aclError aclrtLaunchHostFunc(aclrtStream handle, aclrtCallback function, void* data) {
  return call_api("aclrtLaunchHostFunc", Need::kContext, [&]() -> aclError {
    aclError code;
    Stream* stream = stream_of(handle, code);
    if (!stream) return code;
    stream->push({"aclrtLaunchHostFunc", take_task_outcome(), [=] { return function(data), aclError{kOk}; }});
    return kOk;
  });
}
