/**
 * @file longattn.hpp
 * LongAttn for C++17 and later: scores long documents by how far and how evenly a language model's attention reaches
 * back. It is a header alone, over the C ABI in longattn.h, which says what the numbers, settings and statuses mean.
 *
 *     const longattn::scorer scorer("model", {{"window", "8192"}, {"ratio", "0.1"}});
 *     longattn::job job(scorer, {"corpus"}, "result");
 *     std::cout << job.run().windows_selected << " windows selected\n";
 *
 * Errors are thrown as longattn::error. A function that throws has changed nothing.
 *
 * Text is UTF-8 in a std::string_view, arrays are a longattn::span: both are read during the call, never copied and
 * never kept.
 *
 * Objects own what they hold and free it. config, cancel and scorer are never empty: moving one copies it, which is
 * cheap. tokens, windows, selector, selection, job and calibration can be moved but not copied; what was moved from is
 * empty.
 *
 * Threads: const member functions of one object may run on any threads at once, others need the object alone, as in
 * the standard library. Different objects never disturb each other, also where they are copies that share a scorer.
 */

#ifndef LONGATTN_HPP
#define LONGATTN_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "longattn.h"

namespace longattn {

/// What went wrong, for a program to act on: see longattn_status. Later versions may add values.
enum class status : std::int32_t {
    ok = LONGATTN_STATUS_OK,
    invalid_argument = LONGATTN_STATUS_INVALID_ARGUMENT,
    invalid_utf8 = LONGATTN_STATUS_INVALID_UTF8,
    invalid_setting = LONGATTN_STATUS_INVALID_SETTING,
    io = LONGATTN_STATUS_IO,
    invalid_record = LONGATTN_STATUS_INVALID_RECORD,
    invalid_model = LONGATTN_STATUS_INVALID_MODEL,
    unsupported = LONGATTN_STATUS_UNSUPPORTED,
    runtime = LONGATTN_STATUS_RUNTIME,
    memory_limit = LONGATTN_STATUS_MEMORY_LIMIT,
    non_finite = LONGATTN_STATUS_NON_FINITE,
    too_short = LONGATTN_STATUS_TOO_SHORT,
    cancelled = LONGATTN_STATUS_CANCELLED,
    internal = LONGATTN_STATUS_INTERNAL,
};

/// What every function here throws when it fails. what() is a message for a person: what happened, where, and what to
/// do.
class error : public std::runtime_error {
public:
    error(longattn::status status, const std::string &message) : std::runtime_error(message), status_(status) {}

    longattn::status status() const noexcept { return status_; }

private:
    longattn::status status_;
};

/// A view of an array that others own, as std::span is in C++20. It is made of whatever has data() and size(), and
/// std::span is made of it.
template <class T>
class span {
public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using iterator = T *;

    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

    template <class Array, class = std::enable_if_t<
                               std::is_convertible_v<decltype(std::data(std::declval<Array &>())), T *> &&
                               std::is_convertible_v<decltype(std::size(std::declval<Array &>())), std::size_t>>>
    constexpr span(Array &&array) noexcept : data_(std::data(array)), size_(std::size(array)) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t index) const { return data_[index]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

/// The number of a token in the model's vocabulary.
using token_id = std::uint32_t;

/// The score of one window: see longattn_score.
using score = longattn_score;

/// What one head says of a window: see longattn_head_score.
using head_score = longattn_head_score;

/// The score of one window, and of each of its heads in the model's order.
struct detailed_score {
    longattn::score score;
    std::vector<head_score> heads;
};

/// The score of one window, and how far back its attention reaches: the share of each bucket of distances, as
/// longattn_distance_profile has them, up to the bucket of the window's longest distance.
struct profiled_score {
    longattn::score score;
    std::vector<double> distance_profile;
};

/// What one of several layers that are scored together says of a window: see longattn_layer_score.
using layer_score = longattn_layer_score;

/// The score of one window, and of each of its layers in the order of the package.
struct layered_score {
    longattn::score score;
    std::vector<layer_score> layers;
};

namespace detail {

template <auto Free>
struct free_with {
    template <class Handle>
    void operator()(Handle *handle) const noexcept {
        Free(handle);
    }
};

template <class Handle, auto Free>
using owner = std::unique_ptr<Handle, free_with<Free>>;

inline std::string message_of(const longattn_error *failure) {
    std::size_t length = 0;
    const char *message = longattn_error_message(failure, &length);
    return message == nullptr ? std::string() : std::string(message, length);
}

/// Calls a function of the C ABI, which takes a place for its error last, and throws what it puts there.
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
    longattn_error *place = nullptr;
    const longattn_status status = function(arguments..., &place);
    if (status == LONGATTN_STATUS_OK) return;
    const owner<longattn_error, longattn_error_free> failure(place);
    throw error(static_cast<longattn::status>(status), message_of(place));
}

/// Takes a text that a function of the C ABI makes.
template <class Function, class... Arguments>
std::string call_for_text(Function function, Arguments... arguments) {
    longattn_text text{};
    call(function, arguments..., &text);
    const std::unique_ptr<longattn_text, free_with<longattn_text_free>> freed(&text);
    return std::string(text.data, text.length);
}

/// The C ABI is told dimensions alone, so that only here can an array be found too small for them.
inline void expect_size(const char *name, std::size_t size, std::initializer_list<std::size_t> dimensions) {
    std::size_t product = 1;
    for (const std::size_t dimension : dimensions) {
        const bool fits = dimension == 0 || product <= std::numeric_limits<std::size_t>::max() / dimension;
        if (!fits) throw error(status::invalid_argument, std::string(name) + " would be larger than any memory");
        product *= dimension;
    }
    if (size == product) return;
    throw error(status::invalid_argument, std::string(name) + " has " + std::to_string(size) + " elements, but " +
                                              std::to_string(product) + " by its dimensions");
}

/// A path as the library takes it: the bytes that the operating system knows it by, or UTF-8 where it has wide ones.
template <class Path>
std::string path_bytes(const Path &path) {
    if constexpr (std::is_same_v<typename Path::value_type, char>) {
        return path.native();
    } else {
        const auto text = path.u8string();
        return std::string(text.begin(), text.end());
    }
}

/// Paths as the library takes them.
class path_list {
public:
    explicit path_list(const std::vector<std::filesystem::path> &paths) {
        for (const std::filesystem::path &path : paths) names_.push_back(path_bytes(path));
        for (const std::string &name : names_) natives_.push_back({name.data(), name.size()});
    }

    path_list(const path_list &) = delete;
    path_list &operator=(const path_list &) = delete;

    const longattn_path *data() const noexcept { return natives_.data(); }
    std::size_t size() const noexcept { return natives_.size(); }

private:
    std::vector<std::string> names_;
    std::vector<longattn_path> natives_;
};

/// Goes through whatever has operator[], which makes the values.
template <class Sequence, class Value>
class index_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Value;

    index_iterator() = default;
    index_iterator(const Sequence *sequence, std::size_t index) noexcept : sequence_(sequence), index_(index) {}

    Value operator*() const { return (*sequence_)[index_]; }

    index_iterator &operator++() noexcept {
        ++index_;
        return *this;
    }

    index_iterator operator++(int) noexcept {
        const index_iterator before = *this;
        ++index_;
        return before;
    }

    bool operator==(const index_iterator &other) const noexcept { return index_ == other.index_; }
    bool operator!=(const index_iterator &other) const noexcept { return index_ != other.index_; }

private:
    const Sequence *sequence_ = nullptr;
    std::size_t index_ = 0;
};

} // namespace detail

