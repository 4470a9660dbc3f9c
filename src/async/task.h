// The coroutine type of everything asynchronous on the host (Boost.Asio). Host only.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace capsem {

template <class T = void>
using Task = boost::asio::awaitable<T>;

}  // namespace capsem
