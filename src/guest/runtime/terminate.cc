// The standard handler for an uncaught exception prints its type, for which it brings along a
// demangler and part of stdio: 50 KB in every guest executable. This one only aborts.
#include <cstdlib>

namespace __gnu_cxx {

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl*): libstdc++'s own name is what is to be
// replaced
void __verbose_terminate_handler();
void __verbose_terminate_handler() {
  std::abort();
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl*)

}  // namespace __gnu_cxx
