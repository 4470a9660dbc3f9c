// nginx on two ports of loopback, with files of the test.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/host/net/loopback.h"

namespace capsem::host::net::testing {

class Nginx {
 public:
  // `protocols`: "http2" for it beside HTTP/1.1.
  explicit Nginx(TlsAuthority& authority, const std::string& host,
                 const std::string& versions = "TLSv1.2 TLSv1.3", const std::string& protocols = "")
      : tls_port_(free_port()), plain_port_(free_port()) {
    write_identity(directory_, authority, host);
    std::filesystem::create_directories(directory_ / "www/put");
    std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
    const std::string root = directory_.path();
    const std::string config =
        "daemon off; master_process off; worker_processes 1; error_log " + root + "/error.log;\n" +
        "pid " + root + "/pid;\nevents { worker_connections 4000; }\nhttp {\n" + "access_log " +
        root + "/access.log; sendfile on; client_max_body_size 2g; dav_methods PUT;\n" +
        "client_body_temp_path " + root + "/body; proxy_temp_path " + root + "/t1;\n" +
        "fastcgi_temp_path " + root + "/t2; uwsgi_temp_path " + root + "/t3; scgi_temp_path " +
        root + "/t4;\nserver { listen 127.0.0.1:" + std::to_string(plain_port_) +
        "; listen 127.0.0.1:" + std::to_string(tls_port_) + " ssl " + protocols + ";\n" +
        "ssl_protocols " + versions + "; ssl_certificate " + root +
        "/cert.pem; ssl_certificate_key " + root + "/key.pem;\n" + "root " + root + "/www; } }\n";
    write_file_atomically(directory_ / "nginx.conf", config).value();
    auto started = capsem::Process::start(
        {.argv = {"/usr/sbin/nginx", "-e", root + "/error.log", "-c", root + "/nginx.conf"},
         .die_with_parent = true});
    if (started) process_.emplace(std::move(*started));
    EXPECT_TRUE(process_ && listens(tls_port_)) << read("error.log");
    std::filesystem::resize_file(directory_ / "access.log", 0);
  }

  std::uint16_t tls_port() const { return tls_port_; }
  std::uint16_t plain_port() const { return plain_port_; }
  void file(const std::string& name, const std::string& content) {
    write_file_atomically(directory_ / ("www/" + name), content).value();
  }
  std::filesystem::path path(const std::string& name) { return directory_ / ("www/" + name); }
  // The requests that it has answered.
  std::string log() { return read("access.log"); }

 private:
  std::string read(const std::string& name) {
    return read_file(directory_ / name, 1 << 20).value_or("");
  }

  capsem::testing::TemporaryDirectory directory_;
  std::uint16_t tls_port_;
  std::uint16_t plain_port_;
  std::optional<capsem::Process> process_;
};

}  // namespace capsem::host::net::testing
