// Server-sent events: how they are written, and an order's course as POST /generate and GET /jobs/{id}/events tell it.
#pragma once

#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "serve/desk.h"
#include "serve/http/http.h"

namespace inkstone {

inline constexpr size_t kMostUnsentForPreviews = 256 << 10;  // bytes: a client slower than that gets no previews
inline constexpr size_t kMostUnsentForSteps = 4 << 20;       // ... and no steps

std::string event_text(std::string_view name, const Json& data);
HttpReply event_stream_head();

// Events: queued once, then step and preview, a picture for each that is done, and one done or error at the end.
enum class PicturesAs { kDataUrls, kLinks };
void stream_order(Desk& desk, const ExchangePtr& exchange, const OrderState& order, PicturesAs pictures);

}  // namespace inkstone
