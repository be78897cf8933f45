// What the tests of the C++ header share. They run in the root of the project.

#ifndef SUPPORT_HPP
#define SUPPORT_HPP

#include <longattn.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <ostream>
#include <string>
#include <vector>

// Two contracts of one tiny model, whose every byte of text is a token and which knows 64 positions.
inline constexpr const char *query_key_package = "tests/data/tiny/query-key";
// A package of several layers.
inline constexpr const char *deep_package = "target/check-c/deep";
inline constexpr const char *attentions_package = "tests/data/tiny/attentions";

// Models of another exporter, without tokenizers, of 48 tokens.
inline constexpr const char *bare_encoder = "tests/data/foreign/encoder.onnx";
inline constexpr const char *bare_decoder = "tests/data/foreign/decoder_with_past.onnx";

namespace longattn {

inline std::ostream &operator<<(std::ostream &out, status status) { return out << static_cast<int>(status); }

} // namespace longattn

// The statement throws longattn::error with this status, and a message that holds these words.
#define EXPECT_ERROR(expected, words, statement)                                                                       \
    try {                                                                                                              \
        statement;                                                                                                     \
        ADD_FAILURE() << "no error: " #statement;                                                                      \
    } catch (const longattn::error &failure) {                                                                         \
        EXPECT_EQ(failure.status(), longattn::status::expected) << failure.what();                                     \
        EXPECT_NE(std::string(failure.what()).find(words), std::string::npos) << failure.what();                       \
    }

inline bool same_bits(const longattn::score &a, const longattn::score &b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// Pseudo-random numbers, the same on every machine.
class random_numbers {
public:
    explicit random_numbers(std::uint32_t seed) : state_(seed) {}

    std::uint32_t below(std::uint32_t end) {
        state_ = state_ * 1664525 + 1013904223;
        return (state_ >> 16) % end;
    }

    float fraction() { return static_cast<float>(below(10000)) / 10000; }

private:
    std::uint32_t state_;
};

inline std::string random_text(std::size_t length, std::uint32_t seed) {
    random_numbers random(seed);
    std::string text;
    while (text.size() < length) text.push_back(static_cast<char>('a' + random.below(26)));
    return text;
}

// Tokens that every model here knows.
inline std::vector<longattn::token_id> random_ids(std::size_t count, std::uint32_t seed) {
    random_numbers random(seed);
    std::vector<longattn::token_id> ids;
    while (ids.size() < count) ids.push_back(random.below(48));
    return ids;
}

#endif