/// The library's version, such as "0.1.0".
inline std::string_view version() noexcept { return longattn_version(); }

/// The ABI version of the library that was loaded, LONGATTN_ABI_VERSION being that of the header.
inline std::uint32_t abi_version() noexcept { return longattn_abi_version(); }

/// One row of the table of settings: see longattn_setting. The texts are there for ever.
struct setting {
    std::string_view key;
    std::string_view placeholder;
    std::string_view valid;
    std::string_view default_value;
    std::string_view help;
};

/// All settings that this version of the library knows.
inline std::vector<setting> settings() {
    std::vector<setting> rows;
    for (std::size_t index = 0; index < longattn_setting_count(); ++index) {
        longattn_setting row{};
        detail::call(longattn_setting_get, index, &row);
        rows.push_back({row.key, row.placeholder, row.valid, row.default_value, row.help});
    }
    return rows;
}

/// Settings: keys and values, both text. docs/settings.md lists them, and so does settings(). Who is given a config
/// copies it: what is set afterwards has no effect there.
class config {
public:
    /// Every setting has its default.
    config() : handle_(longattn_config_new()) {}

    /// Every setting has its default, except for these.
    /// @throws error with status::invalid_setting, as set() does
    config(std::initializer_list<std::pair<std::string_view, std::string_view>> settings) : config() {
        for (const auto &[key, value] : settings) set(key, value);
    }

    config(const config &other) : handle_(longattn_config_clone(other.native_handle())) {}

    config &operator=(const config &other) {
        handle_.reset(longattn_config_clone(other.native_handle()));
        return *this;
    }

    /// Sets one setting, such as "window" to "8192".
    /// @throws error with status::invalid_setting for a key or value that is not valid; the message lists what is
    config &set(std::string_view key, std::string_view value) {
        detail::call(longattn_config_set, handle_.get(), key.data(), key.size(), value.data(), value.size());
        return *this;
    }

    /// The value of one setting, as set() takes it.
    /// @throws error with status::invalid_setting for an unknown key; the message lists the known ones
    std::string get(std::string_view key) const {
        return detail::call_for_text(longattn_config_get, native_handle(), key.data(), key.size());
    }

    /// The config for functions of longattn.h; it stays this object's.
    const longattn_config *native_handle() const noexcept { return handle_.get(); }

private:
    friend class scorer;

    explicit config(longattn_config *handle) noexcept : handle_(handle) {}

    detail::owner<longattn_config, longattn_config_free> handle_;
};

/// Asks running work to stop. Once asked, it stays asked: use a new one for the next work. Copies are the same one.
class cancel {
public:
    cancel() : handle_(longattn_cancel_new(), longattn_cancel_free) {}
    cancel(const cancel &) = default;
    cancel &operator=(const cancel &) = default;

    /// Asks every call that was given this to stop, and does not wait for them. A signal handler may call it.
    void request() const noexcept { longattn_cancel_request(handle_.get()); }

    /// Asks the same when this much time has passed, in place of a time that was set before.
    void set_deadline(std::chrono::milliseconds from_now) const noexcept {
        const auto milliseconds = std::max<std::chrono::milliseconds::rep>(from_now.count(), 0);
        longattn_cancel_set_deadline(handle_.get(), static_cast<std::uint64_t>(milliseconds));
    }

    bool is_requested() const noexcept { return longattn_cancel_is_requested(handle_.get()); }

