// The way to a VM's monitor, whoever started it.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::client {

class MonitorLink {
 public:
  MonitorLink() = default;
  MonitorLink(const MonitorLink&) = delete;
  MonitorLink(MonitorLink&&) = default;
  MonitorLink& operator=(const MonitorLink&) = delete;
  MonitorLink& operator=(MonitorLink&&) = delete;
  virtual ~MonitorLink() = default;

  // A new connection to it. kClosed when it is no longer there.
  virtual Result<Fd> connect() = 0;

  // Why it is no longer there, as a clause: "it was killed".
  virtual std::string end_in_words() = 0;
};

}  // namespace capsem::client
