// Where the parts of the network hand over what they did. They know this and the records only, so
// that a VM without a file, or a test, has another one.
#pragma once

#include <cstdint>

#include "audit/records.h"

namespace capsem::audit {

class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;

  // A number for a connection, by which its records and its requests' are known.
  virtual std::uint64_t new_connection() = 0;

  // Takes a record over without ever waiting. A time that is not set is now.
  virtual void add(Record record) = 0;
};

// For a VM without a name, which leaves nothing on disk.
class NoSink final : public Sink {
 public:
  std::uint64_t new_connection() override { return ++connections_; }
  void add(Record record) override { static_cast<void>(record); }

 private:
  std::uint64_t connections_ = 0;
};

}  // namespace capsem::audit