    /// The token for functions of longattn.h; it stays this object's.
    const longattn_cancel *native_handle() const noexcept { return handle_.get(); }

private:
    std::shared_ptr<longattn_cancel> handle_;
};

/// The tokens of a text, without special ones. They need neither the text nor the scorer any more.
class tokens {
public:
    std::size_t size() const noexcept { return longattn_tokens_count(handle_.get()); }
    bool empty() const noexcept { return size() == 0; }

    /// The token ids, which live as long as this object.
    span<const token_id> ids() const noexcept { return {longattn_tokens_ids(handle_.get()), size()}; }

    /// Where the tokens begin and end in the text: token `i` stands for the bytes from `boundaries()[i]` up to, not
    /// including, `boundaries()[i + 1]`. They live as long as this object.
    span<const std::size_t> boundaries() const noexcept {
        return {longattn_tokens_boundaries(handle_.get()), handle_ ? size() + 1 : 0};
    }

    /// The tokens for functions of longattn.h; they stay this object's.
    const longattn_tokens *native_handle() const noexcept { return handle_.get(); }

private:
    friend class scorer;

    explicit tokens(longattn_tokens *handle) noexcept : handle_(handle) {}

    detail::owner<longattn_tokens, longattn_tokens_free> handle_;
};

/// One window of a document: which tokens and bytes of it, both without special tokens.
struct window {
    /// The first token, as an index into the document's.
    std::size_t token_start;
    /// The first byte, as an offset into the document, at a character boundary.
    std::size_t byte_start;
    /// The byte after the last.
    std::size_t byte_end;
    /// The tokens, which live as long as the windows that this one was read from.
    span<const token_id> ids;
};

/// The windows that a document is cut into by Algorithm 1 of the paper, in its order: from the front and the back in
/// turn, and then what is left between. A document shorter than one window gives none; windows may overlap.
class windows {
public:
    using iterator = detail::index_iterator<windows, window>;
    using value_type = window;

    /// Cuts a document into windows of `length` tokens, and needs it no more.
    /// @throws error with status::invalid_argument where `length` is 0
    windows(const tokens &document, std::size_t length) {
        longattn_windows *handle = nullptr;
        detail::call(longattn_windows_cut, document.native_handle(), length, &handle);
        handle_.reset(handle);
    }

    std::size_t size() const noexcept { return longattn_windows_count(handle_.get()); }
    bool empty() const noexcept { return size() == 0; }
    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, size()}; }

    /// @throws error with status::invalid_argument where `index` is not below size()
    window operator[](std::size_t index) const {
        longattn_window found{};
        detail::call(longattn_windows_get, native_handle(), index, &found);
        return {found.token_start, found.byte_start, found.byte_end, {found.ids, found.token_count}};
    }

    /// The windows for functions of longattn.h; they stay this object's.
    const longattn_windows *native_handle() const noexcept { return handle_.get(); }

private:
    friend class scorer;

    explicit windows(longattn_windows *handle) noexcept : handle_(handle) {}

    detail::owner<longattn_windows, longattn_windows_free> handle_;
};

/// One window to score: a text, or token ids without special ones. It is a view of what it is made of, as
/// std::string_view is.
class input {
public:
    template <class Text, std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>, int> = 0>
    input(const Text &text) noexcept : input(std::string_view(text)) {}

    template <class Ids, std::enable_if_t<std::is_convertible_v<const Ids &, span<const token_id>>, int> = 0>
    input(const Ids &ids) noexcept : input(span<const token_id>(ids)) {}

    input(std::string_view text) noexcept : native_{text.data(), text.size(), nullptr, 0} {}

    // NULL would stand for the empty text, which has other errors than no tokens.
    input(span<const token_id> ids) noexcept
        : native_{nullptr, 0, ids.empty() ? &no_token : ids.data(), ids.size()} {}

    input(const window &window) noexcept : input(window.ids) {}

    /// The same for functions of longattn.h.
    const longattn_input &native() const noexcept { return native_; }

private:
    static constexpr token_id no_token = 0;

    longattn_input native_;
};

/// What became of one of many windows: a score, or why there is none.
class result {
public:
    /// Copies a result of the C ABI.
    explicit result(const longattn_result &native)
        : status_(static_cast<longattn::status>(native.status)),
          message_(detail::message_of(native.error)),
          score_(native.score) {}

    bool has_value() const noexcept { return status_ == longattn::status::ok; }
    explicit operator bool() const noexcept { return has_value(); }

    longattn::status status() const noexcept { return status_; }

    /// Why there is no score, for a person; empty where there is one.
    const std::string &message() const noexcept { return message_; }

    /// @throws error with status() and message() where there is no score
    const longattn::score &value() const {
        if (!has_value()) throw error(status_, message_);
        return score_;
    }

private:
    longattn::status status_;
    std::string message_;
    longattn::score score_;
};

/// Is told how far scorer::score_many() has come: `windows` that are scored or have failed, and `tokens` of those
/// that are scored. It is called on threads of the scorer, one call at a time, after each window; it must be quick,
/// and must not use the scorer. It may throw.
using progress_function = std::function<void(std::uint64_t windows, std::uint64_t tokens)>;

