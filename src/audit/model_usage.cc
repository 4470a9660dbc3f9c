#include "audit/model_usage.h"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <cctype>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "audit/event_stream.h"
#include "audit/model_api.h"
#include "base/text.h"

namespace capsem::audit {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxDepth = 256;  // a tool's input may be deep, and usage come behind it

constexpr std::size_t kMaxNameBytes = 48;     // of a member that matters
constexpr std::size_t kMaxStringBytes = 128;  // of a model's or tool's name
constexpr std::size_t kMaxTools = 64;
// No answer costs as much; a sum of many stays a number.
constexpr std::uint64_t kMaxTokens = 1'000'000'000;

// What was found. Of numbers the largest counts: those of a stream grow, and what some servers
// leave out of the last event is 0 there.
class Found {
 public:
  explicit Found(ModelApi api) : api_(std::move(api)) {}

  const ModelFieldPlace* at(std::string_view path) const {
    auto place = std::ranges::find(api_.fields, path, &ModelFieldPlace::path);
    return place == api_.fields.end() ? nullptr : &*place;
  }

  void take_number(ModelField field, std::uint64_t value) {
    if (field == ModelField::kModel || field == ModelField::kTool || value > kMaxTokens) return;
    auto& number = number_of(field);
    number = std::max(number, value);
    any_ = true;
  }

  void take_text(ModelField field, const std::string& text) {
    if (text.empty()) return;
    if (field == ModelField::kModel) {
      api_.model = text;
      any_ = true;
    } else if (field == ModelField::kTool && tools_.size() < kMaxTools &&
               !std::ranges::count(tools_, text)) {
      tools_.push_back(text);
    }
  }

  std::optional<ModelUsage> usage() const {
    if (!any_) return std::nullopt;
    using enum ModelField;
    auto uncounted = number_of(kUncountedCachedInput);
    return ModelUsage{.provider = std::string(api_.provider),
                      .model = api_.model,
                      .input_tokens = number_of(kInput) + number_of(kMoreInput) + uncounted,
                      .cached_input_tokens = number_of(kCachedInput) + uncounted,
                      .output_tokens = number_of(kOutput) + number_of(kMoreOutput),
                      .tools = tools_};
  }

 private:
  std::uint64_t& number_of(ModelField field) {
    return numbers_.at(static_cast<std::size_t>(field));
  }
  std::uint64_t number_of(ModelField field) const {
    return numbers_.at(static_cast<std::size_t>(field));
  }

  ModelApi api_;
  std::array<std::uint64_t, static_cast<std::size_t>(ModelField::kMoreOutput) + 1> numbers_{};
  std::vector<std::string> tools_;
  bool any_ = false;
};

// Boost.JSON's parser tells it of each part of a document. It knows the way to where the parser is,
// at most kMaxDepth names of kMaxNameBytes, and one text, at most kMaxStringBytes.
class Handler {
 public:
  // No limit of the parser's own: nothing is kept.
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;

  explicit Handler(Found& found) : found_(found) {}

  void clear() {
    path_.clear();
    levels_.clear();
    text_.clear();
  }

