#include "guest/mcp-server/mcp_server.h"

int main(int argc, char** argv) {
  return capsem::guest::mcp_server::run(argc, argv);
}