/// An open scorer package: a model, its tokenizer, and a pool of threads. Open it once and keep it.
///
/// Copies share the package, which is freed with the last of them. So a thread that holds a copy may go on with it
/// while another scorer is put in the place that it was copied from. That place needs a lock, as any variable does;
/// scoring, from any number of threads at once, needs none and gives the same bits as one thread alone.
class scorer {
public:
    /// Opens a directory with model.onnx and tokenizer.json, as `longattn export` makes it, or a bare model.onnx,
    /// which scores token ids alone unless a tokenizer.json lies beside it. The files are not needed afterwards.
    /// @throws error with status::runtime where ONNX Runtime cannot be loaded; io, invalid_model or unsupported for a
    ///         package that is missing, damaged, or of a kind that this version cannot use
    explicit scorer(const std::filesystem::path &package, const config &settings = config()) {
        const auto name = package.u8string();
        longattn_scorer *handle = nullptr;
        detail::call(longattn_scorer_open, reinterpret_cast<const char *>(name.data()), name.size(),
                     settings.native_handle(), &handle);
        handle_.reset(handle, longattn_scorer_free);
    }

    scorer(const scorer &) = default;
    scorer &operator=(const scorer &) = default;

    /// Describes the package as one JSON object: see longattn_scorer_describe().
    std::string describe() const { return detail::call_for_text(longattn_scorer_describe, native_handle()); }

    /// A copy of the settings that the scorer was opened with.
    config settings() const { return config(longattn_scorer_config(native_handle())); }

    /// The number of heads that each window is scored by; 0 where the model does not tell before it is run.
    std::size_t head_count() const noexcept { return longattn_scorer_head_count(native_handle()); }

    /// Scores one window: the first tokens, up to the setting window, special ones included.
    /// @throws error with the statuses that longattn_scorer_score() lists
    longattn::score score(const input &window) const { return score(window, nullptr, {}); }

    /// Scores one window until asked to stop, which throws status::cancelled.
    longattn::score score(const input &window, const cancel &stop) const {
        return score(window, stop.native_handle(), {});
    }

    /// Scores one window as score() does, and tells what each head says. Where head_count() is 0 this runs the model
    /// twice.
    detailed_score score_heads(const input &window, const cancel &stop = cancel()) const {
        std::size_t count = head_count();
        if (count == 0) count = score(window, stop).head_count;
        std::vector<head_score> heads(count);
        const longattn::score total = score(window, stop.native_handle(), heads);
        heads.resize(total.head_count);
        return {total, std::move(heads)};
    }

    /// Scores one window as score() does, and tells how far back its attention reaches.
    /// @throws error with status::invalid_setting where the scorer was opened without the setting profile at true, and
    ///         as score() does
    profiled_score score_profile(const input &window, const cancel &stop = cancel()) const {
        longattn::score score{};
        longattn_distance_profile profile{};
        detail::call(longattn_scorer_score_profile, native_handle(), &window.native(), stop.native_handle(), &profile,
                     &score);
        return {score, {profile.shares, profile.shares + profile.bucket_count}};
    }

    /// Scores one window by several layers in one pass: each layer alone, in the order of the package, and all together.
    /// @throws error with status::unsupported where the model does not tell its layers, and as score() does
    layered_score score_layers(const input &window, const cancel &stop = cancel()) const {
        layered_score scored{{}, std::vector<layer_score>(longattn_scorer_layer_count(native_handle()))};
        detail::call(longattn_scorer_score_layers, native_handle(), &window.native(), stop.native_handle(),
                     scored.layers.data(), scored.layers.size(), &scored.score);
        return scored;
    }

    /// The losses of the tokens of one window but the first: see longattn_scorer_losses().
    /// @throws error with the statuses that longattn_scorer_losses() lists
    std::vector<float> losses(span<const token_id> ids, const cancel &stop = cancel()) const {
        std::vector<float> found(std::stoull(settings().get("window")));
        std::size_t count = 0;
        detail::call(longattn_scorer_losses, native_handle(), ids.data(), ids.size(), stop.native_handle(),
                     found.data(), found.size(), &count);
        found.resize(count);
        return found;
    }

    /// The information gain of one window in nats a token: see longattn_scorer_information_gain().
    /// @throws error with the statuses that longattn_scorer_information_gain() lists
    double information_gain(span<const token_id> ids, const cancel &stop = cancel()) const {
        double gain = 0;
        detail::call(longattn_scorer_information_gain, native_handle(), ids.data(), ids.size(), stop.native_handle(),
                     &gain);
        return gain;
    }

    /// Scores many windows on all threads of the scorer; a score has the same bits as that of score(). `inputs` is
    /// any sequence whose elements an input can be made of: texts, arrays of token ids, or windows. The results are
    /// in their order; a window that cannot be scored is no failure of the call. Once asked to stop, the windows that
    /// are not finished get status::cancelled.
    ///
    /// Where `progress` throws, the other windows are cancelled, and so `stop` is asked to; then this throws the
    /// same.
    template <class Inputs>
    std::vector<result> score_many(const Inputs &inputs, const cancel &stop = cancel(),
                                   const progress_function &progress = nullptr) const {
        using element = decltype(*std::begin(inputs));
        static_assert(std::is_lvalue_reference_v<element> || std::is_trivially_copyable_v<element>,
                      "an element that is made on the fly would be gone before it is scored");
        std::vector<longattn_input> natives;
        for (auto &&window : inputs) natives.push_back(input(window).native());
        return score_all(natives, stop, progress);
    }

    /// Splits a text into tokens.
    /// @throws error with status::unsupported where the package has no tokenizer, status::invalid_utf8
    longattn::tokens tokenize(std::string_view text) const {
        longattn_tokens *handle = nullptr;
        detail::call(longattn_scorer_tokenize, native_handle(), text.data(), text.size(), &handle);
        return longattn::tokens(handle);
    }

