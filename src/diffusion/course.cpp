#include "diffusion/course.h"

namespace inkstone {

std::vector<UnetCall> course_of(const Request& request, bool guided, int calls) {
  const auto [from, to] = request.guidance_interval;
  std::vector<UnetCall> course;
  for (int call = 0; call < calls; ++call) {
    const float middle = (static_cast<float>(call) + 0.5f) / static_cast<float>(calls);
    const int copies = guided && middle >= from && middle <= to ? 2 : 1;
    const bool whole = call % request.cache_interval == 0 || copies > course.back().copies;
    const UnetPart first = request.cache_interval > 1 ? UnetPart::kWholeAndDeep : UnetPart::kWhole;
    course.push_back({copies, whole ? first : UnetPart::kShallow});
  }
  return course;
}

}  // namespace inkstone
