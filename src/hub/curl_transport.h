// HTTP by libcurl: TLS with the machine's certificates, proxies from https_proxy and no_proxy as curl knows them.
#pragma once

#include <memory>

#include "hub/transport.h"

namespace inkstone {

std::unique_ptr<HttpTransport> curl_transport();

}  // namespace inkstone
