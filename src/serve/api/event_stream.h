// Server-sent events: their format, and the events of an order for POST /generate and
// GET /jobs/{id}/events.
#pragma once

#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "serve/http/http.h"
#include "serve/jobs/image_service.h"

namespace inkstone::serve {

// Bytes: a client slower than that gets no previews.
inline constexpr size_t kMaxUnsentForPreviews = 256 << 10;
inline constexpr size_t kMaxUnsentForSteps = 4 << 20;  // ... and no steps

std::string event_text(std::string_view name, const Json& data);
http::Reply event_stream_head();

// Events: queued once, then step and preview, an image for each that is done, and one done or error
// at the end. Who comes later is told first how each image is by then.
enum class ImagesAs { kDataUrls, kLinks };
void stream_order(ImageService& service, const http::ExchangePtr& exchange, const OrderState& order, ImagesAs images);

}  // namespace inkstone::serve
