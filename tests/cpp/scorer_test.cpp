// Opening packages and scoring with them.

#include "support.hpp"

#include <unistd.h>

#include <filesystem>

using namespace longattn;

namespace {

// An empty directory, removed in the end.
class temporary_directory {
public:
    temporary_directory() { std::filesystem::create_directories(path_); }
    ~temporary_directory() { std::filesystem::remove_all(path_); }
    const std::filesystem::path &path() const { return path_; }

private:
    std::filesystem::path path_ = std::filesystem::temp_directory_path() / ("longattn-" + std::to_string(getpid()));
};

} // namespace

TEST(Scorer, DescribesItself) {
    const scorer scorer(query_key_package, {{"window", "60"}});
    EXPECT_NE(scorer.describe().find("\"contract\":\"query-key\""), std::string::npos);
    EXPECT_EQ(scorer.head_count(), 4U);
    EXPECT_EQ(scorer.settings().get("window"), "60");
}

TEST(Scorer, ScoresTheSameHoweverItIsAsked) {
    const scorer scorer(query_key_package, {{"window", "60"}});
    const std::string text = random_text(90, 1);
    const tokens tokens = scorer.tokenize(text);
    const score expected = scorer.score(text);
    EXPECT_EQ(expected.token_count, 60U);
    EXPECT_EQ(expected.min_distance, 15U);
    EXPECT_GT(expected.dependency_strength, 0);
    EXPECT_LT(expected.distribution_uniformity, 0);

    EXPECT_TRUE(same_bits(scorer.score(std::string_view(text)), expected));
    EXPECT_TRUE(same_bits(scorer.score(text.c_str()), expected));
    EXPECT_TRUE(same_bits(scorer.score(text, cancel()), expected));
    EXPECT_TRUE(same_bits(scorer.score(tokens.ids()), expected));
    EXPECT_TRUE(same_bits(scorer.score(std::vector<token_id>(tokens.ids().begin(), tokens.ids().end())), expected));

    const detailed_score detailed = scorer.score_heads(text);
    EXPECT_TRUE(same_bits(detailed.score, expected));
    ASSERT_EQ(detailed.heads.size(), 4U);
    double sum = 0;
    for (const head_score &head : detailed.heads) sum += head.proportion;
    EXPECT_DOUBLE_EQ(sum / 4, expected.dependency_strength);
}

TEST(Scorer, TellsWhatEachLayerSays) {
    const scorer scorer(deep_package, {{"window", "64"}});
    const layered_score layered = scorer.score_layers(random_ids(64, 1));
    EXPECT_TRUE(same_bits(layered.score, scorer.score(random_ids(64, 1))));
    ASSERT_EQ(layered.layers.size(), 2U);
    double strengths = 0, squares = 0;
    for (const layer_score &layer : layered.layers) {
        strengths += layer.dependency_strength;
        squares += layer.far_square_mass;
    }
    EXPECT_NEAR(strengths / 2, layered.score.dependency_strength, 1e-12);
    EXPECT_GT(squares, 0);
    EXPECT_NEAR(squares / 2, layered.score.far_square_mass, 1e-12);
}

TEST(Scorer, TellsTheHeadsOfABareModel) {
    for (const char *model : {bare_encoder, bare_decoder}) {
        const scorer scorer(model);
        EXPECT_EQ(scorer.score_heads(random_ids(40, 1)).heads.size(), 3U) << model;
    }
}

TEST(Scorer, TellsHowFarAttentionReaches) {
    const scorer scorer(query_key_package, {{"profile", "true"}});
    const std::string text = random_text(64, 1);
    const profiled_score profiled = scorer.score_profile(text);
    EXPECT_TRUE(same_bits(profiled.score, scorer.score(text)));
    ASSERT_EQ(profiled.distance_profile.size(), 7U);
    // Bucket 5 begins at a distance of 16, a quarter of the window.
    EXPECT_NEAR(profiled.distance_profile[5] + profiled.distance_profile[6], profiled.score.dependency_strength, 1e-6);

    const longattn::scorer without(query_key_package);
    EXPECT_ERROR(invalid_setting, "profile at true", without.score_profile(text));
    EXPECT_ERROR(invalid_utf8, "at byte 1", scorer.score_profile("a\xff"));
    const cancel stop;
    stop.request();
    EXPECT_ERROR(cancelled, "", scorer.score_profile(text, stop));
}

TEST(Scorer, OpensWhatIsThere) {
    EXPECT_ERROR(invalid_model, "longattn export", scorer("no/such/package"));
    EXPECT_ERROR(invalid_model, "no scorer package", scorer(""));
    EXPECT_ERROR(invalid_model, "cannot be loaded", scorer("tests/cpp/support.hpp"));
    EXPECT_ERROR(invalid_utf8, "path", scorer("\xff"));
    EXPECT_ERROR(invalid_setting, "no layer", scorer(bare_encoder, {{"layer", "9"}}));
    EXPECT_ERROR(runtime, "/no/such", scorer(bare_encoder, {{"onnxruntime", "/no/such/libonnxruntime.so"}}));

    const temporary_directory directory;
    std::filesystem::copy(bare_encoder, directory.path() / "model.onnx");
    std::filesystem::create_directory(directory.path() / "tokenizer.json");
    EXPECT_ERROR(io, "tokenizer.json", scorer(directory.path()));
}

TEST(Scorer, NeedsNoFilesOnceOpen) {
    const temporary_directory directory;
    std::filesystem::copy(query_key_package, directory.path() / "model");
    const scorer scorer(directory.path() / "model");
    const score expected = scorer.score("abcdefgh");
    std::filesystem::remove_all(directory.path());
    EXPECT_TRUE(same_bits(scorer.score("abcdefgh"), expected));
}