    /// Splits a document into tokens and cuts it into windows of as many as the setting window says.
    /// @throws error as tokenize() does
    windows cut(std::string_view text) const {
        longattn_windows *handle = nullptr;
        detail::call(longattn_scorer_cut, native_handle(), text.data(), text.size(), &handle);
        return windows(handle);
    }

    /// The scorer for functions of longattn.h; it stays this object's.
    const longattn_scorer *native_handle() const noexcept { return handle_.get(); }

private:
    /// What a call of the C ABI fills in, and what its progress callback needs.
    struct many {
        const cancel &stop;
        const progress_function &progress;
        std::vector<longattn_result> results;
        std::exception_ptr thrown;

        ~many() { longattn_results_free(results.data(), results.size()); }

        void tell(std::uint64_t windows, std::uint64_t tokens) noexcept {
            if (thrown) return;
            try {
                progress(windows, tokens);
            } catch (...) {
                thrown = std::current_exception();
                stop.request();
            }
        }
    };

    longattn::score score(const input &window, const longattn_cancel *stop, span<head_score> heads) const {
        longattn::score score{};
        detail::call(longattn_scorer_score, native_handle(), &window.native(), stop, heads.data(), heads.size(),
                     &score);
        return score;
    }

    std::vector<result> score_all(span<const longattn_input> inputs, const cancel &stop,
                                  const progress_function &progress) const {
        many work{stop, progress, std::vector<longattn_result>(inputs.size()), nullptr};
        longattn_progress tell = [](std::uint64_t windows, std::uint64_t tokens, void *data) {
            static_cast<many *>(data)->tell(windows, tokens);
        };
        detail::call(longattn_scorer_score_many, native_handle(), inputs.data(), inputs.size(), stop.native_handle(),
                     progress ? tell : nullptr, static_cast<void *>(&work), work.results.data());
        if (work.thrown) std::rethrow_exception(work.thrown);
        return std::vector<result>(work.results.begin(), work.results.end());
    }

    std::shared_ptr<longattn_scorer> handle_;
};

/// Scores a window from the attention map of your own inference: see longattn_score_map(). `map` is
/// `[heads, length, length]` in row-major order.
/// @throws error with status::invalid_argument where `map` has another size, and the statuses that
///         longattn_score_map() lists
inline detailed_score score_map(span<const float> map, std::size_t heads, std::size_t length,
                                const config &settings = config()) {
    detail::expect_size("map", map.size(), {heads, length, length});
    detailed_score scored{{}, std::vector<head_score>(heads)};
    detail::call(longattn_score_map, map.data(), heads, length, settings.native_handle(), scored.heads.data(), heads,
                 &scored.score);
    return scored;
}

/// The queries and keys of your own inference: see longattn_score_query_key().
struct query_key {
    /// `[heads, length, head_size]` in row-major order, with the rotary embedding applied.
    span<const float> queries;
    std::size_t heads;
    /// `[key_value_heads, length, head_size]` in row-major order, with the rotary embedding applied.
    span<const float> keys;
    std::size_t key_value_heads;
    std::size_t length;
    std::size_t head_size;
    /// Logits are this times the product of query and key; usually `1 / sqrt(head_size)`.
    double scale;
};

/// Scores a window from queries and keys, in memory linear in its length.
/// @throws error with status::invalid_argument where an array has another size than its dimensions say, and the
///         statuses that longattn_score_query_key() lists
inline detailed_score score_query_key(const query_key &window, const config &settings = config()) {
    detail::expect_size("queries", window.queries.size(), {window.heads, window.length, window.head_size});
    detail::expect_size("keys", window.keys.size(), {window.key_value_heads, window.length, window.head_size});
    detailed_score scored{{}, std::vector<head_score>(window.heads)};
    detail::call(longattn_score_query_key, window.queries.data(), window.heads, window.keys.data(),
                 window.key_value_heads, window.length, window.head_size, window.scale, settings.native_handle(),
                 scored.heads.data(), scored.heads.size(), &scored.score);
    return scored;
}

/// One window of a selection: see longattn_ranked. The texts live as long as the selection.
struct ranked {
    std::string_view id;
    std::string_view category;
    /// Place in the category, 0 for the best.
    std::uint64_t rank;
    std::uint64_t token_count;
    double dependency_strength;
    double distribution_uniformity;
    double long_distance_dependency_score;
    /// Whether the window made the cut.
    bool selected;
};

/// A finished selection: every window by category in the order of their bytes, and within a category the best first.
class selection {
public:
    using iterator = detail::index_iterator<selection, ranked>;
    using value_type = ranked;

    std::size_t size() const noexcept { return longattn_selection_count(handle_.get()); }
    bool empty() const noexcept { return size() == 0; }
    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, size()}; }

    /// @throws error with status::invalid_argument where `index` is not below size()
    ranked operator[](std::size_t index) const {
        longattn_ranked found{};
        detail::call(longattn_selection_get, native_handle(), index, &found);
        return {{found.id, found.id_length},
                {found.category, found.category_length},
                found.rank,
                found.token_count,
                found.dependency_strength,
                found.distribution_uniformity,
                found.long_distance_dependency_score,
                found.selected};
    }

    /// The selection for functions of longattn.h; it stays this object's.
    const longattn_selection *native_handle() const noexcept { return handle_.get(); }

private:
    friend class selector;

    explicit selection(longattn_selection *handle) noexcept : handle_(handle) {}

    detail::owner<longattn_selection, longattn_selection_free> handle_;
};

