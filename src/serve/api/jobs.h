// What add_generate_routes adds besides POST /generate: the client's jobs, and the server's state.
#pragma once

#include "serve/api/api.h"

namespace inkstone::serve {

// GET /jobs, GET and DELETE /jobs/{id}, GET /jobs/{id}/images/{n}, GET /jobs/{id}/events. Another
// client's job is not found. DELETE may be said again and again: it answers 200 with the job as it
// then is, which is "done" where it came too late.
void add_job_routes(http::Router& router, ApiContext& context);

// GET /queue and GET /v1/info.
void add_queue_routes(http::Router& router, ApiContext& context);

}  // namespace inkstone::serve
