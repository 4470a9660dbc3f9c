#include "host/net_log.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace capsem::host {
namespace {

using OnWarning = std::function<void(const std::string&)>;

// Brings what the store's thread says to the loop.
audit::Warn on_loop(boost::asio::any_io_executor executor, std::weak_ptr<OnWarning> on_warning) {
  return [executor = std::move(executor),
          on_warning = std::move(on_warning)](const std::string& text) {
    boost::asio::post(executor, [on_warning, text] {
      if (auto call = on_warning.lock()) (*call)(text);
    });
  };
}

}  // namespace

NetLog::NetLog(boost::asio::any_io_executor executor, std::string directory, OnWarning on_warning)
    : on_warning_(std::make_shared<OnWarning>(std::move(on_warning))),
      store_(std::move(directory), on_loop(std::move(executor), on_warning_)) {}

Task<> NetLog::finish() {
  auto work = [this] {
    store_.close();
    return true;
  };
  co_await disk_.run(std::move(work));
}

}  // namespace capsem::host