/// Collects scored windows, and selects the best of each category. The selection depends on the set of windows alone,
/// not on the order in which they were added or merged: give each thread a selector, and merge them at the end.
///
/// One that was moved from has no windows, and takes none: its functions throw status::invalid_argument.
class selector {
public:
    /// Has no windows.
    selector() : handle_(longattn_selector_new()) {}

    /// Makes a selector from what to_json() gave.
    /// @throws error with status::invalid_record for malformed JSON, status::unsupported for the form of a later
    ///         version
    static selector from_json(std::string_view json) {
        longattn_selector *handle = nullptr;
        detail::call(longattn_selector_from_json, json.data(), json.size(), &handle);
        return selector(handle);
    }

    /// Adds a window. `id` must be unique within `category`, whose windows compete with each other. Everything is
    /// copied.
    /// @throws error with status::non_finite where a score is NaN or infinite, status::invalid_utf8
    void add(std::string_view id, std::string_view category, const score &window) {
        detail::call(longattn_selector_add, handle_.get(), id.data(), id.size(), category.data(), category.size(),
                     &window);
    }

    /// The number of windows in all categories.
    std::size_t size() const noexcept { return longattn_selector_count(handle_.get()); }
    bool empty() const noexcept { return size() == 0; }

    /// Moves all windows of `other` into this; `other` is empty afterwards.
    /// @throws error with status::invalid_argument where both are the same
    void merge(selector &other) { detail::call(longattn_selector_merge, handle_.get(), other.handle_.get()); }
    void merge(selector &&other) { merge(other); }

    /// The windows as versioned JSON, to be merged on another machine. Every number keeps its bits.
    std::string to_json() const { return detail::call_for_text(longattn_selector_to_json, native_handle()); }

    /// Gives a window other scores, such as those on more rows of attention. `ordinal` is the number of windows that
    /// were added before it; those that were merged count in their order.
    /// @throws error with status::invalid_argument where `ordinal` is not below size(), status::non_finite
    void rescore(std::size_t ordinal, const score &window) {
        detail::call(longattn_selector_rescore, handle_.get(), ordinal, &window);
    }

    /// Tells which windows, by their ordinals, to score on more rows, until the selection equals that by exact scores
    /// with the probability of the setting confidence; none where it can be trusted. `scores` are those that the windows
    /// were added or last rescored with, in their order; their standard errors are read.
    /// @throws error with status::invalid_argument for another number of scores than size(), status::cancelled, and as
    ///         finish() does
    std::vector<std::size_t> in_doubt(span<const score> scores, const config &settings = config(),
                                      const cancel &stop = cancel()) const {
        detail::expect_size("scores", scores.size(), {size()});
        std::vector<std::size_t> ordinals(size());
        std::size_t count = 0;
        detail::call(longattn_selector_in_doubt, native_handle(), scores.data(), settings.native_handle(),
                     stop.native_handle(), ordinals.data(), &count);
        ordinals.resize(count);
        return ordinals;
    }

    /// Ranks the windows and cuts, by the settings alpha, standardize, mixed_lengths, and one of ratio, count,
    /// token_budget and threshold. The selector is as before.
    /// @throws error with status::invalid_setting where more than one cut is set, status::invalid_argument where two
    ///         windows of one category have the same id, or were measured on different lengths or distances while
    ///         mixed_lengths is refuse
    selection finish(const config &settings = config()) const {
        longattn_selection *handle = nullptr;
        detail::call(longattn_selector_finish, native_handle(), settings.native_handle(), &handle);
        return selection(handle);
    }

    /// The selector for functions of longattn.h; it stays this object's.
    const longattn_selector *native_handle() const noexcept { return handle_.get(); }

private:
    explicit selector(longattn_selector *handle) noexcept : handle_(handle) {}

    detail::owner<longattn_selector, longattn_selector_free> handle_;
};

/// What a job is busy with.
enum class stage : std::int32_t {
    /// Reading the corpus and scoring its windows; the amount is bytes of the input files as they are on disk.
    reading = LONGATTN_STAGE_READING,
    /// Scoring windows in doubt on more rows; the amount is tokens.
    refining = LONGATTN_STAGE_REFINING,
    /// Scoring the windows of a calibration; the amount is tokens.
    scoring = LONGATTN_STAGE_SCORING,
    /// Looking up the texts of what was selected; the amount is windows.
    writing = LONGATTN_STAGE_WRITING,
};

/// How far a job has come.
struct job_progress {
    longattn::stage stage;
    /// How much of the stage is done, in its amount.
    std::uint64_t done;
    /// The whole of the stage, where it is known.
    std::optional<std::uint64_t> total;
    /// Windows scored in this call.
    std::uint64_t windows;
    /// Tokens scored in this call.
    std::uint64_t tokens;
};

/// A record, a file or a window that could not be used. The texts live only for the call that tells of it.
struct reject {
    /// The input file, `-` for standard input.
    std::string_view file;
    /// The line or row, from 1; 0 where the whole file is meant.
    std::uint64_t line;
    /// The id of the record or window; empty where it is not known.
    std::string_view id;
    /// Why it could not be used, and what to do about it.
    std::string_view reason;
    /// The record as it was read, or its beginning.
    std::string_view record;
};

/// Who watches a job; what is empty is not called. Functions are called on threads of the job, one call at a time, and
/// work waits for them: they must be quick, and must not use the job. Where one throws, the work is cancelled, and the
/// call that was given the observer throws the same.
struct observer {
    /// How far the job has come, several times a second.
    std::function<void(const job_progress &progress)> progress;
    /// Each reject, when it has been written to rejects.jsonl.
    std::function<void(const longattn::reject &reject)> reject;
    /// What a user should know while the work goes on, in a sentence.
    std::function<void(std::string_view notice)> notice;
};

