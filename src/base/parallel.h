// Divides work among the cores that this process may use. One pool for the whole program (OpenMP's,
// which oneDNN uses too), so that libraries and our kernels never compete. The result never depends
// on how work is divided.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace inkstone {

// Cores by affinity mask and cgroup quota (v1 and v2, rounded up), at least 1.
int usable_cores();

// At least 1; applies to later parallel regions of the calling thread.
void set_threads(int threads);
int threads();

// A reference to a callable, without allocation; valid as long as the callable is.
class RangeBody {
 public:
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, RangeBody>) RangeBody(const F& body)
      : body_(std::addressof(body)),
        call_([](const void* f, int64_t begin, int64_t end) { (*static_cast<const F*>(f))(begin, end); }) {}
  void operator()(int64_t begin, int64_t end) const { call_(body_, begin, end); }

 private:
  const void* body_;
  void (*call_)(const void*, int64_t, int64_t);
};

// Calls body(begin, end) for consecutive pieces of [0, count), each of at least `grain` (or all of
// it); returns when all are done. The first exception thrown by a piece is rethrown here.
void parallel_for(int64_t count, int64_t grain, RangeBody body);

}  // namespace inkstone
