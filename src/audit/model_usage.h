// Reads what an answer of a model API says of its cost, as the answer passes: JSON, or a stream of
// events. It keeps nothing of the answer but that, and the same little memory however long it is.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "audit/records.h"

namespace capsem::audit {

// What there is to know of an answer before its body.
struct AnswerHead {
  std::string_view host;  // that was asked, in the form of normal_host()
  std::string_view path;
  std::string_view content_type;
  std::string_view content_encoding;  // empty without one
};

class ModelUsageReader {
 public:
  // Nothing for an answer that is of no known API, or not to be read here, as a compressed one.
  static std::optional<ModelUsageReader> create(const AnswerHead& head);

  ModelUsageReader(ModelUsageReader&& other) noexcept;
  ModelUsageReader& operator=(ModelUsageReader&& other) noexcept;
  ~ModelUsageReader();

  // The next piece of the body, without its transfer coding. What cannot be read is passed over.
  void feed(std::string_view piece);

  // What was seen so far; nothing when the answer has said nothing of its cost.
  std::optional<ModelUsage> usage() const;

 private:
  class Reader;
  explicit ModelUsageReader(std::unique_ptr<Reader> reader);

  std::unique_ptr<Reader> reader_;
};

}  // namespace capsem::audit
