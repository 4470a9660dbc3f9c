// What every bench prints: a row for each comparison, with its ratio and the bar it has to keep.
#pragma once

#include <string>
#include <vector>

namespace capsem::bench {

// Of at least one value; the upper one of an even number.
double median(std::vector<double> values);

class Table {
 public:
  // `unit` of the values, and the column heads of ours and the peer's.
  Table(std::string unit, const std::string& ours, const std::string& peer);

  // ours / peer must not be over `bar`: for times.
  void add_at_most(const std::string& name, double ours, double peer, double bar);
  // ours / peer must be over `bar`: for rates.
  void add_over(const std::string& name, double ours, double peer, double bar);

  // The exit status: 1 when a row missed its bar.
  int finish() const { return missed_ ? 1 : 0; }

 private:
  void add(const std::string& name, double ours, double peer, const char* sign, double bar,
           bool kept);

  std::string unit_;
  bool missed_ = false;
};

}  // namespace capsem::bench
