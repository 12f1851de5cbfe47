// Whether this build's sanitizer makes tests slow, and takes the place of the heap.
#pragma once

namespace inkstone {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INKSTONE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INKSTONE_SANITIZED 1
#endif
#endif
#ifndef INKSTONE_SANITIZED
#define INKSTONE_SANITIZED 0
#endif
constexpr bool kSanitized = INKSTONE_SANITIZED;

}  // namespace inkstone
