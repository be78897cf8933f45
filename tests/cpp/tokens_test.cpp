// Tokens of a text, and the windows that a document is cut into.

#include "support.hpp"

#include <algorithm>

using namespace longattn;

TEST(Tokens, TellTheirBytes) {
    const scorer scorer(query_key_package);
    const std::string text = "h\xc3\xa9llo";
    const tokens tokens = scorer.tokenize(text);
    ASSERT_EQ(tokens.ids().size(), tokens.size());
    ASSERT_EQ(tokens.boundaries().size(), tokens.size() + 1);
    EXPECT_EQ(tokens.size(), 6U);
    EXPECT_EQ(tokens.boundaries()[0], 0U);
    EXPECT_EQ(tokens.boundaries()[tokens.size()], text.size());
    EXPECT_TRUE(std::is_sorted(tokens.boundaries().begin(), tokens.boundaries().end()));
}

TEST(Tokens, OutliveTheScorerAndTheText) {
    const auto make = [] { return scorer(query_key_package).tokenize(std::string("abc")); };
    EXPECT_EQ(make().size(), 3U);
}

TEST(Tokens, AreEmptyOnceMovedFrom) {
    tokens first = scorer(query_key_package).tokenize("abc");
    const tokens second = std::move(first);
    EXPECT_EQ(second.size(), 3U);
    EXPECT_TRUE(first.empty());
    EXPECT_TRUE(first.ids().empty());
    EXPECT_TRUE(first.boundaries().empty());
}

TEST(Tokens, NeedValidTextAndATokenizer) {
    EXPECT_ERROR(invalid_utf8, "at byte 1", scorer(query_key_package).tokenize("a\xff"));
    EXPECT_ERROR(unsupported, "tokenizer.json", scorer(bare_encoder).tokenize("a"));
    EXPECT_TRUE(scorer(query_key_package).tokenize({}).empty());
}

TEST(Windows, AreCutFromBothEnds) {
    const scorer scorer(query_key_package, {{"window", "4"}});
    const std::string text = random_text(13, 1);
    const tokens tokens = scorer.tokenize(text);
    const windows windows(tokens, 4);
    std::vector<std::size_t> starts;
    for (const window &window : windows) {
        starts.push_back(window.token_start);
        EXPECT_EQ(window.ids.size(), 4U);
        EXPECT_EQ(window.byte_end - window.byte_start, 4U);
        EXPECT_EQ(window.byte_start, window.token_start);
        EXPECT_TRUE(std::equal(window.ids.begin(), window.ids.end(), tokens.ids().begin() + window.token_start));
    }
    EXPECT_EQ(starts, (std::vector<std::size_t>{0, 9, 4, 5}));
    EXPECT_EQ(scorer.cut(text).size(), windows.size());
    EXPECT_EQ(scorer.cut(text)[1].token_start, 9U);
    EXPECT_ERROR(invalid_argument, "4", windows[4]);
}

TEST(Windows, OutliveTheTokens) {
    const scorer scorer(query_key_package);
    const windows windows(scorer.tokenize("abcd"), 2);
    EXPECT_TRUE(same_bits(scorer.score(windows[0]), scorer.score("ab")));
}

TEST(Windows, AreNoneForAShortDocument) {
    const scorer scorer(query_key_package);
    EXPECT_TRUE(scorer.cut("short").empty());
    EXPECT_ERROR(invalid_argument, "window", windows(scorer.tokenize("short"), 0));
}

TEST(Windows, AreEmptyOnceMovedFrom) {
    const scorer scorer(query_key_package);
    windows first(scorer.tokenize("abcd"), 2);
    windows second(scorer.tokenize("ab"), 2);
    second = std::move(first);
    EXPECT_EQ(second.size(), 2U);
    EXPECT_TRUE(first.empty());
    EXPECT_TRUE(first.begin() == first.end());
    EXPECT_ERROR(invalid_argument, "windows is NULL", first[0]);
}