TEST(Scorer, SaysWhyThereIsNoScore) {
    const scorer scorer(query_key_package);
    EXPECT_ERROR(invalid_utf8, "at byte 1", scorer.score("a\xff"));
    EXPECT_ERROR(too_short, "1 tokens", scorer.score("a"));
    EXPECT_ERROR(too_short, "0 tokens", scorer.score(""));
    EXPECT_ERROR(too_short, "0 tokens", scorer.score(std::vector<token_id>()));
    EXPECT_ERROR(invalid_argument, "256", scorer.score(std::vector<token_id>{1, 256, 2}));
    EXPECT_ERROR(unsupported, "tokenizer.json", longattn::scorer(bare_encoder).score("text"));
    EXPECT_ERROR(too_short, "", longattn::scorer(bare_encoder).score(std::vector<token_id>()));
    const longattn::scorer small(attentions_package, {{"memory_limit", "100B"}});
    EXPECT_ERROR(memory_limit, "", small.score("abcdefgh"));
    const cancel stop;
    stop.request();
    EXPECT_ERROR(cancelled, "", scorer.score("abcdefgh", stop));
    EXPECT_ERROR(cancelled, "", scorer.score_heads("abcdefgh", stop));
}

TEST(Scorer, IsFreedWithTheLastCopy) {
    const auto make = [] {
        scorer first(query_key_package);
        scorer second = first;
        const scorer moved = std::move(first);
        EXPECT_EQ(second.native_handle(), moved.native_handle());
        // What was moved from is as it was: no scorer is ever empty.
        EXPECT_TRUE(same_bits(first.score("abcd"), moved.score("abcd")));
        second = scorer(attentions_package);
        EXPECT_NE(second.native_handle(), moved.native_handle());
        return moved;
    };
    EXPECT_EQ(make().score("abcd").token_count, 4U);
}

TEST(ScoreMany, GivesEachItsOwnResult) {
    const scorer scorer(query_key_package);
    const std::vector<std::string> texts = {"abcdefgh", "a", "bad \xff text", "the last of them"};
    const auto results = scorer.score_many(texts);
    ASSERT_EQ(results.size(), 4U);
    EXPECT_TRUE(results[0]);
    EXPECT_EQ(results[0].status(), status::ok);
    EXPECT_EQ(results[0].message(), "");
    EXPECT_TRUE(same_bits(results[0].value(), scorer.score(texts[0])));
    EXPECT_FALSE(results[1].has_value());
    EXPECT_EQ(results[1].status(), status::too_short);
    EXPECT_ERROR(too_short, results[1].message(), results[1].value());
    EXPECT_ERROR(invalid_utf8, "at byte 4", results[2].value());
    EXPECT_TRUE(same_bits(results[3].value(), scorer.score(texts[3])));
}

TEST(ScoreMany, TakesTextsIdsAndWindows) {
    const scorer scorer(query_key_package, {{"window", "8"}});
    const std::string text = random_text(30, 2);
    const windows windows = scorer.cut(text);
    const auto results = scorer.score_many(windows);
    ASSERT_EQ(results.size(), windows.size());
    for (std::size_t index = 0; index < windows.size(); ++index) {
        const auto [start, end] = std::pair(windows[index].byte_start, windows[index].byte_end);
        EXPECT_TRUE(same_bits(results[index].value(), scorer.score(text.substr(start, end - start))));
    }
    const std::vector<input> mixed = {"abcdefgh", windows[0], text};
    EXPECT_TRUE(same_bits(scorer.score_many(mixed)[1].value(), results[0].value()));
    const std::vector<token_id> lists[] = {{1, 2, 3}, {}};
    EXPECT_TRUE(same_bits(scorer.score_many(lists)[0].value(), scorer.score(lists[0])));
    EXPECT_TRUE(scorer.score_many(std::vector<std::string>()).empty());
    static_assert(std::is_same_v<decltype(scorer.score_many(std::vector{"a"})), std::vector<result>>);
}

TEST(ScoreMany, TellsItsProgress) {
    const scorer scorer(query_key_package);
    const std::vector<std::string> texts = {"abcd", "a", "abcdef"};
    std::vector<std::uint64_t> windows;
    std::uint64_t tokens = 0;
    const auto note = [&](std::uint64_t windows_so_far, std::uint64_t tokens_so_far) {
        windows.push_back(windows_so_far);
        tokens = tokens_so_far;
    };
    EXPECT_EQ(scorer.score_many(texts, cancel(), note).size(), 3U);
    EXPECT_EQ(windows, (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(tokens, 10U);
}

TEST(ScoreMany, ThrowsWhatItsProgressThrowsAndStops) {
    const scorer scorer(query_key_package, {{"window", "4096"}});
    const std::vector<std::string> texts(200, random_text(4096, 3));
    const cancel stop;
    std::uint64_t calls = 0;
    const auto fail = [&](std::uint64_t, std::uint64_t) {
        ++calls;
        throw std::out_of_range("enough");
    };
    EXPECT_THROW(scorer.score_many(texts, stop, fail), std::out_of_range);
    EXPECT_EQ(calls, 1U);
    EXPECT_TRUE(stop.is_requested());
    const auto fail_oddly = [](std::uint64_t, std::uint64_t) { throw 7; };
    EXPECT_THROW(scorer.score_many(texts, cancel(), fail_oddly), int);
    EXPECT_EQ(scorer.score("still there").token_count, 11U);
}