/// What a job has found, of all its calls together: see longattn_summary.
using summary = longattn_summary;

/// What was selected of one category.
struct job_category {
    std::string name;
    /// Windows with scores.
    std::uint64_t windows;
    /// Those that made the cut.
    std::uint64_t selected;
};

namespace detail {

/// The functions of an observer as the C ABI calls them, and what one of them threw.
class watcher {
public:
    watcher(const observer &watched, const cancel &stop)
        : watched_(watched), stop_(stop) {
        if (watched.progress) native_.progress = tell_progress;
        if (watched.reject) native_.reject = tell_reject;
        if (watched.notice) native_.notice = tell_notice;
        native_.user_data = this;
    }

    watcher(const watcher &) = delete;
    watcher &operator=(const watcher &) = delete;

    /// Does work, and throws what an observer's function threw, or else what the work failed with.
    template <class Work>
    auto watch(Work work) {
        try {
            auto result = work(&native_, stop_.native_handle());
            if (!thrown_) return result;
        } catch (const error &) {
            if (!thrown_) throw;
        }
        std::rethrow_exception(thrown_);
    }

    /// Calls a function of the C ABI that gives a summary.
    template <class Function, class... Arguments>
    summary call(Function function, Arguments... arguments) {
        return watch([&](const longattn_observer *native, const longattn_cancel *token) {
            summary found{};
            detail::call(function, arguments..., native, token, &found);
            return found;
        });
    }

private:
    template <class Tell>
    void tell(Tell tell) noexcept {
        if (thrown_) return;
        try {
            tell(watched_);
        } catch (...) {
            thrown_ = std::current_exception();
            stop_.request();
        }
    }

    static void tell_progress(const longattn_job_progress *told, void *data) {
        static_cast<watcher *>(data)->tell([&](const observer &watched) {
            const auto total = told->has_total ? std::optional(told->total) : std::nullopt;
            watched.progress({static_cast<stage>(told->stage), told->done, total, told->windows, told->tokens});
        });
    }

    static void tell_reject(const longattn_reject *told, void *data) {
        static_cast<watcher *>(data)->tell([&](const observer &watched) {
            watched.reject({{told->file, told->file_length},
                            told->line,
                            {told->id, told->id_length},
                            {told->reason, told->reason_length},
                            {told->record, told->record_length}});
        });
    }

    static void tell_notice(const char *notice, std::size_t length, void *data) {
        static_cast<watcher *>(data)->tell([&](const observer &watched) { watched.notice({notice, length}); });
    }

    const observer &watched_;
    const cancel &stop_;
    longattn_observer native_{};
    std::exception_ptr thrown_;
};

} // namespace detail

/// The whole work on a corpus: documents are read, cut into windows, scored and selected, and the results are written
/// into a directory, as `longattn run` does it and with the same bytes. It may be killed at any moment, and goes on where
/// it was.
///
/// Until it is destroyed it owns its directory, which no other job, of this process or another, can open. It can be
/// moved but not copied; what was moved from can only be destroyed or assigned to.
class job {
public:
    /// Opens a job on files and folders, or "-" for standard input, and on a directory for its results, which is made
    /// where it is missing. `settings` are those of longattn_job_open(); what scores depend on are the scorer's in any
    /// case.
    /// @throws error with the statuses that longattn_job_open() lists
    job(const scorer &by, const std::vector<std::filesystem::path> &inputs, const std::filesystem::path &directory,
        const config &settings) {
        const detail::path_list paths(inputs);
        const std::string result = detail::path_bytes(directory);
        longattn_job *handle = nullptr;
        detail::call(longattn_job_open, by.native_handle(), paths.data(), paths.size(), result.data(), result.size(),
                     settings.native_handle(), &handle);
        handle_.reset(handle);
    }

    /// As above, by the settings that the scorer was opened with.
    job(const scorer &by, const std::vector<std::filesystem::path> &inputs, const std::filesystem::path &directory)
        : job(by, inputs, directory, by.settings()) {}

    /// Does everything: scores what has no score yet, selects by the settings that the job was opened with, and writes the
    /// results. Where it throws, finished windows are kept, and the job may be run again.
    /// @throws error with the statuses that longattn_job_score() and longattn_job_select() list
    longattn::summary run(const observer &watched = {}, const cancel &stop = cancel()) {
        return detail::watcher(watched, stop).call(longattn_job_run, handle_.get());
    }

    /// Scores what has no score yet, and writes no result but rejects.jsonl.
    /// @throws error with the statuses that longattn_job_score() lists
    longattn::summary score(const observer &watched = {}, const cancel &stop = cancel()) {
        return detail::watcher(watched, stop).call(longattn_job_score, handle_.get());
    }

    /// Selects by the settings alpha, standardize, mixed_lengths, confidence and one of ratio, count, token_budget and
    /// threshold, and writes the results. May be called again with others: nothing is scored twice.
    /// @throws error with the statuses that longattn_job_select() lists
    longattn::summary select(const config &settings, const observer &watched = {}, const cancel &stop = cancel()) {
        return detail::watcher(watched, stop).call(longattn_job_select, handle_.get(), settings.native_handle());
    }

    /// What became of everything so far; all 0 before the first call that scored.
    longattn::summary summary() const {
        longattn::summary found{};
        detail::call(longattn_job_summary, native_handle(), &found);
        return found;
    }

