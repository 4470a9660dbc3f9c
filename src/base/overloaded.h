// One function object of several lambdas, for std::visit().
#pragma once

namespace capsem {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

}  // namespace capsem
