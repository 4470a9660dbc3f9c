#include "guest/init/init.h"

int main() {
  return capsem::guest::init::run();
}
