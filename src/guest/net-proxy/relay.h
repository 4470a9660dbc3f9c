// The bytes of one connection, handed on as they come: one direction at a time, half-close kept,
// and no more read than the other side takes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace capsem::guest::net_proxy {

class Direction {
 public:
  // Reads from `from` and writes to `to`, both of which never wait, until one of them has to be
  // waited for. `scratch` is what may be read at once, `back` the other direction of the same
  // connection. False when either can be used no more.
  bool move(int from, int to, std::span<std::byte> scratch, const Direction& back);

  // To be written before all that is read.
  void put(std::span<const std::byte> data) { left_.insert(left_.end(), data.begin(), data.end()); }

  bool waits_to_read() const { return left_.empty() && !over_; }
  bool waits_to_write() const { return !left_.empty(); }
  // All was read and written, and the end passed on.
  bool is_over() const { return over_; }

 private:
  // False for an error; what could not be written is left.
  bool write(int to, std::span<const std::byte> data);

  std::vector<std::byte> left_;  // read, and not yet written
  bool over_ = false;
};

}  // namespace capsem::guest::net_proxy
