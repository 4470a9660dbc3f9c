// Boost.Beast's parser of HTTP/1.1, with what it finds kept as it was sent: all fields in order,
// the trailers apart, and each piece of a body where it lies.
#pragma once

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include "host/net/http_head.h"

namespace capsem::host::net {

template <bool kRequest>
class HttpParser final : public boost::beast::http::basic_parser<kRequest> {
  using Base = boost::beast::http::basic_parser<kRequest>;
  using ErrorCode = boost::beast::error_code;
  using Text = boost::beast::string_view;

 public:
  using Head = std::conditional_t<kRequest, RequestHead, AnswerHead>;

  HttpParser() {
    this->header_limit(std::numeric_limits<std::uint32_t>::max());  // check_head_text() has it
    this->body_limit(boost::none);
  }

  Head head;
  HttpFields trailers;
  std::string_view piece;  // of the body, found by the last put(); in what was put

 private:
  static std::string copy(Text text) { return {text.data(), text.size()}; }

  void on_request_impl(boost::beast::http::verb /*method*/, Text method, Text target, int version,
                       ErrorCode& /*error*/) override {
    if constexpr (kRequest) {
      head.method = copy(method);
      head.target = copy(target);
      head.version = static_cast<unsigned>(version);
    }
  }
  void on_response_impl(int status, Text reason, int version, ErrorCode& /*error*/) override {
    if constexpr (!kRequest) {
      head.status = static_cast<unsigned>(status);
      head.reason = copy(reason);
      head.version = static_cast<unsigned>(version);
    }
  }
  void on_field_impl(boost::beast::http::field /*known*/, Text name, Text value,
                     ErrorCode& /*error*/) override {
    (this->is_header_done() ? trailers : head.fields).add(copy(name), copy(value));
  }
  void on_header_impl(ErrorCode& /*error*/) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const& /*size*/,
                         ErrorCode& /*error*/) override {}
  std::size_t on_body_impl(Text body, ErrorCode& /*error*/) override {
    piece = {body.data(), body.size()};
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t /*size*/, Text /*extensions*/,
                            ErrorCode& /*error*/) override {}
  std::size_t on_chunk_body_impl(std::uint64_t /*left*/, Text body, ErrorCode& /*error*/) override {
    piece = {body.data(), body.size()};
    return body.size();
  }
  void on_finish_impl(ErrorCode& /*error*/) override {}
};

}  // namespace capsem::host::net
