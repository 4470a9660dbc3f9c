#include "bench/table.h"

#include <algorithm>
#include <cstdio>

namespace capsem::bench {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.at(values.size() / 2);
}

Table::Table(std::string unit, const std::string& ours, const std::string& peer)
    : unit_(std::move(unit)) {
  std::printf("%-34s %10s %10s %-5s %6s  %-7s\n", "", ours.c_str(), peer.c_str(), "", "ratio",
              "bar");
}

void Table::add_at_most(const std::string& name, double ours, double peer, double bar) {
  add(name, ours, peer, "<=", bar, ours / peer <= bar);
}

void Table::add_over(const std::string& name, double ours, double peer, double bar) {
  add(name, ours, peer, ">", bar, ours / peer > bar);
}

void Table::add(const std::string& name, double ours, double peer, const char* sign, double bar,
                bool kept) {
  std::printf("%-34s %10.3f %10.3f %-5s %6.2f  %-2s %-4.1f %s\n", name.c_str(), ours, peer,
              unit_.c_str(), ours / peer, sign, bar, kept ? "ok" : "MISSED");
  std::fflush(stdout);
  missed_ |= !kept;
}

}  // namespace capsem::bench
