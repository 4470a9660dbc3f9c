// The guest's network: loopback and nothing else.
#pragma once

#include <string>

#include "base/error.h"

namespace capsem::guest::init {

// Brings the loopback interface up; the kernel gives it 127.0.0.1 and ::1 by itself. With no other
// interface and no route, a connection to anywhere else fails at once.
Result<> start_loopback();

Result<> set_hostname(const std::string& name);

}  // namespace capsem::guest::init
