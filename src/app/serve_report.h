// What a server says of itself when its first worker is ready, for people.
#pragma once

#include <string>
#include <vector>

#include "serve/jobs/image_service.h"
#include "serve/jobs/settings.h"

namespace inkstone {

// Lines, each ended: the models, the default first, each worker's device, its memory, its step times by rows, and the
// caps that follow of them.
std::string serve_report(const serve::ServiceFigures& figures, const std::vector<serve::ServedModel>& models,
                         const serve::ServeSettings& settings);
std::string address_text(const http::Settings& http, uint16_t port);  // "http://127.0.0.1:8080"

}  // namespace inkstone
