// A disk that is full after 5,000 bytes of a file, for tests.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <functional>
#include <stdexcept>
#include <string>

namespace inkstone {

inline std::string on_a_full_disk(const std::function<std::string()>& action) {
  rlimit had = {};
  if (::getrlimit(RLIMIT_FSIZE, &had) != 0) throw std::runtime_error("no limit of files' sizes");
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = had;
  small.rlim_cur = 5000;
  if (::setrlimit(RLIMIT_FSIZE, &small) != 0) throw std::runtime_error("no limit of files' sizes");
  const std::string said = action();
  ::setrlimit(RLIMIT_FSIZE, &had);
  std::signal(SIGXFSZ, handler);
  return said;
}

}  // namespace inkstone