    /// The categories of the last selection, in the order of the bytes of their names.
    std::vector<job_category> categories() const {
        std::vector<job_category> found;
        for (std::size_t index = 0; index < longattn_job_category_count(native_handle()); ++index) {
            longattn_job_category category{};
            detail::call(longattn_job_category_get, native_handle(), index, &category);
            found.push_back({std::string(category.name, category.name_length), category.windows, category.selected});
        }
        return found;
    }

    /// The job for functions of longattn.h; it stays this object's.
    const longattn_job *native_handle() const noexcept { return handle_.get(); }

private:
    detail::owner<longattn_job, longattn_job_free> handle_;
};

/// Selects from the results of one job that has ended, or of the jobs on all shards of one corpus (the setting shard), in
/// any order, as if one job had scored them: no model is needed. `output` is the directory for what job::run() would have
/// written into its own, with the same bytes; it is made where it is missing, and may hold an earlier selection. The
/// inputs must be where they were. `settings` are those of job::select(), output_format, output_shard_size, keep_fields,
/// attributes and metrics.
/// @throws error with the statuses that longattn_results_select() lists
inline summary select_results(const std::vector<std::filesystem::path> &directories,
                              const std::filesystem::path &output, const config &settings = config(),
                              const observer &watched = {}, const cancel &stop = cancel()) {
    const detail::path_list paths(directories);
    const std::string result = detail::path_bytes(output);
    return detail::watcher(watched, stop)
        .call(longattn_results_select, paths.data(), paths.size(), result.data(), result.size(),
              settings.native_handle());
}

/// Finds out which of a model's layers to trust on a corpus, as `longattn calibrate` does: windows of every category are
/// drawn, scored by all layers of the package, and compared with a truth that needs no labels. As a job it owns its
/// directory, goes on where it was stopped, and can be moved but not copied.
class calibration {
public:
    /// Opens a calibration on files and folders, or "-" for standard input, and on a directory for its results, which is
    /// made where it is missing. What scores depend on are the scorer's settings in any case.
    /// @throws error with the statuses that longattn_calibration_open() lists
    calibration(const scorer &by, const std::vector<std::filesystem::path> &inputs,
                const std::filesystem::path &directory, const config &settings) {
        const detail::path_list paths(inputs);
        const std::string result = detail::path_bytes(directory);
        longattn_calibration *handle = nullptr;
        detail::call(longattn_calibration_open, by.native_handle(), paths.data(), paths.size(), result.data(),
                     result.size(), settings.native_handle(), &handle);
        handle_.reset(handle);
    }

    /// As above, by the settings that the scorer was opened with.
    calibration(const scorer &by, const std::vector<std::filesystem::path> &inputs,
                const std::filesystem::path &directory)
        : calibration(by, inputs, directory, by.settings()) {}

    /// Scores what has no score yet, compares, and writes calibration.json and its chart. Gives what calibration.json
    /// holds, of which the key verdict has the layer and the settings to use.
    /// @throws error with the statuses that longattn_calibration_run() lists
    std::string run(const observer &watched = {}, const cancel &stop = cancel()) {
        return detail::watcher(watched, stop)
            .watch([&](const longattn_observer *native, const longattn_cancel *token) {
                return detail::call_for_text(longattn_calibration_run, handle_.get(), native, token);
            });
    }

    /// The calibration for functions of longattn.h; it stays this object's.
    const longattn_calibration *native_handle() const noexcept { return handle_.get(); }

private:
    detail::owner<longattn_calibration, longattn_calibration_free> handle_;
};

/// How much a log message matters.
enum class log_level : std::int32_t {
    off = LONGATTN_LOG_OFF,
    error = LONGATTN_LOG_ERROR,
    warn = LONGATTN_LOG_WARN,
    info = LONGATTN_LOG_INFO,
    debug = LONGATTN_LOG_DEBUG,
    trace = LONGATTN_LOG_TRACE,
};

/// Is given each log message, which lives only for the call, on whatever thread has something to say, from several at
/// once. It must not use the library. What it throws is dropped.
using log_function = std::function<void(log_level level, std::string_view message)>;

namespace detail {

/// Keeps the log function until the library has let go of it.
struct log_state {
    std::mutex mutex;
    std::unique_ptr<log_function> sink;

    ~log_state() {
        if (sink) longattn_log_set(nullptr, nullptr, LONGATTN_LOG_OFF, nullptr);
    }

    static log_state &instance() {
        static log_state state;
        return state;
    }
};

inline void write_log(std::int32_t level, const char *message, std::size_t length, void *sink) noexcept {
    try {
        (*static_cast<const log_function *>(sink))(static_cast<log_level>(level), {message, length});
    } catch (...) {
    }
}

} // namespace detail

/// Sends the log messages of this process, up to `max_level`, to `sink`, which replaces the one before; an empty one
/// ends logging. When this returns, the one before is running nowhere and is destroyed. Any thread may call it.
/// @throws error with status::unsupported where the library is linked into a Rust program that has a logger of its
///         own
inline void set_log(log_function sink, log_level max_level = log_level::info) {
    auto next = sink ? std::make_unique<log_function>(std::move(sink)) : nullptr;
    detail::log_state &state = detail::log_state::instance();
    const std::lock_guard<std::mutex> lock(state.mutex);
    detail::call(longattn_log_set, next ? detail::write_log : nullptr, static_cast<void *>(next.get()),
                 static_cast<std::int32_t>(max_level));
    state.sink = std::move(next);
}

} // namespace longattn

#endif // LONGATTN_HPP