  using Code = json::error_code;
  static bool on_document_begin(Code& /*error*/) { return true; }
  static bool on_document_end(Code& /*error*/) { return true; }
  bool on_object_begin(Code& /*error*/) {
    levels_.push_back(path_.size());
    return true;
  }
  bool on_object_end(std::size_t /*size*/, Code& /*error*/) { return leave(); }
  bool on_array_begin(Code& /*error*/) {
    bool is_root = levels_.empty();
    levels_.push_back(path_.size());
    if (!is_root) append("[]");
    return true;
  }
  bool on_array_end(std::size_t /*size*/, Code& /*error*/) { return leave(); }
  bool on_key_part(json::string_view part, std::size_t /*size*/, Code& /*error*/) {
    return keep(part, kMaxNameBytes + 1);
  }
  bool on_key(json::string_view part, std::size_t /*size*/, Code& /*error*/) {
    keep(part, kMaxNameBytes + 1);
    path_.resize(levels_.back());
    // A name that could be taken for several, or for part of one, is none of those that matter.
    bool is_plain = text_.size() <= kMaxNameBytes && text_.find_first_of(".[") == std::string::npos;
    append(is_plain ? text_ : "?");
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t /*size*/, Code& /*error*/) {
    return keep(part, kMaxStringBytes);
  }
  bool on_string(json::string_view part, std::size_t /*size*/, Code& /*error*/) {
    keep(part, kMaxStringBytes);
    if (const auto* place = found_.at(path_)) found_.take_text(place->field, text_);
    text_.clear();
    return true;
  }
  static bool on_number_part(json::string_view /*part*/, Code& /*error*/) { return true; }
  bool on_int64(std::int64_t value, json::string_view /*part*/, Code& error) {
    return value < 0 || on_uint64(static_cast<std::uint64_t>(value), {}, error);
  }
  bool on_uint64(std::uint64_t value, json::string_view /*part*/, Code& /*error*/) {
    if (const auto* place = found_.at(path_)) found_.take_number(place->field, value);
    return true;
  }
  static bool on_double(double /*value*/, json::string_view /*part*/, Code& /*error*/) {
    return true;
  }
  static bool on_bool(bool /*value*/, Code& /*error*/) { return true; }
  static bool on_null(Code& /*error*/) { return true; }
  static bool on_comment_part(json::string_view /*part*/, Code& /*error*/) { return true; }
  static bool on_comment(json::string_view /*part*/, Code& /*error*/) { return true; }

 private:
  bool keep(json::string_view part, std::size_t limit) {
    text_.append(part.data(), std::min(part.size(), limit - std::min(limit, text_.size())));
    return true;
  }
  void append(std::string_view name) {
    if (!path_.empty()) path_ += '.';
    path_ += name;
  }
  bool leave() {
    path_.resize(levels_.back());
    levels_.pop_back();
    return true;
  }

  Found& found_;
  std::string path_;
  std::vector<std::size_t> levels_;  // for each object and array: how long the way to it is
  std::string text_;
};

json::parse_options options() {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  options.allow_invalid_utf8 = true;
  return options;
}

// One document after the other. What is broken ends with its document.
class Documents {
 public:
  explicit Documents(Found& found) : parser_(options(), found) {}

  void feed(std::string_view piece) {
    if (failed_ || parser_.done()) return;
    json::error_code error;
    parser_.write_some(true, piece.data(), piece.size(), error);
    failed_ = error.failed();
  }

  void begin_next() {
    parser_.reset();
    parser_.handler().clear();
    failed_ = false;
  }

 private:
  json::basic_parser<Handler> parser_;
  bool failed_ = false;
};

// "application/json" of "Application/JSON; charset=utf-8".
std::string media_type(std::string_view content_type) {
  std::string type(trim(content_type.substr(0, content_type.find(';'))));
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return type;
}

}  // namespace

class ModelUsageReader::Reader {
 public:
  Reader(ModelApi api, bool is_stream) : is_stream_(is_stream), found_(std::move(api)) {}

  void feed(std::string_view piece) {
    if (is_stream_)
      events_.feed(piece);
    else
      documents_.feed(piece);
  }

  std::optional<ModelUsage> usage() const { return found_.usage(); }

 private:
  bool is_stream_;
  Found found_;
  Documents documents_{found_};
  EventStream events_{[this](std::string_view data) { documents_.feed(data); },
                      [this] { documents_.begin_next(); }};
};

std::optional<ModelUsageReader> ModelUsageReader::create(const AnswerHead& head) {
  auto type = media_type(head.content_type);
  bool is_stream = type == "text/event-stream";
  bool is_plain = head.content_encoding.empty() || head.content_encoding == "identity";
  if (!is_plain || (!is_stream && type != "application/json")) return std::nullopt;
  auto api = find_model_api(head.host, head.path);
  if (!api) return std::nullopt;
  return ModelUsageReader(std::make_unique<Reader>(std::move(*api), is_stream));
}

ModelUsageReader::ModelUsageReader(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}
ModelUsageReader::ModelUsageReader(ModelUsageReader&& other) noexcept = default;
ModelUsageReader& ModelUsageReader::operator=(ModelUsageReader&& other) noexcept = default;
ModelUsageReader::~ModelUsageReader() = default;

void ModelUsageReader::feed(std::string_view piece) {
  reader_->feed(piece);
}

std::optional<ModelUsage> ModelUsageReader::usage() const {
  return reader_->usage();
}

}  // namespace capsem::audit
